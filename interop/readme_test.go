//go:build unix

package interop_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/peal-dev/peal/internal/testredis"
)

// Both READMEs, command by command and in order, as somebody follows them who has nothing but Go, or a clone, Go and
// Node.js. Only ports and addresses are others: of the machine's own Redis, and of what is not published yet.
func TestReadmeCommands(t *testing.T) {
	t.Parallel()
	for _, way := range []struct{ readme, skip string }{
		{"README.md", "git clone"},
		{"README.zh-CN.md", "go install"},
	} {
		t.Run(way.readme, func(t *testing.T) {
			// Not parallel: the second finds compiled what the first has compiled.
			r := newReader(t)
			commands := 0
			for _, b := range codeBlocks(t, filepath.Join("..", way.readme)) {
				switch {
				case strings.HasPrefix(b.text, way.skip): // the other way to get the binary
				case b.language == "sh":
					for _, c := range shellCommands(b.text) {
						commands++
						r.run(c)
					}
				case b.language == "go" && strings.HasPrefix(b.text, "package main"):
					r.program = r.local(b.text)
				case b.language == "js":
					r.script(b.text)
				}
			}
			r.checkTails()
			if commands < 15 {
				t.Errorf("only %d commands: the README is written in another way than this test reads", commands)
			}
		})
	}
}

// codeBlock is a fenced block of a document.
type codeBlock struct{ language, text string }

var codeFence = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

func codeBlocks(t *testing.T, file string) (blocks []codeBlock) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range codeFence.FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, codeBlock{match[1], match[2]})
	}
	return blocks
}

// shellCommand is a command and what it prints according to the lines after it.
type shellCommand struct {
	text   string
	prints []string
}

