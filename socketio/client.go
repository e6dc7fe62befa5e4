package socketio

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/socketio/sioproto"
)

// client is one connection: it turns the messages of an Engine.IO session into packets and knows which namespaces the
// client has joined. There is one for each idle connection, so it stays small.
type client struct {
	server  *Server
	session *engineio.Session
	decoder sioproto.Decoder
	dead    bool // a violation was seen; only the reading side uses it

	refusedSince uint32     // the second of the server's life in which refusals began to be counted
	mu           sync.Mutex // protects the following, and that
	closed       bool
	joined       bool // a namespace was joined, now or before
	late         bool // none was in time; at the next look the connection is closed
	pause        pauseState
	refusals     uint16      // CONNECTs refused since then
	inbox        *inbox      // what waits for handlers; nil when nothing does and no goroutine drains it
	timer        *time.Timer // runs expire; nil when there is nothing to wait for
	first        *Socket     // most clients join one namespace
	others       []*Socket
}

func newClient(s *Server, session *engineio.Session) *client {
	c := &client{
		server:  s,
		session: session,
		decoder: sioproto.Decoder{MaxAttachments: s.maxAttachments, MaxBytes: s.maxPacketBytes},
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer = time.AfterFunc(s.connectTimeout, c.expire)
	return c
}

// connectGrace is the longest time in which what had arrived is read before a connection is closed for its silence: the
// process may have been stopped.
const connectGrace = time.Second

// expire closes a connection that has joined no namespace in time. One that has is told so, though OnConnect goes on.
func (c *client) expire() {
	c.mu.Lock()
	idle := !c.joined && !c.closed
	if idle && !c.late {
		c.late = true
		c.timer.Reset(min(c.server.connectTimeout/4, connectGrace))
		c.mu.Unlock()
		return
	}
	sockets := c.sockets()
	c.mu.Unlock()
	if idle {
		c.server.log.Debug("socketio: no namespace joined in time", "session", c.session)
		c.session.Close()
		return
	}
	for _, s := range sockets {
		if s.state.Load() == stateOpening {
			c.server.counters.lateOpenings.Add(1)
			s.open()
		}
	}
}

// settle notes that a namespace was joined.
func (c *client) settle() {
	c.session.Settle()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.joined = true
	c.stopTimer()
}

// settleWithin notes that a namespace was joined of which the client is to be told within d. Its sockets join one at a
// time.
func (c *client) settleWithin(d time.Duration) {
	c.session.Settle()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.joined = true
	switch {
	case c.closed:
	case c.timer == nil:
		c.timer = time.AfterFunc(d, c.expire)
	default:
		c.timer.Reset(d)
	}
}

// stopTimer is called with c.mu held.
func (c *client) stopTimer() {
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
}

// Message implements engineio.Receiver.
func (c *client) Message(m engineio.Message) {
	if c.dead {
		return
	}
	var p *sioproto.Packet
	var err error
	if m.Binary {
		p, err = c.decoder.Binary(m.Data)
	} else {
		p, err = c.decoder.Text(m.Data)
	}
	switch {
	case err != nil:
		c.violation(err)
	case p != nil:
		c.packet(p)
	}
}

// Close implements engineio.Receiver. The engine calls it on a goroutine that holds no locks, never from within Send.
func (c *client) Close(reason engineio.Reason, _ error) {
	c.mu.Lock()
	c.closed = true
	c.stopTimer()
	sockets := c.sockets()
	c.mu.Unlock()
	for _, s := range sockets {
		s.shut(reason)
	}
}

var (
	errNotJoined    = errors.New("packet for a namespace that is not joined")
	errJoined       = errors.New("CONNECT for a namespace that is joined already")
	errConnectError = errors.New("CONNECT_ERROR from a client")
)

// violation closes the connection of a client that breaks the protocol: the two sides do not understand each other.
func (c *client) violation(err error) {
	c.dead = true
	c.decoder.Reset()
	c.server.counters.protocolErrors.Add(1)
	c.server.often.Log(context.Background(), slog.LevelInfo, "protocol violation", "socketio: clients are disconnected for packets this server "+
		"does not understand; do they use another parser (such as msgpack), or another version of the protocol?", slog.Any("err", err))
	c.session.Close()
}

func (c *client) packet(p *sioproto.Packet) {
	if p.Type == sioproto.Connect {
		c.connect(p)
		return
	}
	s := c.socket(p.Namespace)
	if s == nil {
		c.violation(errNotJoined)
		return
	}
	switch p.Type {
	case sioproto.Event:
		c.server.counters.eventsIn.Add(1)
		if c.server.draining.Load() {
			s.turnAway(p)
			return
		}
		if s.state.Load() != stateClosed {
			c.push(item{socket: s, packet: p, kind: itemEvent})
		}
	case sioproto.Ack:
		s.acknowledged(p)
	case sioproto.Disconnect:
		c.forget(s)
		if isJoined(s.cease(ReasonClientDisconnect)) {
			c.push(item{socket: s, kind: itemLeft}) // what waits for locks is not done here: this goroutine reads other clients too
		}
	case sioproto.ConnectError:
		c.violation(errConnectError)
	}
}

// connect handles a CONNECT. A second one while the first is being decided is the same wish and not a violation:
// official clients send it when connect() is called twice.
func (c *client) connect(p *sioproto.Packet) {
	ns := c.server.lookup(p.Namespace)
	if ns == nil {
		c.server.refused(RefusedNamespace, slog.String("namespace", p.Namespace))
		c.refuse(p.Namespace, &Error{Message: "Invalid namespace"})
		return
	}
	if len(p.Data) > c.server.authLimit {
		c.server.refused(CodeAuthTooLarge, slog.String("namespace", ns.name), slog.Int("bytes", len(p.Data)))
		c.refuse(ns.name, &Error{Message: fmt.Sprintf("auth has %d bytes, this server takes %d", len(p.Data), c.server.authLimit),
			Data: map[string]string{"code": CodeAuthTooLarge}})
		return
	}
	s := newSocket(ns, c, p.Data)
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	if old := c.find(ns); old != nil {
		switch old.settled() {
		case statePending, stateOpening:
			c.mu.Unlock()
			return
		case stateClosed:
			c.remove(old)
		default:
			c.mu.Unlock()
			c.violation(errJoined)
			return
		}
	}
	if c.first == nil {
		c.first = s
	} else {
		c.others = append(c.others, s)
	}
	c.mu.Unlock()
	c.push(item{socket: s, kind: itemJoin})
}

// maxRefusals CONNECTs of a connection may be refused within refusalPeriod; one more closes it. Each costs an answer, and
// no program asks so often in vain.
const (
	maxRefusals   = 100
	refusalPeriod = 10 * time.Second
)

// strike counts a refusal and reports whether there were too many.
func (c *client) strike() (tooMany bool) {
	now := uint32(time.Since(c.server.started) / time.Second)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refusals == 0 || now-c.refusedSince >= uint32(refusalPeriod/time.Second) {
		c.refusedSince, c.refusals = now, 0
	}
	c.refusals++
	if c.refusals == maxRefusals+1 {
		c.server.counters.connectFloods.Add(1)
	}
	return c.refusals > maxRefusals
}

// refuse answers a CONNECT with a CONNECT_ERROR.
func (c *client) refuse(namespace string, e *Error) {
	if c.strike() {
		c.session.Close()
		return
	}
	payload := struct {
		Message string `json:"message"`
		Data    any    `json:"data,omitempty"`
	}{e.Message, e.Data}
	data, attachments, err := sioproto.MarshalArgs(payload)
	if err != nil || len(attachments) > 0 {
		c.server.log.Error("socketio: data of a connection error cannot be sent", "namespace", namespace, "err", err)
		payload.Data = nil
		data, _, _ = sioproto.MarshalArgs(payload)
	}
	// Marshal makes an array; the payload of CONNECT_ERROR is its only element.
	data = data[1 : len(data)-1]
	p := sioproto.Packet{Type: sioproto.ConnectError, Namespace: namespace, Data: data}
	// A connection that takes nothing any more needs no answer.
	_ = c.send(prepare(&p), engineio.Deferred)
}

// send hands p to the session and counts what the session does not take.
func (c *client) send(p *engineio.Prepared, flags engineio.SendFlags) error {
	if err := c.session.Send(p, flags); err != nil {
		return c.unsent(err)
	}
	return nil
}

// unsent counts what the session did not take and returns the error for the sender.
func (c *client) unsent(err error) error {
	switch {
	case errors.Is(err, engineio.ErrDropped):
		c.server.counters.dropped.Add(1)
	case errors.Is(err, engineio.ErrSlowConsumer):
		c.server.counters.slowConsumers.Add(1)
	}
	return sendError(err)
}

// socket returns the client's socket in the namespace of that name. It may be closed: when the server disconnected it,
// packets the client sent before it knew are ignored, which takes remembering that it was there.
func (c *client) socket(namespace string) *Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first != nil && c.first.namespace.name == namespace {
		return c.first
	}
	for _, s := range c.others {
		if s.namespace.name == namespace {
			return s
		}
	}
	return nil
}

// find is socket with c.mu held.
func (c *client) find(ns *Namespace) *Socket {
	if c.first != nil && c.first.namespace == ns {
		return c.first
	}
	for _, s := range c.others {
		if s.namespace == ns {
			return s
		}
	}
	return nil
}

// sockets returns all sockets of the client. c.mu is held.
func (c *client) sockets() []*Socket {
	all := make([]*Socket, 0, 1+len(c.others))
	if c.first != nil {
		all = append(all, c.first)
	}
	return append(all, c.others...)
}

func (c *client) forget(s *Socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(s)
}

// remove is forget with c.mu held.
func (c *client) remove(s *Socket) {
	if c.first == s {
		c.first = nil
		return
	}
	c.others = slices.DeleteFunc(c.others, func(o *Socket) bool { return o == s })
	if len(c.others) == 0 {
		c.others = nil
	}
}

// disconnectAll disconnects the client from every namespace and closes the connection.
func (c *client) disconnectAll() {
	c.mu.Lock()
	sockets := c.sockets()
	c.mu.Unlock()
	for _, s := range sockets {
		s.disconnect()
	}
	c.session.Close()
}
