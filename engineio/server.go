package engineio

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/peal-dev/peal/engineio/eioproto"
	"github.com/peal-dev/peal/internal/lograte"
	"github.com/peal-dev/peal/internal/netconn"
	"github.com/peal-dev/peal/internal/tally"
	"github.com/peal-dev/peal/internal/wheel"
	"github.com/peal-dev/peal/origin"
)

// Handler is told of new sessions.
type Handler interface {
	// Open is called once for each session, before any of its messages, and returns what receives them. What it sends
	// goes out right behind the open packet. It must not block. A panic ends the session, here as in a Receiver.
	Open(s *Session) Receiver
}

// HandlerFunc is a function that serves as a Handler.
type HandlerFunc func(*Session) Receiver

// Open calls f.
func (f HandlerFunc) Open(s *Session) Receiver { return f(s) }

// Receiver receives the messages of one session. Its methods are called one at a time and must not block: the goroutine
// that calls them reads other sessions too. Work that takes time belongs on another goroutine, with Session.Pause while
// too much of it waits. A panic ends the session with the reason TransportError, and is logged and counted.
type Receiver interface {
	// Message is called for each message, in order. Data is valid only during the call.
	Message(m Message)
	// Close is called once, after the last Message, with the reason and, where there is one, its cause. It is called on
	// a goroutine of its own, never from within Session.Send or Session.Close.
	Close(reason Reason, cause error)
}

// Stats counts what a Server has done.
type Stats struct {
	Sessions  int               // open now
	Opened    uint64            // since the server was made
	Refused   map[string]uint64 // requests answered with an error, by ConnectionError.Reason
	Upgrades  uint64            // sessions that moved from polling to WebSocket
	Requests  int               // being served now: handshakes, polls that wait, POSTs
	MessageIn uint64            // messages received
	Panics    uint64            // of the handler and of receivers; each has ended its session

	WebSockets WebSocketStats
}

// WebSocketStats counts what happened to the WebSocket connections of a Server since it was made.
type WebSocketStats struct {
	Open    int    // now
	Polled  int    // of these, read by an event poller; the others have a goroutine each
	Slow    uint64 // closed because their client did not read
	Dropped uint64 // volatile messages that a connection could not take
	Writes  uint64 // system calls that wrote
	Frames  uint64 // frames that these took along
	Panics  uint64 // while what had arrived was handled; each has closed its connection
	// Unpolled counts what kept connections from a poller, such as the lack of descriptors.
	Unpolled uint64
}

// Server serves Engine.IO sessions. It is an http.Handler, safe for concurrent use. Shutdown ends it.
type Server struct {
	handler Handler
	opts    Options
	log     *slog.Logger
	often   *lograte.Logger // for what may happen with every request
	loop    netconn.Loop
	wheel   wheel.Wheel
	grace   time.Duration // how long a deadline that has passed waits for what has arrived to be read

	pages     *origin.Guard
	openTails [2]string // for Polling and WebSocket

	wg sync.WaitGroup // sessions whose receivers have not been told of their end

	mu       sync.RWMutex
	sessions map[string]*Session
	closed   bool

	live, serving                      atomic.Int64
	opened, upgraded, received, panics atomic.Uint64
	refused                            tally.Tally
}

// maxGrace is the longest grace. What had arrived when a process was stopped is read well within it.
const maxGrace = time.Second

// NewServer makes a Server whose sessions are given to h. It panics if Options.CORS is not valid.
func NewServer(h Handler, opts *Options) *Server {
	s := &Server{handler: h, opts: opts.withDefaults(), sessions: make(map[string]*Session)}
	s.log = s.opts.Logger
	s.often = lograte.New(s.log, lograte.Every)
	s.pages = s.opts.CORS.Guard(http.MethodGet, http.MethodPost)
	s.openTails = [2]string{openTail(&s.opts, Polling), openTail(&s.opts, WebSocket)}
	s.loop.Goroutines, s.loop.Logger = s.opts.Goroutines, s.log
	s.grace = min(s.opts.PingTimeout/4, maxGrace)
	s.wheel.Tick = min(wheel.DefaultTick, max(s.opts.PingInterval/100, time.Millisecond))
	return s
}

// Len returns how many sessions are open.
func (s *Server) Len() int { return int(s.live.Load()) }

