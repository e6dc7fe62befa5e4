package interop_test

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for something a foreign process should have done at once. It is generous because
// it is only ever used up by a failure.
const patience = time.Minute

// address finds where a program listens in what it prints.
var address = regexp.MustCompile(`127\.0\.0\.1:[0-9]+`)

// program is a running server of ours.
type program struct {
	addr   string // host:port, as printed
	cmd    *exec.Cmd
	output *transcript
	exited chan struct{} // closed once the process is gone and err is set
	err    error
}

// url is the program's base URL.
func (p *program) url() string { return "http://" + p.addr }

// start runs a program and returns once it has printed the address it listens on.
func start(t *testing.T, binary string, args ...string) *program {
	t.Helper()
	p := &program{cmd: exec.Command(binary, args...), exited: make(chan struct{}), output: newTranscript()}
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	// The race detector makes a program linger for a second at its end, for goroutines that may still race.
	p.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=10")
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", binary, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() { p.stop(t) })

	timeout := time.After(patience)
	for {
		text, changed := p.output.read()
		if addr := address.FindString(listening(text)); addr != "" {
			p.addr = addr
			return p
		}
		select {
		case <-changed:
		case <-p.exited:
			t.Fatalf("%s ended before it listened: %v\n%s", binary, p.err, text)
		case <-timeout:
			t.Fatalf("%s did not say where it listens\n%s", binary, text)
		}
	}
}

// listening is the complete line in which a program says where it listens, or nothing.
func listening(text string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, "listening") && strings.HasSuffix(line, "\n") {
			return line
		}
	}
	return ""
}

// stop ends the program in an orderly way and fails the test if it did not end well or raced. Further calls do nothing.
func (p *program) stop(t *testing.T) {
	t.Helper()
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Errorf("program on %s goes on after SIGTERM", p.addr)
		_ = p.cmd.Process.Signal(syscall.SIGQUIT) // the goroutines' stacks say what it hangs on
		<-p.exited
	}
	p.cmd = nil
	text, _ := p.output.read()
	if p.err != nil || strings.Contains(text, "DATA RACE") || t.Failed() {
		t.Errorf("program on %s ended with %v and printed:\n%s", p.addr, p.err, text)
	}
}

// kill ends the program as a crash does.
func (p *program) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatalf("killing %s: %v", p.addr, err)
	}
	<-p.exited
	p.cmd = nil
}

// transcript collects a process's output and signals each addition.
type transcript struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func newTranscript() *transcript { return &transcript{changed: make(chan struct{})} }

func (o *transcript) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.changed)
	o.changed = make(chan struct{})
	return o.text.Write(p)
}

// read returns the output so far and a channel that is closed when more arrives.
func (o *transcript) read() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.changed
}

// lines calls each with every line of r until it ends. Lines may be of any length.
func lines(r io.Reader, each func([]byte)) {
	reader := bufio.NewReaderSize(r, 1<<16)
	for {
		line, err := reader.ReadBytes('\n')
		if err != nil {
			return
		}
		each(line)
	}
}
