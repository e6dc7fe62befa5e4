package interop_test

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
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
	at          time.Time       // when it was read
}

// reply answers a command.
type reply struct {
	ID      int             `json:"id"`
	Result  json.RawMessage `json:"result"` // beside an error, what there is of it
	Error   string          `json:"error"`
	Missing int             `json:"missing"` // how many nodes are said not to have answered, by those that say it
}

// params are a command's parameters.
type params map[string]any

// peer is a program that is driven by commands, one of node/ or their twin in Go, as a test sees it.
type peer struct {
	*driven
	t *testing.T
}

// driven is the program itself.
type driven struct {
	name string
	introduction
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

// introduction is what a server says of itself once it is ready.
type introduction struct {
	url   string
	kind  string // goKind or nodeKind
	emits bool   // whether it has an emitter of the wire
}

// What servers are made of.
const (
	goKind   = "go"
	nodeKind = "node"
)

// in returns the peer for another test, which is over before the one that started it.
func (p *peer) in(t *testing.T) *peer { return &peer{driven: p.driven, t: t} }

// startPeer runs a program of node/ and returns once it is ready.
func startPeer(t *testing.T, script string, args ...string) *peer {
	t.Helper()
	requireNode(t)
	return drive(t, script, exec.Command("node", append([]string{"node/" + script}, args...)...))
}

// startGoPeer runs the node that is written in Go.
func startGoPeer(t *testing.T, args ...string) *peer {
	t.Helper()
	cmd := exec.Command(built(t, goPeerBinary), args...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=10") // see start
	return drive(t, "gopeer", cmd)
}

func drive(t *testing.T, name string, cmd *exec.Cmd) *peer {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, driven: &driven{
		name: name, cmd: cmd, stdin: stdin, errors: newTranscript(), ended: make(chan struct{}),
		replies: map[int]chan reply{}, changed: make(chan struct{}),
	}}
	cmd.Stderr = p.errors
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	ready := make(chan introduction, 1)
	go func() {
		defer close(p.ended)
		lines(stdout, func(line []byte) { p.take(line, ready) })
		if err := cmd.Wait(); err != nil && !p.killed {
			_, _ = fmt.Fprintf(p.errors, "ended with %v\n", err)
		}
	}()
	t.Cleanup(p.close)
	select {
	case p.introduction = <-ready:
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
	// A node in Go has a log, in which not everything is a complaint.
	text, _ := p.errors.read()
	if text != "" && (p.kind != goKind || strings.Contains(text, "DATA RACE") || strings.Contains(text, "ended with ") || p.t.Failed()) {
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
func (p *driven) take(line []byte, ready chan<- introduction) {
	var message struct {
		report
		reply
		Ready *struct {
			URL, Kind string
			Emits     bool
		} `json:"ready"`
	}
	if err := json.Unmarshal(line, &message); err != nil {
		_, _ = fmt.Fprintf(p.errors, "printed %q: %v\n", line, err)
		return
	}
	if message.Ready != nil {
		ready <- introduction{message.Ready.URL, message.Ready.Kind, message.Ready.Emits}
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if id := message.reply.ID; id != 0 {
		p.replies[id] <- message.reply
		delete(p.replies, id)
		return
	}
	message.at = time.Now()
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
	var found []report
	for seen := 0; ; {
		p.mu.Lock()
		for ; seen < len(p.reports); seen++ {
			if r := p.reports[seen]; match(r) {
				found = append(found, r)
			}
		}
		changed := p.changed
		p.mu.Unlock()
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