func shellCommands(block string) (commands []shellCommand) {
	var open string
	for line := range strings.Lines(block) {
		line = strings.TrimSuffix(line, "\n")
		printed, isOutput := strings.CutPrefix(line, "# => ")
		switch {
		case isOutput:
			last := &commands[len(commands)-1]
			last.prints = append(last.prints, printed)
		case strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "":
		case strings.HasSuffix(line, `\`):
			open += line + "\n"
		default:
			commands = append(commands, shellCommand{text: open + line})
			open = ""
		}
	}
	return commands
}

// compiling is how long a command may take that compiles everything on a busy machine.
const compiling = 5 * time.Minute

// reader is somebody who follows a README: what they have set in their shell, and what runs in their other terminals.
type reader struct {
	t       *testing.T
	dir     string
	env     []string
	places  *strings.Replacer // what stands in the README → where it is here
	program string            // the last whole Go program that was read
	serving string            // the base URL of the server that was spoken of last
	tails   []tail
}

// tail is a command that goes on, and what it has to print before the end.
type tail struct {
	text   string
	output *transcript
	exited chan struct{}
	prints []string
}

func newReader(t *testing.T) *reader {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	clone := filepath.Join(home, "clone-of-peal")
	copyTracked(t, root, clone)
	places := []string{
		// Nothing of a commit under test is published yet.
		"go install github.com/peal-dev/peal/cmd/peal@latest", "go -C " + clone + " install ./cmd/peal",
		"go mod tidy", "go mod edit -replace github.com/peal-dev/peal=" + clone + " && cp " + clone + "/go.sum . && go get .",
		"git clone https://github.com/peal-dev/peal", "cp -r " + clone + " peal",
		"make run", "make run LISTEN=127.0.0.1:8080",
		"serve --dev\n", "serve --dev --listen 127.0.0.1:8080\n",
		"redis://127.0.0.1:6379", testredis.Start(t).URL(),
	}
	for _, port := range []string{"8080", "8081", "8082", "3000"} {
		places = append(places, "127.0.0.1:"+port, freeAddress(t))
	}
	gopath := filepath.Join(home, "go")
	r := &reader{t: t, dir: home, places: strings.NewReplacer(places...)}
	for _, setting := range os.Environ() {
		switch name, _, _ := strings.Cut(setting, "="); name {
		case "GOBIN", "GOPATH", "GOFLAGS", "MAKEFLAGS", "MAKELEVEL", "PEAL_URL":
		default:
			r.env = append(r.env, setting)
		}
	}
	// As make compiles, so that all is compiled once; and a module cache of its own would be a download of everything.
	r.env = append(r.env, "GOPATH="+gopath, "CGO_ENABLED=0", "GOFLAGS=-trimpath -buildvcs=false", "GOMODCACHE="+goEnv(t, "GOMODCACHE"),
		"GOPROXY=off", "TMPDIR="+home, "PEAL_URL=http://"+strings.TrimPrefix(r.local("http://127.0.0.1:8080"), "http://"))
	return r
}

// local puts this machine's addresses in the place of the README's, twice: the first time may bring in an address.
func (r *reader) local(text string) string { return r.places.Replace(r.places.Replace(text)) }

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// copyTracked makes a copy of the repository as a clone would have it: nothing that git ignores.
func copyTracked(t *testing.T, from, to string) {
	t.Helper()
	copying := exec.CommandContext(t.Context(), "sh", "-c", `mkdir "$1" && git ls-files -co --exclude-standard -z | xargs -0 -I{} sh -c '[ ! -e "{}" ] || echo "{}"' | tar -c -T - | tar -x -C "$1"`, "-", to)
	copying.Dir = from
	if out, err := copying.CombinedOutput(); err != nil {
		t.Fatalf("copying the repository: %v\n%s", err, out)
	}
}

// goesOn matches the commands that do not end by themselves.
var goesOn = regexp.MustCompile(`^(make run|peal serve|peal sub|curl -N|go run \.)`)

func (r *reader) run(c shellCommand) {
	r.t.Helper()
	text := r.local(c.text + "\n")
	if server := "http://127.0.0.1:8080"; strings.Contains(c.text, server) {
		r.serving = r.local(server)
	}
	if goesOn.MatchString(c.text) {
		r.start(c, text)
		return
	}
	// The directory and the variables go to the next command, as in one shell.
	ctx, cancel := context.WithTimeout(r.t.Context(), compiling)
	defer cancel()
	state := filepath.Join(r.t.TempDir(), "state")
	shell := exec.CommandContext(ctx, "bash", "-c", text+"\nstatus=$?; { pwd; env -0; } >"+state+"; exit $status")
	shell.Dir, shell.Env = r.dir, r.env
	out, err := shell.CombinedOutput()
	if err != nil {
		r.t.Fatalf("%s\n%v\n%s", text, err, out)
	}
	for _, want := range c.prints {
		if !strings.Contains(string(out), want) {
			r.t.Errorf("%sprinted\n%s\nwhere the README has %s", text, out, want)
		}
	}
	after, err := os.ReadFile(state)
	if err != nil {
		r.t.Fatal(err)
	}
	dir, env, _ := strings.Cut(string(after), "\n")
	r.dir, r.env = dir, strings.Split(strings.TrimSuffix(env, "\x00"), "\x00")
	if strings.Contains(c.text, "go mod init") {
		if err := os.WriteFile(filepath.Join(r.dir, "main.go"), []byte(r.program), 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
}

// start runs a command that goes on until the test ends, and returns when it does what it is there for.
func (r *reader) start(c shellCommand, text string) {
	r.t.Helper()
	shell := exec.Command("bash", "-c", "exec "+text)
	shell.Dir, shell.Env = r.dir, r.env
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // make and go run have children
	output := newTranscript()
	shell.Stdout, shell.Stderr = output, output
	if err := shell.Start(); err != nil {
		r.t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		_ = shell.Wait() // it is killed
		close(exited)
	}()
	r.t.Cleanup(func() {
		_ = syscall.Kill(-shell.Process.Pid, syscall.SIGKILL)
		<-exited
	})
	tl := tail{text: text, output: output, exited: exited, prints: c.prints}
	r.tails = append(r.tails, tl)
	switch {
	case strings.HasPrefix(c.text, "curl"):
		r.awaitAnswer(tl, r.local("http://127.0.0.1:8080")+"/v1/stats", `"streams":1`)
	case strings.HasPrefix(c.text, "peal sub"):
		r.await(tl, "following")
	case strings.HasPrefix(c.text, "go run"):
		r.serving = r.local("http://127.0.0.1:3000")
		r.awaitAnswer(tl, r.serving+"/socket.io/?EIO=4&transport=polling", "")
	default:
		r.await(tl, "Readiness") // the last of the lines that say where everything is
		text, _ := output.read()
		_, after, _ := strings.Cut(text, "listening on ")
		r.serving, _, _ = strings.Cut(after, "\n")
		r.awaitAnswer(tl, r.serving+"/readyz", `"ready":true`)
		r.awaitAnswer(tl, r.serving+"/", `id="messages"`) // however the binary came here, it has its page
	}
}

// await waits until a command that goes on has printed something.
func (r *reader) await(tl tail, want string) {
	r.t.Helper()
	timeout := time.After(compiling)
	for {
		text, changed := tl.output.read()
		if strings.Contains(text, want) {
			return
		}
		select {
		case <-changed:
		case <-tl.exited:
			r.t.Fatalf("%sended, and has printed\n%s\nwhere the README has %s", tl.text, text, want)
		case <-timeout:
			r.t.Fatalf("%shas printed\n%s\nwhere the README has %s", tl.text, text, want)
		}
	}
}

// checkTails looks at what the commands that go on have printed in the end.
func (r *reader) checkTails() {
	r.t.Helper()
	for _, tl := range r.tails {
		for _, want := range tl.prints {
			r.await(tl, want)
		}
	}
}

// awaitAnswer asks until the answer is a success with something in it, as long as the command goes on.
func (r *reader) awaitAnswer(tl tail, url, want string) {
	r.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(compiling)
	for last := ""; !strings.HasPrefix(last, "200 ") || !strings.Contains(last, want); last = r.get(url) {
		printed, _ := tl.output.read()
		select {
		case <-tick.C:
		case <-tl.exited:
			r.t.Fatalf("%sended, and has printed\n%s", tl.text, printed)
		case <-timeout:
			r.t.Fatalf("GET %s: %s; %shas printed\n%s", url, last, tl.text, printed)
		}
	}
}

// get returns the status and the body, or why there is none.
func (r *reader) get(url string) string {
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err.Error()
	}
	return statusAndBody(response)
}

// script runs a piece of JavaScript of a page of the server that was spoken of last, with the official client.
func (r *reader) script(text string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*patience)
	defer cancel()
	node := exec.CommandContext(ctx, "node", "node/readme.mjs", r.serving)
	node.Stdin = strings.NewReader(text)
	if out, err := node.CombinedOutput(); err != nil {
		r.t.Fatalf("%s\n%v\n%s", text, err, out)
	}
}

func statusAndBody(response *http.Response) string {
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", response.StatusCode, body)
}
