package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/peal-dev/peal/gateway/cli"
)

const patience = 20 * time.Second

// process is a running command.
type process struct {
	t      *testing.T
	stdout *bufio.Reader
	stderr *buffer
	stop   context.CancelFunc
	exit   chan int
}

// buffer is a bytes.Buffer for two goroutines.
type buffer struct {
	mu   sync.Mutex // protects text
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	p := &process{t: t, stdout: bufio.NewReader(reader), stderr: new(buffer), stop: stop, exit: make(chan int, 1)}
	go func() {
		p.exit <- cli.Main(ctx, args, writer, p.stderr)
		_ = writer.Close()
	}()
	t.Cleanup(func() {
		_ = reader.Close()
		stop()
	})
	return p
}

// line returns the next line of stdout.
func (p *process) line() string {
	p.t.Helper()
	line, err := p.stdout.ReadString('\n')
	if err != nil {
		p.t.Fatalf("stdout: %v; stderr:\n%s", err, p.stderr)
	}
	return strings.TrimSuffix(line, "\n")
}

// wait returns the exit code. What is still printed is dropped.
func (p *process) wait() int {
	p.t.Helper()
	drained := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, p.stdout)
		close(drained)
	}()
	select {
	case code := <-p.exit:
		<-drained
		return code
	case <-time.After(patience):
		p.t.Fatalf("the command goes on; stderr:\n%s", p.stderr)
		return 0
	}
}

func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = cli.Main(t.Context(), args, &out, &err)
	return code, out.String(), err.String()
}

// serve starts `peal serve` on a free port and returns its URL.
func serve(t *testing.T, args ...string) (*process, string) {
	t.Helper()
	p := start(t, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	url, ok := strings.CutPrefix(p.line(), "Peal is listening on ")
	if !ok {
		t.Fatalf("the first line says something else; stderr:\n%s", p.stderr)
	}
	var rest []string
	for len(rest) < 7 {
		rest = append(rest, p.line())
	}
	for _, path := range []string{"/", "/socket.io/", "/v1/events?room=ROOM", "/v1/publish", "/metrics", "/readyz"} {
		if !strings.Contains(strings.Join(rest, "\n"), " "+url+path) {
			t.Errorf("%s%s is not announced:\n%s", url, path, strings.Join(rest, "\n"))
		}
	}
	return p, url
}

func TestServePubSub(t *testing.T) {
	t.Parallel()
	node, url := serve(t, "--api-key", "k", "--namespace", "/chat", "--log-json")
	sub := start(t, "sub", "--url", url, "--api-key", "k", "--namespace", "/chat", "--room", "a", "--room", "b,c")
	asJSON := start(t, "sub", "--url", url+"/", "--api-key", "k", "--namespace", "/chat", "--room", "a", "--json")
	pub := func(args ...string) {
		t.Helper()
		code, stdout, stderr := run(t, append([]string{"pub", "--url", url, "--api-key", "k", "--namespace", "/chat"}, args...)...)
		if code != 0 || stdout != "ok\n" || stderr != "" {
			t.Fatalf("pub %q: %d\n%s%s", args, code, stdout, stderr)
		}
	}
	sub.waitFollowing()
	asJSON.waitFollowing()
	pub("--room", "a", `"hi"`, `{ "n": 12345678901234567890 }`)
	if got, want := sub.line(), `message ["hi",{"n":12345678901234567890}]`; got != want {
		t.Errorf("sub: %s, want %s", got, want)
	}
	if got, want := asJSON.line(), `{"event":"message","args":["hi",{"n":12345678901234567890}]}`; got != want {
		t.Errorf("sub --json: %s, want %s", got, want)
	}
	pub("--room", "b,c", "--except", "x", "--event", "two words\x1b[2J")
	if got, want := sub.line(), `"two words\x1b[2J" []`; got != want {
		t.Errorf("sub: %s, want %s", got, want)
	}
	for _, p := range []*process{sub, asJSON} {
		p.stop()
		if code := p.wait(); code != 0 {
			t.Errorf("sub ended with %d; stderr:\n%s", code, p.stderr)
		}
	}
	node.stop()
	if code := node.wait(); code != 0 {
		t.Errorf("serve ended with %d; stderr:\n%s", code, node.stderr)
	}
	log := node.stderr.String()
	if !strings.Contains(log, `"msg":"listening"`) || !strings.Contains(log, `"url":"`+url+`"`) || !strings.Contains(log, `"msg":"stopped"`) {
		t.Errorf("the log:\n%s", log)
	}
}

// waitFollowing waits until the command has said that it follows the rooms.
func (p *process) waitFollowing() {
	p.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !strings.Contains(p.stderr.String(), "following ") {
		select {
		case <-tick.C:
		case <-deadline:
			p.t.Fatalf("it does not connect; stderr:\n%s", p.stderr)
		}
	}
}

func TestSubConnectsAgain(t *testing.T) {
	t.Parallel()
	attempts := 0 // requests come one after another
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		attempts++
		if got := r.URL.Query()["room"]; len(got) != 1 || got[0] != "a" {
			t.Errorf("rooms %q", got)
		}
		switch attempts {
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"error":{"code":"shutting_down","message":"gone"}}`)
		case 2, 3:
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprintf(w, "retry: 1\n\nevent: tick\ndata: [%d,\ndata: 0]\n\n", attempts)
		default:
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":{"code":"invalid_token","message":"the key has changed"}}`)
		}
	}))
	defer node.Close()
	p := start(t, "sub", "--url", node.URL, "--room", "a")
	for _, want := range []string{"tick [2,0]", "tick [3,0]"} {
		if got := p.line(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if code := p.wait(); code != 1 || !strings.Contains(p.stderr.String(), "401 invalid_token: the key has changed") {
		t.Errorf("ended with %d; stderr:\n%s", code, p.stderr)
	}
	if attempts != 4 {
		t.Errorf("%d attempts", attempts)
	}
}

func TestSubGivesUpOnSilence(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{}, 10)
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		arrived <- struct{}{}
		<-r.Context().Done()
	}))
	defer node.Close()
	p := start(t, "sub", "--url", node.URL, "--room", "a", "--silence", "50ms")
	<-arrived
	<-arrived
	p.stop()
	if code := p.wait(); code != 0 || !strings.Contains(p.stderr.String(), "nothing came for 50ms") {
		t.Errorf("ended with %d; stderr:\n%s", code, p.stderr)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	node, url := serve(t, "--api-key", "k")
	taken := strings.TrimPrefix(url, "http://")
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"serve", "--dev", "--listen", taken}, 1, "the port is in use; stop the program that has it, or choose another port"},
		{[]string{"serve", "--dev", "--cluster", "http://127.0.0.1"}, 2, "--cluster: the URL has none of the schemes"},
		{[]string{"serve", "--dev", "--cluster", "redis://user:secret@"}, 2, "without host"},
		{[]string{"serve", "--dev", "--max-body", "much"}, 2, "write for instance 500kB, 1MiB"},
		{[]string{"serve", "--dev", "--cluster", "redis://127.0.0.1:6379", "--send-buffer", "-1"}, 2, "--send-buffer"},
		{[]string{"serve", "--cluster", "redis://127.0.0.1:6379"}, 2, "set a key (or PEAL_API_KEY), or use --dev"},
		{[]string{"serve"}, 2, "--api-key"},
		{[]string{"pub", "--url", url, "1"}, 1, "401 token_required"},
		{[]string{"pub", "--url", url, "--api-key", "k", "--event", "connect"}, 1, "400 invalid_event"},
		{[]string{"pub", "--url", url, "--api-key", "k", "hello"}, 2, `write '"hello"'`},
		{[]string{"pub", "--url", "127.0.0.1:8080"}, 2, "write for instance http://127.0.0.1:8080"},
		{[]string{"pub", "--url", "http://127.0.0.1:1"}, 1, "is the node running"},
		{[]string{"pub", "--url", url + "/nowhere"}, 1, "405"},
		{[]string{"sub", "--url", url, "--room", "a"}, 1, "--anonymous-subscribe"},
		{[]string{"sub", "--url", "ftp://x"}, 2, "write for instance http://127.0.0.1:8080"},
		{[]string{"bench", "idle", "--url", "127.0.0.1"}, 2, "write for instance http://127.0.0.1:8080"},
		{[]string{"bench", "cluster", "--url", url, "--publish-url", "x"}, 2, `"x" is no URL`},
		{[]string{"completion", "tcsh"}, 2, "bash"},
		{[]string{"help", "what"}, 2, "unexpected argument what"},
		{[]string{"what"}, 2, "peal --help"},
	} {
		code, stdout, stderr := run(t, test.args...)
		if code != test.code || stdout != "" || !strings.Contains(stderr, test.want) || !strings.HasPrefix(stderr, "peal: ") {
			t.Errorf("%q: %d\n%s%swant %d … %s …", test.args, code, stdout, stderr, test.code, test.want)
		}
	}
	node.stop()
	node.wait()
}

