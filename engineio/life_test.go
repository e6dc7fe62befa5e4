package engineio_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peal-dev/peal/admission"
	"github.com/peal-dev/peal/engineio"
)

// TestEverySessionEndsOnce lets clients, the program and the server do what they may in random order, at once or one after
// the other, and ends with a shutdown. However it came about, the receiver is told of the end once and last, the place at
// the gate is given back once, the session leaves the table, and nothing is sent after the end.
func TestEverySessionEndsOnce(t *testing.T) {
	t.Parallel()
	var reasons sync.Map // seen in any of the lives
	t.Run("seed", func(t *testing.T) {
		for seed := range uint64(200) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				l := &lives{reasons: &reasons, rnd: rand.New(rand.NewPCG(seed, 0)), gate: admission.New(admission.Limits{PerAddress: 1000})}
				opts := engineio.Options{Admission: l.gate, Pending: true, PollBuffer: 500, SendBuffer: 500, Logger: slog.New(slog.DiscardHandler),
					PingInterval: 3 * time.Second, PingTimeout: 2 * time.Second, UpgradeTimeout: 2 * time.Second, BodyTimeout: 3 * time.Second}
				bubbleWith(t, l, opts, &http.Server{}, func(t *testing.T, f *fixture, network *pipes) {
					l.pass = func(d time.Duration) { time.Sleep(d) } // no time of the machine
					l.run(t, f, network)
				})
			})
		}
	})
	for _, reason := range []engineio.Reason{engineio.TransportError, engineio.TransportClose, engineio.ForcedClose, engineio.PingTimeout,
		engineio.ParseError, engineio.ServerShutdown} {
		if _, seen := reasons.Load(reason); !seen {
			t.Errorf("no session ended with %q", reason)
		}
	}
}

// TestSessionSize holds what every connection costs, idle or not.
func TestSessionSize(t *testing.T) {
	t.Parallel()
	if engineio.SessionSize > 240 {
		t.Errorf("a session takes %d bytes; 240 are an allocation's size class", engineio.SessionSize)
	}
}

// lives is a server's sessions as the test sees them, and their handler.
type lives struct {
	t       *testing.T
	f       *fixture
	network *pipes
	gate    *admission.Gate
	rnd     *rand.Rand
	reasons *sync.Map
	pass    func(time.Duration) // lets time pass
	work    sync.WaitGroup      // what clients and the program are doing

	mu  sync.Mutex
	all []*life
}

// life is one session, and its receiver.
type life struct {
	*lives
	session *engineio.Session
	calls   atomic.Int32 // of Open and Message that have not returned
	told    atomic.Int32
	closed  bool // by a call of Open or Message, and so before all that follow
}

func (l *lives) Open(s *engineio.Session) engineio.Receiver {
	one := &life{lives: l, session: s}
	one.calls.Add(1)
	defer one.calls.Add(-1)
	l.mu.Lock()
	l.all = append(l.all, one)
	l.mu.Unlock()
	one.called(s.Handshake().Query().Get("act"))
	return one
}

func (l *life) Message(m engineio.Message) {
	if l.calls.Add(1) != 1 {
		l.t.Error("two calls of a receiver at a time")
	}
	defer l.calls.Add(-1)
	if l.told.Load() != 0 {
		l.t.Errorf("%q after the end", m.Data)
	}
	if l.closed {
		l.t.Errorf("%q after the receiver closed the session", m.Data)
	}
	l.called(string(m.Data))
}

func (l *life) Close(reason engineio.Reason, _ error) {
	if n := l.told.Add(1); n != 1 {
		l.t.Errorf("told of the end %d times", n)
	}
	if n := l.calls.Load(); n != 0 {
		l.t.Errorf("told of the end in the middle of %d calls", n)
	}
	if err := l.session.Send(text("late"), 0); !errors.Is(err, engineio.ErrClosed) {
		l.t.Errorf("a message after the end: %v", err)
	}
	l.session.Settle() // counts no more
	l.reasons.Store(reason, true)
}

