package swarm

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/peal-dev/peal/internal/bench/evloop"
	"github.com/peal-dev/peal/internal/bench/hist"
)

// Transport is how clients speak to the server.
type Transport string

// The transports.
const (
	WebSocket  Transport = "websocket"  // Socket.IO 5 in WebSocket frames
	Polling    Transport = "polling"    // Socket.IO 5 by HTTP long polling
	SSE        Transport = "sse"        // Server-Sent Events
	Centrifuge Transport = "centrifuge" // Centrifugo's JSON protocol in WebSocket frames
	HTTP       Transport = "http"       // requests that the owner sends; the swarm checks that they succeed
)

// Config says what the clients of a Swarm do. Target is required.
type Config struct {
	Target    netip.AddrPort
	First     int       // number of the first client among all that connect to the target's machine: chooses its local address
	Narrow    int       // bytes that the kernel keeps for a client that does not read, see evloop.Loop.DialNarrow; 0 leaves it to the kernel
	Path      string    // of the endpoint; empty means /socket.io/, for SSE /v1/events
	Transport Transport // empty means WebSocket
	// Session returns the id of the Engine.IO session, opened by long polling, that client i goes on with: by polling, or by
	// an upgrade to WebSocket. Nil, or an empty id, opens a session.
	Session func(i int) string
	// Subscribe returns the Socket.IO packet that makes client i a member of its rooms, such as `20["join","a"]`: an
	// event that asks for the ack with id 0. For SSE it returns the query of the request, for Centrifuge commands, one to
	// a line. Nil, or an empty packet, subscribes to nothing.
	Subscribe func(i int) string
	// Greeting is what the first event of an SSE stream must contain that is subscribed; it is no message. Empty takes
	// the status for it.
	Greeting string
	// Again is how long a client may take to be ready before it gives up and connects anew, as the clients of users do;
	// zero lets it wait.
	Again time.Duration
	// Return says how long client i waits before it connects again when it was lost or not let in, for the attempt-th time
	// in a row, from 1. Nil has it stay away, and Err say why.
	Return func(i, attempt int) time.Duration
	// Ready is told of each client that becomes ready, and Gone of each that was and is lost.
	Ready, Gone func(c *Client)
	// Message is given the bytes of an event that a client received.
	Message func(c *Client, payload []byte)
	// Ack is given the bytes of an acknowledgement, id first.
	Ack func(c *Client, payload []byte)
}

// Swarm is a number of clients of one server. Like the loop it lives on it belongs to one goroutine.
type Swarm struct {
	cfg     Config
	loop    *evloop.Loop
	clients []*Client
	ready   int
	err     error          // why the first client was lost
	lost    int            // clients that were ready and are not any more
	again   int            // clients that had to connect anew
	prompt  time.Time      // when the last client became ready that connected once only
	looked  time.Time      // when clients that wait were looked for
	joining hist.Histogram // time from connect to ready
	buf     []byte         // for frames and requests
	request []byte         // for the upgrade, once it was made
	away    absences       // clients that will connect again
}

// New returns a swarm without clients.
func New(loop *evloop.Loop, cfg Config) *Swarm {
	if cfg.Transport == "" {
		cfg.Transport = WebSocket
	}
	if cfg.Path == "" {
		cfg.Path = "/socket.io/"
		if cfg.Transport == SSE {
			cfg.Path = "/v1/events"
		}
	}
	if cfg.Message == nil {
		cfg.Message = func(*Client, []byte) {}
	}
	if cfg.Ack == nil {
		cfg.Ack = func(*Client, []byte) {}
	}
	if cfg.Ready == nil {
		cfg.Ready = func(*Client) {}
	}
	if cfg.Gone == nil {
		cfg.Gone = func(*Client) {}
	}
	return &Swarm{cfg: cfg, loop: loop}
}

// Clients returns the clients, in the order in which they were connected.
func (s *Swarm) Clients() []*Client { return s.clients }

// Lost returns how many clients were disconnected after they had been ready.
func (s *Swarm) Lost() int { return s.lost }

// Err returns why the first client was lost, or nil.
func (s *Swarm) Err() error { return s.err }

// Joining returns the times clients took from connect to ready.
func (s *Swarm) Joining() *hist.Histogram { return &s.joining }

// Connect adds n clients and returns when all are ready: connected, in the namespace, and subscribed. At most atOnce are
// on their way at a time.
func (s *Swarm) Connect(ctx context.Context, n, atOnce int) error {
	want := s.ready + n
	for s.ready < want {
		for len(s.clients) < want && len(s.clients)-s.ready < atOnce {
			if err := s.dial(len(s.clients)); err != nil {
				return err
			}
		}
		if err := s.Poll(ctx); err != nil {
			return fmt.Errorf("after %d of %d connections: %w", s.ready, want, err)
		}
		if err := s.redial(); err != nil {
			return err
		}
		if s.err != nil {
			return fmt.Errorf("after %d of %d connections: %w", s.ready, want, s.err)
		}
	}
	return nil
}

// Again returns how many times a client had to connect anew because it was not ready in time.
func (s *Swarm) Again() int { return s.again }

