package engineio

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/peal-dev/peal/engineio/eioproto"
	"github.com/peal-dev/peal/internal/netconn"
	"github.com/peal-dev/peal/internal/wheel"
)

// Reason says why a session ended, in the words clients and other implementations know.
type Reason string

// The reasons a session ends for.
const (
	TransportError Reason = "transport error"      // bytes that break the transport's rules, or a client that reads too slowly
	TransportClose Reason = "transport close"      // the client closed, or its connection broke
	ForcedClose    Reason = "forced close"         // Session.Close
	PingTimeout    Reason = "ping timeout"         // a ping was not answered in time
	ParseError     Reason = "parse error"          // bytes that are not Engine.IO packets
	ServerShutdown Reason = "server shutting down" // Server.Shutdown
	Moved          Reason = "moved"                // Server.Shed: the client may come back, to another node
)

// SendFlags says how a message is to be sent. The zero value sends it at once and for sure.
type SendFlags uint8

const (
	// Volatile lets the message be dropped if the client cannot take it now.
	Volatile SendFlags = 1 << iota
	// Deferred lets the message wait a moment for others to the same client and leave with them. Broadcasts use it.
	Deferred
)

// Session is one client's Engine.IO session. All methods are safe for concurrent use.
type Session struct {
	conn    atomic.Pointer[netconn.Conn] // set once the transport is WebSocket
	alive   atomic.Bool                  // something arrived since the last ping
	life    atomic.Uint32                // its stage; changed with mu held
	framing framing                      // on WebSocket; fixed by the handshake
	// pending says that the session is not settled; guarded by mu, and here because there is room.
	pending bool

	server    *Server
	receiver  Receiver
	id        string
	handshake Handshake

	inMu sync.Mutex // one call of the receiver at a time; held from when the session is in the table until it has a receiver

	mu      sync.Mutex // guards the following
	pulse   pulse
	paused  bool
	due     time.Time
	timer   wheel.Timer
	polling *polling      // nil once the transport is WebSocket
	upgrade *upgrade      // while one is tried
	resumed chan struct{} // not nil while a POST waits for Resume
}

// pulse is where a session is between one ping and the next.
type pulse uint8

const (
	calm    pulse = iota // the next ping is due in a while
	awaited              // a ping has not been answered
	overdue              // nor was it in time; at the next look the session is over
)

// ID returns the session's id. It is a credential of the client: do not show it to others.
func (s *Session) ID() string { return s.id }

// Settle says that the client has shown what it came for, if Options.Pending is set: it counts as pending no more.
func (s *Session) Settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending && s.stage() != gone {
		s.pending = false
		s.server.opts.Admission.Settle()
	}
}

// LogValue is what logs call the session: its id would let whoever reads them act as the client.
func (s *Session) LogValue() slog.Value {
	sum := sha256.Sum256([]byte(s.id))
	return slog.StringValue(hex.EncodeToString(sum[:4]))
}

// Handshake returns what is kept of the request that opened the session.
func (s *Session) Handshake() *Handshake { return &s.handshake }

// Transport returns the name of the transport in use: Polling or WebSocket.
func (s *Session) Transport() string {
	if s.conn.Load() != nil {
		return WebSocket
	}
	return Polling
}

// begin hands the session to the handler and starts its heartbeat. It reports false, and the session has ended, if the
// handler panicked.
func (s *Session) begin() bool {
	opened := s.open()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over() { // closed by the handler
		return opened
	}
	interval := s.server.opts.PingInterval
	s.due = time.Now().Add(interval)
	s.server.wheel.Set(&s.timer, (*expirer)(s), interval)
	return opened
}

// open makes the session's receiver. A shutdown may have ended the session already; its receiver is told after this.
func (s *Session) open() (opened bool) {
	defer s.inMu.Unlock() // locked by Server.add
	defer s.recovered("Handler.Open")
	s.receiver = s.server.handler.Open(s)
	return true
}

var errPanicked = errors.New("engineio: the session's handler panicked")

// recovered is deferred around the calls of handlers and receivers: a panic in one ends its session, whatever the
// transport, and nothing else.
func (s *Session) recovered(method string) {
	v := recover()
	if v == nil {
		return
	}
	s.server.panics.Add(1)
	s.server.log.Error("engineio: panic in a handler; the session is closed", slog.String("method", method), slog.Any("panic", v),
		slog.String("stack", string(debug.Stack())))
	s.CloseWith(TransportError, errPanicked)
}

// Send sends p: all its messages, in order, or none. It never blocks. It returns ErrClosed if the session has ended,
// ErrDropped if flags allow dropping p and it was dropped, and ErrSlowConsumer if p did not fit into the send buffer any
// more, in which case the session is closed.
func (s *Session) Send(p *Prepared, flags SendFlags) error {
	conn := s.conn.Load()
	if conn == nil {
		var sent bool
		if sent, conn = s.sendPolling(p, flags); sent {
			return nil
		}
		if conn == nil {
			return s.refusal(flags)
		}
	}
	err := conn.Write(p.in(s.framing), netconn.Mode(flags)) // the two have the same bits
	switch {
	case err == nil:
		return nil
	case errors.Is(err, netconn.ErrDropped):
		return ErrDropped
	case errors.Is(err, netconn.ErrSlow):
		s.CloseWith(lost(err))
		return ErrSlowConsumer
	default:
		return ErrClosed
	}
}