// Stats returns the server's counters.
func (s *Server) Stats() Stats {
	loop := s.loop.Stats()
	return Stats{
		Sessions: s.Len(), Opened: s.opened.Load(), Refused: s.refused.Counts(), Upgrades: s.upgraded.Load(),
		Requests: int(s.serving.Load()), MessageIn: s.received.Load(), Panics: s.panics.Load(),
		WebSockets: WebSocketStats{
			Open: int(loop.Conns), Polled: int(loop.Polled), Slow: loop.Slow, Dropped: loop.Dropped,
			Writes: loop.Writes, Frames: loop.Frames, Panics: loop.Panics, Unpolled: loop.Unpolled,
		},
	}
}

// ServeHTTP serves the requests of Engine.IO clients: those whose path it is mounted on. It sets the deadlines of their
// connections itself (Options.BodyTimeout and WriteTimeout).
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.serving.Add(1)
	defer s.serving.Add(-1)
	if hasBody(r) || !isUpgrade(r) {
		s.accept(w, r)
	}
	if controlled(r.Header.Get("Origin")) {
		s.refuse(w, r, refused(BadRequest, "INVALID_ORIGIN", "the Origin header has control characters"))
		return
	}
	if r.Method == http.MethodOptions { // the answer is written below
		s.dismiss(w, r)
	}
	done, err := s.pages.Admit(w, r)
	if err != nil {
		e := refused(Forbidden, "ORIGIN_NOT_ALLOWED", "list it in CORS.AllowOrigins")
		e.Err = err
		s.refuse(w, r, e)
		return
	}
	if done {
		return
	}
	q := query(r.URL.RawQuery)
	transport, sid := q.last("transport"), q.last("sid")
	if !s.opts.allows(transport) {
		s.refuse(w, r, refused(UnknownTransport, "", "transport "+transport))
		return
	}
	if sid == "" {
		s.open(w, r, q, transport)
		return
	}
	sess := s.session(sid)
	switch {
	case sess == nil && s.opts.Elsewhere != nil && s.opts.Elsewhere(w, r, sid):
	case sess == nil:
		s.refuse(w, r, refused(UnknownSession, "", "no session has this sid"))
	case q.last("EIO") != "4":
		s.refuse(w, r, refused(BadRequest, "PROTOCOL_MISMATCH", "the session speaks EIO=4"))
	case isUpgrade(r):
		s.acceptUpgrade(w, r, sess, transport)
	case transport != sess.Transport():
		s.refuse(w, r, mismatch(sess))
	default:
		sess.servePolling(w, r)
	}
}

func mismatch(sess *Session) *ConnectionError {
	return refused(BadRequest, "TRANSPORT_MISMATCH", "the session's transport is "+sess.Transport())
}

// controlled reports whether a header has control characters, which net/http lets pass.
func controlled(header string) bool {
	return strings.ContainsFunc(header, func(c rune) bool { return c < 0x20 || c == 0x7f })
}

// open opens a session.
func (s *Server) open(w http.ResponseWriter, r *http.Request, q query, transport string) {
	if err := s.opts.Admission.Enter(r.RemoteAddr, s.opts.Pending); err != nil {
		s.refuse(w, r, notAdmitted(err))
		return
	}
	sess, e := s.newSession(r, q, transport)
	if e != nil {
		s.refuse(w, r, e)
	}
	if e != nil || !s.openOn(w, r, q, sess, transport) { // else it leaves with the session
		s.opts.Admission.Leave(r.RemoteAddr, s.opts.Pending)
	}
}

// openOn opens a session on a transport. If it returns false, the request has been answered and there was none.
func (s *Server) openOn(w http.ResponseWriter, r *http.Request, q query, sess *Session, transport string) bool {
	if isUpgrade(r) {
		return s.openWebSocket(w, r, sess, transport)
	}
	t := newPolling(q)
	sess.polling = t
	if !s.add(sess) {
		s.refuseShutdown(w, r)
		return false
	}
	packet := control(eioproto.Open, s.openText(sess, transport))
	if !sess.begin() { // it has ended, as sessions do
		s.dismiss(w, r)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return true
	}
	s.setCookie(w, sess)
	sess.respond(t, w, r, packet.in(pollingPayload))
	return true
}