func TestHelpAndVersion(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--help"}, "serve"},
		{[]string{"help"}, "serve"},
		{[]string{"help", "--help"}, "Explain a command"},
		{[]string{"serve", "--help"}, "$PEAL_LISTEN"},
		{[]string{"help", "serve"}, "$PEAL_LISTEN"},
		{[]string{"pub", "--help"}, "--event"},
		{[]string{"help", "completion"}, "source <(peal completion bash)"},
		{[]string{"version"}, "peal "},
		{[]string{"--version"}, "peal "},
		{[]string{"serve", "--version"}, "peal "},
	} {
		if code, stdout, stderr := run(t, test.args...); code != 0 || !strings.Contains(stdout, test.want) || stderr != "" {
			t.Errorf("%q: %d\n%s%s", test.args, code, stdout, stderr)
		}
	}
	_, asFlag, _ := run(t, "--version")
	if _, asCommand, _ := run(t, "version"); asFlag != asCommand || strings.Count(asFlag, "\n") != 1 {
		t.Errorf("--version: %q, version: %q", asFlag, asCommand)
	}
}

// Whoever types the bare name wants to know what there is; a script that forgot the command must notice.
func TestBareNamePrintsTheHelp(t *testing.T) {
	t.Parallel()
	_, help, _ := run(t, "--help")
	if code, stdout, stderr := run(t); code != 2 || stdout != "" || stderr != help {
		t.Errorf("%d\n%s%s", code, stdout, stderr)
	}
}

func Example() {
	var stdout, stderr bytes.Buffer
	code := cli.Main(context.Background(), []string{"pub", "hello"}, &stdout, &stderr)
	fmt.Print(code, " ", stderr.String())
	// Output:
	// 2 peal: pub: argument 1 is not JSON: hello; if you mean the text, write '"hello"'
	// peal: see peal --help
}