// SendWhole sends all of batch, in order, or nothing, however much that is: it does not count against what may wait for the
// client on either transport, so the caller bounds it. It never blocks. It returns ErrClosed if the session has ended.
func (s *Session) SendWhole(batch []*Prepared) error {
	s.mu.Lock()
	conn := s.conn.Load()
	if conn == nil {
		defer s.mu.Unlock()
		t := s.polling
		if s.over() || t == nil {
			return ErrClosed
		}
		before := t.bytes
		for _, p := range batch {
			t.push(p)
		}
		t.whole += t.bytes - before
		t.wake()
		return nil
	}
	s.mu.Unlock()
	total := 0
	for _, p := range batch {
		total += len(p.in(s.framing))
	}
	conn.Widen(total)
	for i, p := range batch {
		mode := netconn.Deferred // what leaves together leaves in one write
		if i == len(batch)-1 {
			mode = 0
		}
		if err := conn.Write(p.in(s.framing), mode); err != nil {
			s.CloseWith(lost(err))
			return ErrClosed
		}
	}
	if conn.Queued() == 0 { // as nearly always
		conn.Widen(-total)
	}
	return nil
}

// Close ends the session with the reason ForcedClose. What was sent before still reaches the client.
func (s *Session) Close() { s.end(ForcedClose, nil, true) }

// CloseWith ends the session at once for the given reason and cause; what waits for the client is dropped, except that a
// client that broke the rules is still told in the transport's own way.
func (s *Session) CloseWith(reason Reason, cause error) { s.end(reason, cause, false) }

// expirer is a session as the timer wheel sees it.
type expirer Session

// Expire implements [wheel.Expirer].
func (e *expirer) Expire() { (*Session)(e).expire() }

// expire looks at the session when a time it has set is over.
func (s *Session) expire() {
	s.mu.Lock()
	if s.over() {
		conn := s.conn.Load()
		s.mu.Unlock()
		if conn != nil {
			conn.Close(nil)
			return
		}
		s.CloseWith(ForcedClose, nil)
		return
	}
	now := time.Now()
	if wait := s.due.Sub(now); wait > 0 { // a pong moved the time on without touching the wheel
		s.server.wheel.Set(&s.timer, (*expirer)(s), wait)
		s.mu.Unlock()
		return
	}
	timeout := s.server.opts.PingTimeout
	switch {
	case s.pulse != calm && (s.paused || s.alive.Swap(false)):
		// It talks, or would if we listened: its pong stands behind what is being transferred.
		s.pulse = awaited
	case s.pulse == awaited:
		// The clock alone is no judge: the process may have been stopped for all of the time, and the answer have arrived.
		// What has is read before the next look.
		s.pulse, timeout = overdue, s.server.grace
	case s.pulse == overdue:
		s.mu.Unlock()
		s.CloseWith(PingTimeout, nil)
		return
	default:
		s.pulse = awaited
		s.alive.Store(false)
		// Left to the flushers, of which there is one for each core: the wheel has one goroutine.
		defer s.Send(pingPacket, Deferred) // a session that ends meanwhile needs no ping
	}
	s.due = s.due.Add(timeout) // from when it was due, so that the wheel's lateness does not add up
	if !s.due.After(now) {
		s.due = now.Add(timeout)
	}
	s.server.wheel.Set(&s.timer, (*expirer)(s), s.due.Sub(now))
	s.mu.Unlock()
}

// late reports whether the client has not answered a ping in time, though it is not judged yet. It is called with s.mu
// held.
func (s *Session) late() bool {
	return !s.over() && s.pulse != calm && !s.paused && !s.alive.Load() && (s.pulse == overdue || !time.Now().Before(s.due))
}

// pong notes the answer to a ping. The timer is moved only if the next ping is due before it fires.
func (s *Session) pong() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over() {
		return
	}
	interval := s.server.opts.PingInterval
	next := time.Now().Add(interval)
	sooner := next.Before(s.due)
	s.pulse, s.due = calm, next
	if sooner {
		s.server.wheel.Set(&s.timer, (*expirer)(s), interval)
	}
}

// Pause stops reading from the client, so that its own connection slows it down. A message that is being handled is not
// held back, and its heartbeat does not run out meanwhile.
func (s *Session) Pause() {
	s.mu.Lock()
	s.paused = true
	s.mu.Unlock()
	if conn := s.conn.Load(); conn != nil {
		conn.Pause()
	}
}

// Resume continues reading after Pause.
func (s *Session) Resume() {
	s.alive.Store(true) // what it sent meanwhile is still to be read: it has its time again
	s.mu.Lock()
	s.paused = false
	s.wakePost()
	s.mu.Unlock()
	if conn := s.conn.Load(); conn != nil {
		conn.Resume()
	}
}

// wakePost lets a POST go on that waits for Resume. It is called with s.mu held.
func (s *Session) wakePost() {
	if s.resumed != nil {
		close(s.resumed)
		s.resumed = nil
	}
}

var errDirection = errors.New("engineio: invalid heartbeat direction: the server sends the pings")

// packet handles a packet that arrived on the transport in use. What arrives after the session has ended is dropped.
func (s *Session) packet(p eioproto.Packet) {
	s.alive.Store(true)
	switch p.Type {
	case eioproto.Message:
		s.message(p)
	case eioproto.Pong:
		s.pong()
	case eioproto.Ping:
		s.CloseWith(TransportError, errDirection)
	case eioproto.Close:
		s.CloseWith(TransportClose, nil)
	case eioproto.Open, eioproto.Upgrade, eioproto.Noop: // mean nothing on an established transport
	}
}

func (s *Session) message(p eioproto.Packet) {
	s.inMu.Lock()
	defer s.inMu.Unlock()
	defer s.recovered("Receiver.Message")
	if s.over() {
		return
	}
	s.server.received.Add(1)
	s.receiver.Message(Message{Binary: p.Binary, Data: p.Data})
}