// Prompt returns when the last client became ready that did not have to connect anew.
func (s *Swarm) Prompt() time.Time { return s.prompt }

// redial replaces the clients that have waited too long.
func (s *Swarm) redial() error {
	pause := time.Since(s.looked)
	if s.cfg.Again == 0 || pause < s.cfg.Again/10 { // looking at all clients is not for every event
		return nil
	}
	s.looked = time.Now()
	if pause > s.cfg.Again/2 { // it is this process that stood still, on a busy machine; the answers may be there already
		return nil
	}
	for i, c := range s.clients {
		if c.state == ready || time.Since(c.dialed) < s.cfg.Again {
			continue
		}
		c.conn.Close()
		s.again++
		fresh, err := s.connect(i)
		if err != nil {
			return err
		}
		fresh.again = true
		s.clients[i] = fresh
	}
	return nil
}

// slice bounds how long a Poll waits before it looks at its context.
const slice = 50 * time.Millisecond

// Poll handles what happens next on the loop, or nothing for a moment.
func (s *Swarm) Poll(ctx context.Context) error { return s.poll(ctx, slice) }

func (s *Swarm) poll(ctx context.Context, wait time.Duration) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	next, err := s.returning(time.Now())
	if err != nil {
		return err
	}
	return s.loop.Poll(min(wait, next))
}

// ErrTimeout is returned by Until when the time is over.
var ErrTimeout = errors.New("the time is over")

// Until polls until done returns true; it fails after limit with ErrTimeout, or when ctx is done.
func (s *Swarm) Until(ctx context.Context, limit time.Duration, done func() bool) error {
	deadline := time.Now().Add(limit)
	for !done() {
		if err := s.poll(ctx, min(max(time.Until(deadline), 0), slice)); err != nil {
			return err
		}
		if time.Now().After(deadline) && !done() {
			return ErrTimeout
		}
	}
	return nil
}

func (s *Swarm) dial(i int) error {
	c, err := s.connect(i)
	if err == nil {
		s.clients = append(s.clients, c)
	}
	return err
}

func (s *Swarm) connect(i int) (*Client, error) {
	c := &Client{Index: i, swarm: s, dialed: time.Now()}
	var h evloop.Handler
	switch s.cfg.Transport {
	case Polling:
		h = &polling{Client: c}
	case SSE:
		h = &stream{Client: c}
	case Centrifuge:
		h = &centrifuge{Client: c}
	case HTTP:
		h = &poster{polling{Client: c}}
	default:
		h = (*webSocket)(c)
	}
	conn, err := s.loop.DialNarrow(evloop.Source(s.cfg.First+i, s.cfg.Target), s.cfg.Target, h, s.cfg.Narrow)
	if err != nil {
		return nil, err
	}
	c.conn = conn
	return c, nil
}

// Close disconnects all clients at once.
func (s *Swarm) Close() {
	for _, c := range s.clients {
		c.conn.Close()
	}
	s.clients, s.ready = nil, 0
}

// Client is one client of a Swarm.
type Client struct {
	// Index is the client's number within its swarm.
	Index int
	// Count and Sent are for the user of the swarm.
	Count uint32
	Sent  time.Duration

	swarm  *Swarm
	conn   *evloop.Conn
	dialed time.Time
	again  bool // it is not the first with this number
	failed int  // attempts to connect again, since it was ready last
	state  state
	lost   bool
	send   func(packet string) // Engine.IO packets; nil means as WebSocket frames
}

type state uint8

const (
	handshaking state = iota // the transport
	probing                  // whether a session can go on by WebSocket
	connecting               // to the namespace
	subscribing
	ready
)

// Send sends bytes as they are: a frame made by wire.AppendFrame, on a WebSocket.
func (c *Client) Send(frame []byte) { c.conn.Write(frame) }

// Pause makes the client stop reading; Resume undoes it.
func (c *Client) Pause() { c.conn.Pause() }

// Resume undoes Pause.
func (c *Client) Resume() { c.conn.Resume() }

// session returns the part of a request's query that names the session to go on with, and "" without one.
func (c *Client) session() string {
	if f := c.swarm.cfg.Session; f != nil {
		if sid := f(c.Index); sid != "" {
			return "&sid=" + sid
		}
	}
	return ""
}

func (c *Client) becomeReady() {
	c.state = ready
	c.swarm.ready++
	now := time.Now()
	c.swarm.joining.Record(now.Sub(c.dialed))
	if !c.again {
		c.swarm.prompt = now
	}
	c.failed = 0
	c.swarm.cfg.Ready(c)
}

// Closed implements evloop.Handler.
func (c *Client) Closed(_ *evloop.Conn, cause error) {
	s := c.swarm
	if s.err == nil && s.cfg.Return == nil {
		s.err = fmt.Errorf("client %d lost its connection: %w", c.Index, cause)
	}
	if c.state == ready {
		s.lost++
		c.lost = true
		s.cfg.Gone(c)
	}
	if s.cfg.Return != nil {
		s.leave(c)
	}
}

// Lost reports whether the client was disconnected after it had been ready.
func (c *Client) Lost() bool { return c.lost }
