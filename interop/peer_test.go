package interop_test

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// report is what a Node.js peer says of its own accord; see node/lines.mjs.
type report struct {
	Client      string          `json:"client"`
	Event       string          `json:"event"`
	Args        json.RawMessage `json:"args"`
	Ack         bool            `json:"ack"`
	State       string          `json:"state"`
	Detail      string          `json:"detail"`
	Data        string          `json:"data"`
	LastEventID string          `json:"lastEventId"`
}

// reply answers a command.
type reply struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  string          `json:"error"`
}

// params are a command's parameters.
type params map[string]any

// peer is a Node.js program of node/, driven by commands.
type peer struct {
	t      *testing.T
	name   string
	url    string // of a server, once ready
	stdin  io.WriteCloser
	errors *transcript
	ended  chan struct{}
	cmd    *exec.Cmd
	killed bool

	mu      sync.Mutex // protects the following
	lastID  int
	replies map[int]chan reply
	reports []report
	changed chan struct{} // closed and replaced at each report
}

// startPeer runs a program of node/ and returns once it is ready.
func startPeer(t *testing.T, script string, args ...string) *peer {
	t.Helper()
	requireNode(t)
	cmd := exec.Command("node", append([]string{"node/" + script}, args...)...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{
		t: t, name: script, cmd: cmd, stdin: stdin, errors: newTranscript(), ended: make(chan struct{}),
		replies: map[int]chan reply{}, changed: make(chan struct{}),
	}
	cmd.Stderr = p.errors
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", script, err)
	}
	ready := make(chan string, 1)
	go func() {
		defer close(p.ended)
		lines(stdout, func(line []byte) { p.take(line, ready) })
		if err := cmd.Wait(); err != nil && !p.killed {
			_, _ = fmt.Fprintf(p.errors, "ended with %v\n", err)
		}
	}()
	t.Cleanup(p.close)
	select {
	case p.url = <-ready:
	case <-p.ended:
		p.fatal("ended before it was ready")
	case <-time.After(patience):
		p.fatal("did not get ready")
	}
	return p
}

// requireNode ends the test if the Node.js side is not installed.
func requireNode(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Fatal("Node.js is missing; the interoperability tests run against its official packages")
	}
	if _, err := os.Stat("node_modules/socket.io-client/package.json"); err != nil {
		t.Fatal("the Node.js packages are missing; `make test` installs them (npm ci in interop)")
	}
}

// close lets the peer end by itself, by closing its input.
func (p *peer) close() {
	_ = p.stdin.Close()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Errorf("%s did not end when its input did", p.name)
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
	if text, _ := p.errors.read(); text != "" {
		p.t.Errorf("%s complained:\n%s", p.name, text)
	}
}

// kill ends the peer at once.
func (p *peer) kill() {
	p.t.Helper()
	p.killed = true // before the process ends, after which this is read
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatalf("killing %s: %v", p.name, err)
	}
	<-p.ended
}

func (p *peer) fatal(format string, args ...any) {
	p.t.Helper()
	text, _ := p.errors.read()
	p.t.Fatalf("%s %s\n%s", p.name, fmt.Sprintf(format, args...), text)
}

// take handles one line of the peer's output.
func (p *peer) take(line []byte, ready chan<- string) {
	var message struct {
		report
		reply
		Ready *struct{ URL string } `json:"ready"`
	}
	if err := json.Unmarshal(line, &message); err != nil {
		_, _ = fmt.Fprintf(p.errors, "printed %q: %v\n", line, err)
		return
	}
	if message.Ready != nil {
		ready <- message.Ready.URL
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if id := message.reply.ID; id != 0 {
		p.replies[id] <- message.reply
		delete(p.replies, id)
		return
	}
	p.reports = append(p.reports, message.report)
	close(p.changed)
	p.changed = make(chan struct{})
}

// begin sends a command and returns where its answer will arrive.
func (p *peer) begin(op string, with params) <-chan reply {
	p.t.Helper()
	answer := make(chan reply, 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lastID++
	p.replies[p.lastID] = answer
	command := params{"id": p.lastID, "op": op}
	for key, value := range with {
		command[key] = value
	}
	line, err := json.Marshal(command)
	if err != nil {
		p.t.Fatalf("command %s: %v", op, err)
	}
	if _, err := p.stdin.Write(append(line, '\n')); err != nil {
		p.t.Fatalf("command %s to %s: %v", op, p.name, err)
	}
	return answer
}

// try sends a command and returns its answer, which may be an error.
func (p *peer) try(op string, with params) reply {
	p.t.Helper()
	return p.finish(op, p.begin(op, with))
}

func (p *peer) finish(op string, answer <-chan reply) reply {
	p.t.Helper()
	select {
	case r := <-answer:
		return r
	case <-p.ended:
		p.fatal("ended during %s", op)
	case <-time.After(patience):
		p.fatal("did not answer %s", op)
	}
	panic("unreachable")
}

// do sends a command that must succeed and stores its result in the value result points to, unless that is nil.
func (p *peer) do(op string, with params, result any) {
	p.t.Helper()
	r := p.try(op, with)
	if r.Error != "" {
		p.fatal("%s %v: %s", op, with, r.Error)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(r.Result, result); err != nil {
		p.fatal("%s answered %s: %v", op, r.Result, err)
	}
}

// of returns the reports so far that match, in order.
func (p *peer) of(match func(report) bool) []report {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found []report
	for _, r := range p.reports {
		if match(r) {
			found = append(found, r)
		}
	}
	return found
}

// await waits until at least count reports match and returns those that do.
func (p *peer) await(count int, what string, match func(report) bool) []report {
	p.t.Helper()
	timeout := time.After(patience)
	for {
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		found := p.of(match)
		if len(found) >= count {
			return found
		}
		select {
		case <-changed:
		case <-p.ended:
			p.fatal("ended while %d of %d %s had been seen", len(found), count, what)
		case <-timeout:
			p.fatal("saw %d of %d %s; all reports: %s", len(found), count, what, p.tail())
		}
	}
}

// tail is the last reports, for a failure's message.
func (p *peer) tail() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	text, _ := json.MarshalIndent(p.reports[max(0, len(p.reports)-20):], "", " ")
	return text
}

// awaitEvents waits for count events of one client.
func (p *peer) awaitEvents(client, event string, count int) []report {
	p.t.Helper()
	return p.await(count, fmt.Sprintf("%q at %s", event, client), isEvent(client, event))
}

// events are the events of one client so far.
func (p *peer) events(client, event string) []report { return p.of(isEvent(client, event)) }

// awaitState waits until a client has reported the state and returns the detail of the latest report.
func (p *peer) awaitState(client, state string, count int) string {
	p.t.Helper()
	found := p.await(count, fmt.Sprintf("%s of %s", state, client), func(r report) bool {
		return r.Client == client && r.State == state
	})
	return found[len(found)-1].Detail
}

func isEvent(client, event string) func(report) bool {
	return func(r report) bool { return r.Client == client && r.Event == event }
}