func text(s string) *engineio.Prepared { return engineio.Prepare(engineio.Message{Data: []byte(s)}) }

// acts are what a program does with a session, in a call of its receiver or from anywhere.
var acts = []string{"nothing", "send", "send", "much", "volatile", "settle", "pause", "resume", "resume", "close", "error", "slow", "closed"}

// called acts in a call of the receiver.
func (l *life) called(what string) {
	l.act(what)
	l.closed = l.closed || slices.Contains([]string{"close", "error", "slow", "closed"}, what)
}

func (l *life) act(what string) {
	s := l.session
	switch what {
	case "send":
		_ = s.Send(text("sent"), engineio.Deferred)
	case "much":
		_ = s.Send(text(strings.Repeat("m", 300)), 0)
	case "volatile":
		_ = s.Send(text("sent"), engineio.Volatile)
	case "settle":
		s.Settle()
	case "pause":
		s.Pause()
	case "resume":
		s.Resume()
	case "close":
		s.Close()
	case "error":
		s.CloseWith(engineio.TransportError, io.ErrUnexpectedEOF)
	case "slow":
		s.CloseWith(engineio.TransportError, engineio.ErrSlowConsumer)
	case "closed":
		s.CloseWith(engineio.TransportClose, nil)
	case "panic":
		panic("a handler's")
	}
}

// run lets 40 things happen.
func (l *lives) run(t *testing.T, f *fixture, network *pipes) {
	l.t, l.f, l.network = t, f, network
	for range 40 {
		step := l.step()
		l.work.Go(step)
		switch l.rnd.IntN(6) {
		case 0, 1, 2:
			synctest.Wait()
			l.check()
		case 3:
			l.pass(time.Duration(l.rnd.IntN(3000)) * time.Millisecond)
		}
	}
	if l.rnd.IntN(2) == 0 { // no client has more time than this to take its leave
		l.pass(time.Minute)
		synctest.Wait()
		l.check()
		for _, one := range l.all {
			if one.told.Load() != 0 && engineio.Sessions(f.server)[one.session] {
				l.t.Error("a session that ended long ago is in the table")
			}
		}
	}
	if err := f.server.Shutdown(l.t.Context()); err != nil {
		l.t.Error(err)
	}
	for _, one := range l.all { // Shutdown has waited for them
		if n := one.told.Load(); n != 1 && !one.lost() {
			l.t.Errorf("told of the end %d times", n)
		}
	}
	l.work.Wait()
	synctest.Wait()
	if n, gate := len(engineio.Sessions(f.server)), l.gate.Stats(); n != 0 || f.server.Len() != 0 || gate != (admission.Stats{}) {
		l.t.Errorf("after the shutdown: %d in the table, %d open, %+v at the gate", n, f.server.Len(), gate)
	}
}

// lost reports whether the handler panicked instead of giving a receiver, so that there is nobody to tell.
func (l *life) lost() bool { return l.session.Handshake().Query().Get("act") == "panic" }

// check compares, when all wait, what the server keeps with what the receivers know.
func (l *lives) check() {
	l.t.Helper()
	table := engineio.Sessions(l.f.server)
	open := 0
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.all {
		if one.told.Load() == 0 && !one.lost() {
			open++
			if !table[one.session] {
				l.t.Error("an open session is not in the table")
			}
		}
	}
	if n := l.f.server.Len(); n != open {
		l.t.Errorf("%d sessions are open, and the receivers of %d not told of an end", n, open)
	}
	if got := l.gate.Stats(); got.Connections != len(table) || got.Pending < 0 || got.Pending > got.Connections {
		l.t.Errorf("%+v at the gate for %d sessions", got, len(table))
	}
}