// newSession makes the session a handshake asks for, or says why not.
func (s *Server) newSession(r *http.Request, q query, transport string) (*Session, *ConnectionError) {
	switch {
	case r.Method != http.MethodGet:
		return nil, refused(BadHandshakeMethod, "", "method "+r.Method)
	case transport == WebSocket && !isUpgrade(r):
		return nil, refused(BadRequest, "TRANSPORT_HANDSHAKE_ERROR", "a WebSocket handshake asks for an upgrade")
	case len(r.URL.Path)+len(r.URL.RawQuery) > s.opts.HeaderLimit: // it is kept, too
		return nil, refused(BadRequest, "URL_TOO_LONG", "a handshake's URL may be as long as Options.HeaderLimit; send large values as auth")
	case q.has("j") && !s.opts.JSONP:
		return nil, refused(Forbidden, "JSONP_DISABLED", "JSONP is off; see Options.JSONP")
	}
	if s.opts.AllowRequest != nil {
		if err := s.opts.AllowRequest(r); err != nil {
			e := refused(Forbidden, "", "")
			e.Err = err
			if text := err.Error(); text != "" {
				e.Message = text
			}
			return nil, e
		}
	}
	if q.last("EIO") != "4" {
		return nil, refused(UnsupportedVersion, "", "EIO "+q.last("EIO"))
	}
	id, err := s.opts.GenerateID(r)
	if err != nil {
		e := refused(BadRequest, "ID_GENERATION_ERROR", "")
		e.Err = err
		return nil, e
	}
	handshake, leftOut := newHandshake(r, s.opts.HeaderLimit)
	if len(leftOut) > 0 {
		s.often.Log(r.Context(), slog.LevelWarn, "header limit", "engineio: not all headers of a handshake are kept; see Options.HeaderLimit",
			slog.Any("left_out", leftOut), slog.String("remote", r.RemoteAddr))
	}
	return &Session{server: s, id: id, handshake: handshake, pending: s.opts.Pending, framing: webSocketFraming(q)}, nil
}

// setCookie sets the session's cookie on the answer that opens it.
func (s *Server) setCookie(w http.ResponseWriter, sess *Session) {
	if c := s.opts.cookie(sess.id); c != nil {
		http.SetCookie(w, c)
	}
}

// openTail makes what follows the sid in the first packet of a session. It is the same for all that begin with the same
// transport. The order of the keys is the reference's.
func openTail(o *Options, transport string) string {
	data, _ := json.Marshal(struct { // cannot fail
		Upgrades     []string `json:"upgrades"`
		PingInterval int64    `json:"pingInterval"`
		PingTimeout  int64    `json:"pingTimeout"`
		MaxPayload   int      `json:"maxPayload"`
	}{o.upgrades(transport), o.PingInterval.Milliseconds(), o.PingTimeout.Milliseconds(), o.MaxPayload})
	return `,` + string(data[1:])
}

// openText makes the text of a session's first packet, which follows the packet's type.
func (s *Server) openText(sess *Session, transport string) string {
	tail := s.openTails[0]
	if transport == WebSocket {
		tail = s.openTails[1]
	}
	sid := sess.id
	if !plainID(sid) { // made by an Options.GenerateID with a taste of its own
		quoted, _ := json.Marshal(sid) // a string cannot fail
		return `{"sid":` + string(quoted) + tail
	}
	return `{"sid":"` + sid + `"` + tail
}

// plainID reports whether an id is JSON as it is.
func plainID(id string) bool {
	return !strings.ContainsFunc(id, func(r rune) bool { return r < 0x20 || r > 0x7e || r == '"' || r == '\\' })
}

// add enters a session into the table, with its receiver's mutex locked: whoever ends it from there tells a receiver that
// is still to be made by Session.open, which unlocks. False says that the server is shutting down.
func (s *Server) add(sess *Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	sess.inMu.Lock()
	s.sessions[sess.id] = sess
	s.wg.Add(1) // before Shutdown can wait, which an Add at the session's end would not be
	s.live.Add(1)
	s.opened.Add(1)
	return true
}

// remove is called once for each session that was added, when nothing of it is left but its connection.
func (s *Server) remove(sess *Session) {
	sess.mu.Lock()
	pending := sess.pending
	sess.mu.Unlock()
	s.opts.Admission.Leave(sess.handshake.remote, pending)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[sess.id] == sess {
		delete(s.sessions, sess.id)
	}
}

func (s *Server) session(sid string) *Session {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.sessions[sid]
}

func (s *Server) refuseShutdown(w http.ResponseWriter, r *http.Request) {
	s.dismiss(w, r)
	w.Header().Set("Connection", "close")
	http.Error(w, "the server is shutting down", http.StatusServiceUnavailable)
}
