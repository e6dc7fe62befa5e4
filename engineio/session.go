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
)

// SendFlags says how a message is to be sent. The zero value sends it at once and for sure.
type SendFlags uint8

const (
	// Volatile lets the message be dropped if the client cannot take it now.
	Volatile SendFlags = 1 << iota
	// Deferred lets the message wait a moment for others to the same client and leave with them. Broadcasts use it.
	Deferred
)

const (
	// lingerTimeout bounds how long a session that has ended waits for its client to take the last bytes.
	lingerTimeout = 30 * time.Second
	// leaveGrace is how long a session that its client closed waits for a poll that was sent at the same time.
	leaveGrace = time.Second
)

// Session is one client's Engine.IO session. All methods are safe for concurrent use.
type Session struct {
	conn    atomic.Pointer[netconn.Conn] // set once the transport is WebSocket
	alive   atomic.Bool                  // something arrived since the last ping
	over    atomic.Bool                  // ended, or about to: what still arrives is dropped
	framing framing                      // on WebSocket; fixed by the handshake
	// pending says that the session is not settled; guarded by mu, and here because there is room.
	pending bool

	server    *Server
	receiver  Receiver
	id        string
	handshake Handshake

	inMu  sync.Mutex // one call of the receiver at a time
	ended bool       // the receiver has been told; guarded by inMu

	mu       sync.Mutex // guards the following
	state    state
	awaiting bool // a ping has not been answered
	overdue  bool // nor was it in time; at the next look the session is over
	paused   bool
	due      time.Time
	timer    wheel.Timer
	polling  *polling      // nil once the transport is WebSocket
	upgrade  *upgrade      // while one is tried
	resumed  chan struct{} // not nil while a POST waits for Resume
}

type state uint8

const (
	stateOpen    state = iota
	stateLeaving       // ended on polling: the client has yet to fetch the last packets
	stateClosed
)

// ID returns the session's id. It is a credential of the client: do not show it to others.
func (s *Session) ID() string { return s.id }

// Settle says that the client has shown what it came for, if Options.Pending is set: it counts as pending no more.
func (s *Session) Settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending && s.state != stateClosed {
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
	if s.state != stateOpen { // closed by the handler
		return opened
	}
	interval := s.server.opts.PingInterval
	s.due = time.Now().Add(interval)
	s.server.wheel.Set(&s.timer, (*expirer)(s), interval)
	return opened
}

func (s *Session) open() (opened bool) {
	s.inMu.Lock()
	defer s.inMu.Unlock()
	defer s.recovered("Handler.Open")
	receiver := s.server.handler.Open(s)
	if s.ended { // by a shutdown
		receiver.Close(ServerShutdown, nil)
	}
	s.receiver = receiver
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

// Close ends the session with the reason ForcedClose. What was sent before still reaches the client.
func (s *Session) Close() { s.end(ForcedClose, nil, true) }

// CloseWith ends the session at once for the given reason and cause; what waits for the client is dropped, except that a
// client that broke the rules is still told in the transport's own way.
func (s *Session) CloseWith(reason Reason, cause error) { s.end(reason, cause, false) }

// end ends the session. With flush set, what waits for the client is still delivered.
func (s *Session) end(reason Reason, cause error, flush bool) {
	s.mu.Lock()
	if s.state == stateClosed || (s.over.Load() && flush) {
		s.mu.Unlock()
		return
	}
	told := s.over.Swap(true) // the receiver knows already
	s.state = stateClosed
	if s.resumed != nil {
		close(s.resumed)
		s.resumed = nil
	}
	s.polling.cut()
	if s.polling != nil && reason == PingTimeout {
		s.polling.missed = true
	}
	up := s.upgrade
	s.upgrade = nil
	conn := s.conn.Load()
	switch {
	case conn != nil:
	case told:
		s.polling.discard(endPacket)
	case flush:
		s.leaveIf(s.polling.leave())
	case reason == TransportClose:
		s.leaveIf(s.polling.discard(noopPacket)) // the client said it leaves: it wants its poll back, not a goodbye
	default:
		s.polling.discard(endPacket)
	}
	s.linger(conn, flush)
	leaving := s.state == stateLeaving
	s.mu.Unlock()

	up.abandon()
	if conn != nil {
		s.closeConn(conn, reason, cause, flush)
	}
	if !leaving {
		s.server.remove(s)
	}
	if told {
		return
	}
	s.server.live.Add(-1)
	go func() { // the receiver may be in a call, perhaps in the one that ends the session
		defer s.server.wg.Done()
		defer s.recovered("Receiver.Close")
		s.inMu.Lock()
		s.ended = true
		receiver := s.receiver
		s.inMu.Unlock() // a poller with late messages must not wait for what Close waits for
		if receiver != nil {
			receiver.Close(reason, cause)
		}
	}()
}

// leaveIf keeps the session for the poll that is still to come.
func (s *Session) leaveIf(pollToCome bool) {
	if pollToCome {
		s.state = stateLeaving
	}
}

// linger gives the client a bounded time to take what is left, or stops the timer. It is called with s.mu held.
func (s *Session) linger(conn *netconn.Conn, flush bool) {
	switch {
	case conn == nil && s.state == stateClosed:
		s.server.wheel.Stop(&s.timer)
	case conn == nil && !flush:
		s.server.wheel.Set(&s.timer, (*expirer)(s), leaveGrace)
	default:
		s.server.wheel.Set(&s.timer, (*expirer)(s), lingerTimeout)
	}
}

// expirer is a session as the timer wheel sees it.
type expirer Session

// Expire implements [wheel.Expirer].
func (e *expirer) Expire() { (*Session)(e).expire() }

// expire looks at the session when a time it has set is over.
func (s *Session) expire() {
	s.mu.Lock()
	if s.state != stateOpen {
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
	case s.awaiting && (s.paused || s.alive.Swap(false)):
		// It talks, or would if we listened: its pong stands behind what is being transferred.
		s.overdue = false
	case s.awaiting && !s.overdue:
		// The clock alone is no judge: the process may have been stopped for all of the time, and the answer have arrived.
		// What has is read before the next look.
		s.overdue, timeout = true, s.server.grace
	case s.awaiting:
		s.mu.Unlock()
		s.CloseWith(PingTimeout, nil)
		return
	default:
		s.awaiting = true
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
	return s.state == stateOpen && s.awaiting && !s.paused && !s.alive.Load() && (s.overdue || !time.Now().Before(s.due))
}

// pong notes the answer to a ping. The timer is moved only if the next ping is due before it fires.
func (s *Session) pong() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateOpen {
		return
	}
	interval := s.server.opts.PingInterval
	next := time.Now().Add(interval)
	sooner := next.Before(s.due)
	s.awaiting, s.overdue, s.due = false, false, next
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
	if s.resumed != nil {
		close(s.resumed)
		s.resumed = nil
	}
	s.mu.Unlock()
	if conn := s.conn.Load(); conn != nil {
		conn.Resume()
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
	if s.over.Load() {
		return
	}
	s.server.received.Add(1)
	s.receiver.Message(Message{Binary: p.Binary, Data: p.Data})
}