// step picks what happens next. What it needs of chance it takes now, so that a seed says what happens.
func (l *lives) step() func() {
	l.mu.Lock()
	defer l.mu.Unlock()
	act := acts[l.rnd.IntN(len(acts))]
	kind := l.rnd.IntN(30)
	if kind == 0 && l.rnd.IntN(4) == 0 {
		return func() { _ = l.f.server.Shutdown(context.Background()) }
	}
	if len(l.all) == 0 || kind < 5 {
		if act = "nothing"; l.rnd.IntN(3) == 0 {
			act = append(acts, "panic")[l.rnd.IntN(len(acts)+1)]
		}
		if l.rnd.IntN(2) == 0 {
			return func() { l.request("GET", "transport=polling&act="+act, "") }
		}
		return l.webSocket("&act="+act, frame("4"+acts[l.rnd.IntN(len(acts))])+frame("3")+frame("4send"))
	}
	one := l.all[max(0, len(l.all)-1-l.rnd.IntN(3))]
	sid := "&sid=" + one.session.ID()
	post := func(body string) func() {
		return func() { l.request("POST", "transport=polling"+sid, body) }
	}
	switch {
	case kind < 13:
		return func() { one.poll(sid) }
	case kind < 17:
		return post("4" + act + "\x1e3\x1e4" + act)
	case kind < 18:
		return post([]string{"1", "4send\x1e1\x1e4send", "x", "2", "4panic"}[l.rnd.IntN(5)])
	case kind < 22:
		return l.webSocket(sid, frame("2probe")+[]string{"", frame("5"), frame("5") + frame("4"+act), frame("4x"), "\x88\x80\x00\x00\x00\x00"}[l.rnd.IntN(5)])
	case kind < 23:
		return l.webSocket("", []string{frame("1"), frame("x"), "\xff", "\x88\x80\x00\x00\x00\x00", frame("4panic"), "gone"}[l.rnd.IntN(6)])
	}
	return func() { one.act(act) }
}

// frame is a client's frame with a mask of zeros.
func frame(packet string) string {
	return "\x81" + string([]byte{0x80 | byte(len(packet))}) + "\x00\x00\x00\x00" + packet
}

// request sends a request, and returns what it is answered with, if it is.
func (l *lives) request(method, query, body string) string {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, l.f.url+"?EIO=4&"+query, strings.NewReader(body))
	if err != nil {
		l.t.Error(err)
		return ""
	}
	resp, err := l.f.client.Do(req)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return string(b)
}

// poll fetches what there is. With the packet that says so the session is over for the client.
func (l *life) poll(sid string) {
	packets := strings.Split(l.request("GET", "transport=polling"+sid, ""), "\x1e")
	for i, packet := range packets {
		if packet == "1" && i != len(packets)-1 {
			l.t.Errorf("%q: more after the end", packets)
		}
	}
	if packets[len(packets)-1] != "1" {
		return
	}
	if got := l.request("GET", "transport=polling"+sid, ""); strings.HasPrefix(got, "4") {
		l.t.Errorf("a poll after the end got %q", got)
	}
}

// webSocket opens a WebSocket, sends frames, and reads to the end or for as long as it has patience.
func (l *lives) webSocket(query, frames string) func() {
	patience := time.Duration(l.rnd.IntN(20_000)) * time.Millisecond
	return func() {
		conn := l.network.dial()
		defer conn.Close()
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		_ = conn.SetWriteDeadline(time.Now().Add(wait))
		l.work.Go(func() {
			_, err := fmt.Fprintf(conn, "GET /?EIO=4&transport=websocket%s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
				"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", query)
			if err == nil && frames != "gone" {
				_, _ = io.WriteString(conn, frames) // the server may have hung up
			}
		})
		got, _ := io.ReadAll(conn)
		if _, sent, ok := bytes.Cut(got, []byte("\r\n\r\n")); ok && bytes.HasPrefix(got, []byte("HTTP/1.1 101")) {
			if _, rest, ended := bytes.Cut(sent, []byte{0x88}); ended && len(rest) > 0 && len(rest) != 1+int(rest[0]) {
				l.t.Errorf("after the close frame came %q", rest)
			}
		}
	}
}
