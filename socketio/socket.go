package socketio

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/socketio/sioproto"
)

// Socket is one client in one namespace. It lives until it is disconnected; a client that comes back gets a new one.
// All methods are safe for concurrent use.
//
// Its size is that of a cache line, which a broadcast to many sockets touches of each.
type Socket struct {
	namespace *Namespace
	client    *client
	session   *engineio.Session // that of client, a step nearer
	id        string
	state     atomic.Uint32
	last      atomic.Uint32 // with recovery: the number of the last message that was for it; with a common log a heldState
	mu        sync.Mutex    // protects the change of state and what extra points to; it may be held while sending
	extra     atomic.Pointer[extra]
}

// The life of a socket. It only goes forward, and from each state it may go to stateClosed.
const (
	statePending   uint32 = iota // middleware runs; at its end broadcasts are held back
	stateOpening                 // connected, but the client does not know: OnConnect runs, and all that is sent is held back
	stateConnected               // messages go out
	stateClosed
)

// extra is what many sockets never need, made at first use.
type extra struct {
	auth      []byte
	rooms     []string // to join with CONNECT; once closed: where the socket was
	acks      map[uint64]waiter
	handlers  map[string]*handler
	data      []datum
	life      life
	reason    Reason        // why it was closed
	joined    bool          // it was connected before it was closed
	recovered bool          // it goes on where its client left
	banned    bool          // its client does not come back: it was disconnected
	pid       string        // by which its client asks for it, if another node has made that
	began     time.Time     // and when that began
	gone      chan struct{} // closed when its handlers know that it is closed; nil if nobody will ask
}

func newSocket(ns *Namespace, c *client, auth []byte) *Socket {
	s := &Socket{namespace: ns, client: c, session: c.session, id: engineio.NewID()}
	if len(auth) > 0 {
		s.extra.Store(&extra{auth: auth})
	}
	return s
}

// more returns s.extra and makes it if need be. s.mu is held.
func (s *Socket) more() *extra {
	x := s.extra.Load()
	if x == nil {
		x = new(extra)
		s.extra.Store(x)
	}
	return x
}

// ID returns the socket's id: 20 characters, unguessable, and not the id of the connection. It is also a room with
// this socket alone in it.
func (s *Socket) ID() string { return s.id }

// Namespace returns the namespace the socket is in.
func (s *Socket) Namespace() *Namespace { return s.namespace }

// Connected reports whether the socket has joined its namespace and was not disconnected since.
func (s *Socket) Connected() bool {
	state := s.state.Load()
	return isJoined(state)
}

// settled returns the state as the client may know it: it waits out the moment in which CONNECT is being sent.
func (s *Socket) settled() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.Load()
}

// Handshake returns the request that opened the connection.
func (s *Socket) Handshake() *engineio.Handshake { return s.session.Handshake() }

// Transport returns the name of the transport the connection uses now, "polling" or "websocket".
func (s *Socket) Transport() string { return s.session.Transport() }

// Auth decodes the object the client sent when it joined the namespace (the auth option of the official client) into
// v, by the rules of encoding/json. A client that sent none counts as having sent {}. The error is an [*Error] with the
// code "bad_argument".
func (s *Socket) Auth(v any) error {
	raw := []byte("{}")
	if x := s.extra.Load(); x != nil && x.auth != nil {
		raw = x.auth
	}
	if err := sioproto.Unmarshal(raw, nil, v); err != nil {
		return badArgument("auth", v, err)
	}
	return nil
}

// Join puts the socket into rooms. In a cluster it returns when messages that other nodes publish from now on reach the
// socket in them; the error is [adapter.ErrUnavailable] or the context's if that cannot be said. The socket is in the
// rooms nevertheless, and hears other nodes when the cluster is back. In a connection middleware Join only notes the
// rooms, which the client's connect event then waits for. On a socket that is disconnected it does nothing.
func (s *Socket) Join(ctx context.Context, rooms ...string) error {
	s.mu.Lock()
	switch s.state.Load() {
	case stateClosed:
		s.mu.Unlock()
		return nil
	case statePending:
		x := s.more()
		for _, r := range rooms {
			if !slices.Contains(x.rooms, r) {
				x.rooms = append(x.rooms, r)
			}
		}
		s.mu.Unlock()
		return nil
	}
	s.mu.Unlock()
	_, err := s.namespace.adapter.Join(ctx, s.id, rooms...)
	return err
}

// Leave takes the socket out of rooms, at once: it does not wait, and there is no error. Its own id is no room it can
// leave.
func (s *Socket) Leave(_ context.Context, rooms ...string) error {
	s.mu.Lock()
	if s.state.Load() == statePending {
		if x := s.extra.Load(); x != nil {
			x.rooms = slices.DeleteFunc(x.rooms, func(r string) bool { return slices.Contains(rooms, r) })
		}
	}
	s.mu.Unlock()
	s.namespace.adapter.Leave(s.id, rooms...) // a client that comes back is in its rooms before that
	return nil
}

// Rooms returns the rooms the socket is in, in no order; an empty list, not nil, if there are none. The room that is its
// own id is not among them. In OnDisconnecting it returns where the socket was.
func (s *Socket) Rooms() []string {
	rooms := []string{}
	s.mu.Lock()
	state, x := s.state.Load(), s.extra.Load()
	if x != nil && !isJoined(state) {
		rooms = append(rooms, x.rooms...)
	}
	s.mu.Unlock()
	if state == stateClosed {
		return rooms
	}
	for _, room := range s.namespace.adapter.RoomsOf(s.id) {
		if !slices.Contains(rooms, room) {
			rooms = append(rooms, room)
		}
	}
	return rooms
}

// On registers a handler for an event of this socket only, which then runs instead of the namespace's. It takes the
// same functions as [Namespace.On]; a second one for the same event replaces the first, nil removes it. Each handler
// costs memory for each socket: handlers of a namespace do not.
func (s *Socket) On(event string, fn any) {
	if fn == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if x := s.extra.Load(); x != nil {
			delete(x.handlers, event)
		}
		return
	}
	h := newHandler(event, fn)
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.more()
	if x.handlers == nil {
		x.handlers = make(map[string]*handler)
	}
	x.handlers[event] = h
}

// Disconnect disconnects the socket from its namespace; the reason is "server namespace disconnect". With closeConn it
// disconnects all sockets of the connection and closes it. Official clients do not come back by themselves. A socket that
// is disconnected is left alone without closeConn. Disconnect does not wait for the client, and there is no error.
func (s *Socket) Disconnect(_ context.Context, closeConn bool) error {
	if closeConn {
		s.client.disconnectAll()
	} else {
		s.disconnect()
	}
	return nil
}

func (s *Socket) disconnect() {
	s.open() // whoever is told that it is disconnected was told that it is connected
	if s.shut(ReasonServerDisconnect) != stateConnected {
		return // a client whose CONNECT is being decided is told by join
	}
	p := sioproto.Packet{Type: sioproto.Disconnect, Namespace: s.namespace.name}
	// A connection that takes nothing any more needs no goodbye.
	_ = s.client.send(prepare(&p), 0)
}
