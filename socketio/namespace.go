package socketio

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/message"
	"github.com/peal-dev/peal/socketio/sioproto"
)

// Namespace is a part of the server that clients join by name, with its own handlers and rooms. Get one from
// [Server.Of]. All methods are safe for concurrent use; handlers registered while clients are connected count from the
// next event on.
type Namespace struct {
	server   *Server
	name     string
	wire     message.Namespace // name, for the encodings of broadcasts
	adapter  *adapter.Adapter
	recovery *recovery // nil if it is off
	ackIDs   atomic.Uint64

	mu       sync.Mutex // serialises changes of handlers
	handlers atomic.Pointer[handlers]
}

// handlers is immutable: a registration makes a changed copy, so that dispatch takes no lock.
type handlers struct {
	middleware    []func(context.Context, *Socket) error
	connect       []func(*Socket)
	disconnecting []func(*Socket, Reason)
	disconnect    []func(*Socket, Reason)
	any           []func(*Event)
	wrap          []func(EventHandler) EventHandler
	events        map[string]*handler
	server        map[string]*handler // of events of other nodes
	chain         EventHandler
}

func newNamespace(s *Server, name string) *Namespace {
	ns := &Namespace{server: s, name: name, wire: message.NamespaceOf(name)}
	ns.handlers.Store(&handlers{chain: callHandler})
	var driver adapter.Driver
	if s.driver != nil {
		driver = adapter.Background(s.driver, s.log)
	}
	// Without a driver and in the background New neither waits nor fails, so there is nothing to bound by a context.
	opts := adapter.Options{OnEvent: ns.serverEvent}
	if s.recover != nil {
		ns.recovery = newRecovery(ns, s.recover, s.heartbeat)
		opts.Log = ns.recovery.log
		if _, shared := driver.(adapter.Sequencer); shared {
			ns.recovery.shared = newSharedSessions(ns.recovery)
			opts.Observers = append(opts.Observers, ns.recovery.shared)
		}
	}
	a, err := adapter.New(context.Background(), name, driver, &opts)
	if err != nil {
		panic("socketio: namespace " + name + ": " + err.Error())
	}
	ns.adapter = a
	return ns
}

// Name returns the full name, with its leading slash.
func (ns *Namespace) Name() string { return ns.name }

// Adapter returns the room index of the namespace. Other kinds of members, such as event streams, may be added to it.
func (ns *Namespace) Adapter() *adapter.Adapter { return ns.adapter }

func (ns *Namespace) change(apply func(*handlers)) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	next := *ns.handlers.Load()
	apply(&next)
	ns.handlers.Store(&next)
}

// add appends to a copy: the slice before may be in use.
func add[T any](list []T, v T) []T { return append(slices.Clip(list), v) }

// Use adds a connection middleware. Middleware run in the order they were added, for each client that wants to join.
// An error refuses the client, which may try again; the text is shown to it if it is an [*Error] and logged if not. Rooms joined here are kept, events emitted here reach
// the client before its connect event. The context ends when the client goes away.
func (ns *Namespace) Use(fn func(ctx context.Context, s *Socket) error) {
	must(fn != nil, "Use", "the middleware is nil")
	ns.change(func(h *handlers) { h.middleware = add(h.middleware, fn) })
}

// OnConnect adds a function that runs when a client has joined the namespace, right before the client is told: when it
// sees its connect event it is in the rooms that were joined here. What is sent to it meanwhile follows that event, in
// order. The event leaves when all OnConnect functions have returned, and before that when one of them waits for the
// client's answer ([Socket.EmitWithAck]), has sent more than the send buffer holds, or takes longer than a second.
func (ns *Namespace) OnConnect(fn func(s *Socket)) {
	must(fn != nil, "OnConnect", "the handler is nil")
	ns.change(func(h *handlers) { h.connect = add(h.connect, fn) })
}

// OnDisconnecting adds a function that runs when a socket was disconnected, before those of OnDisconnect, while
// [Socket.Rooms] still tells where it was. Broadcasts do not reach the socket any more.
func (ns *Namespace) OnDisconnecting(fn func(s *Socket, reason Reason)) {
	must(fn != nil, "OnDisconnecting", "the handler is nil")
	ns.change(func(h *handlers) { h.disconnecting = add(h.disconnecting, fn) })
}

// OnDisconnect adds a function that runs when a socket was disconnected, once and behind all its other handlers. The
// socket is in no room any more.
func (ns *Namespace) OnDisconnect(fn func(s *Socket, reason Reason)) {
	must(fn != nil, "OnDisconnect", "the handler is nil")
	ns.change(func(h *handlers) { h.disconnect = add(h.disconnect, fn) })
}

// On registers the handler of an event. fn is a function with parameters in this order, all optional:
//
//   - a context.Context, done when the socket is disconnected
//   - the *[Socket] that sent the event
//   - the arguments of the event: any types that encoding/json can decode into, []byte for binary data. Missing
//     arguments are zero values, surplus ones are ignored. The last may be variadic.
//   - an [Ack], to acknowledge later than the handler returns; it stands last, or right before a variadic parameter
//
// and with results that become the acknowledgement: none, an error, values, or values and an error. Instead fn may be
// an [EventHandler].
//
// On panics if fn is none of these, if the event name is reserved, or if the event has a handler already.
func (ns *Namespace) On(event string, fn any) {
	h := newHandler(event, fn)
	ns.change(func(hs *handlers) {
		must(hs.events[event] == nil, fmt.Sprintf("On(%q)", event), "namespace "+ns.name+" has a handler for this event already")
		hs.events = maps.Clone(hs.events)
		if hs.events == nil {
			hs.events = make(map[string]*handler)
		}
		hs.events[event] = h
	})
}

// OnAny adds a function that sees every event before its handler and before the middleware of [Namespace.UseEvent],
// events without a handler included.
func (ns *Namespace) OnAny(fn func(ev *Event)) {
	must(fn != nil, "OnAny", "the handler is nil")
	ns.change(func(h *handlers) { h.any = add(h.any, fn) })
}

// UseEvent wraps the handling of every event of the namespace, events without a handler included. The middleware that
// was added first is the outermost. One that does not call next drops the event; an error it returns is treated like
// an error of the handler. A middleware is built anew whenever another is added behind it.
func (ns *Namespace) UseEvent(middleware func(next EventHandler) EventHandler) {
	must(middleware != nil, "UseEvent", "the middleware is nil")
	ns.change(func(h *handlers) {
		h.wrap = add(h.wrap, middleware)
		h.chain = callHandler
		for _, wrap := range slices.Backward(h.wrap) {
			h.chain = wrap(h.chain)
			must(h.chain != nil, "UseEvent", "the middleware returned nil")
		}
	})
}

// Socket returns the connected socket of this node with that id, or nil.
func (ns *Namespace) Socket(id string) *Socket {
	if s := SocketOf(ns.adapter.Member(id)); s != nil && s.Connected() {
		return s
	}
	return nil
}

// Sockets returns the connected sockets of this node. It is a snapshot: what happens while it is ranged over may or
// may not show.
func (ns *Namespace) Sockets() iter.Seq[*Socket] {
	return ns.sockets(message.Target{Local: true})
}

func (ns *Namespace) sockets(t message.Target) iter.Seq[*Socket] {
	return func(yield func(*Socket) bool) {
		ns.adapter.Each(t, func(m adapter.Member) bool {
			if s := SocketOf(m); s != nil && s.Connected() {
				return yield(s)
			}
			return true
		})
	}
}

// Broadcast returns a broadcast to everyone in the namespace, on all nodes.
func (ns *Namespace) Broadcast() Broadcast { return Broadcast{ns: ns} }

// To returns a broadcast to the members of these rooms. The id of a socket is a room.
func (ns *Namespace) To(rooms ...string) Broadcast { return ns.Broadcast().To(rooms...) }

// In is To.
func (ns *Namespace) In(rooms ...string) Broadcast { return ns.Broadcast().To(rooms...) }

// Except returns a broadcast to everyone but the members of these rooms.
func (ns *Namespace) Except(rooms ...string) Broadcast { return ns.Broadcast().Except(rooms...) }

// Volatile returns a broadcast whose events a client misses if it cannot take them at once.
func (ns *Namespace) Volatile() Broadcast { return ns.Broadcast().Volatile() }

// Local returns a broadcast to the members on this node.
func (ns *Namespace) Local() Broadcast { return ns.Broadcast().Local() }

// Emit sends an event to everyone in the namespace; see [Broadcast.Emit].
func (ns *Namespace) Emit(ctx context.Context, event string, args ...any) error {
	return ns.Broadcast().Emit(ctx, event, args...)
}

// packet returns an outgoing event packet.
func (ns *Namespace) packet(event string, args []any) (sioproto.Packet, error) {
	data, attachments, err := sioproto.MarshalEvent(event, args...)
	if err != nil {
		return sioproto.Packet{}, fmt.Errorf("socketio: event %q: %w", event, err)
	}
	if err := ns.fits(len(attachments)); err != nil {
		return sioproto.Packet{}, fmt.Errorf("socketio: event %q: %w", event, err)
	}
	return sioproto.Packet{Type: sioproto.Event, Namespace: ns.name, Data: data, Attachments: attachments}, nil
}

// fits checks the number of attachments: official clients close the connection when a packet has too many.
func (ns *Namespace) fits(attachments int) error {
	if limit := ns.server.maxAttachments; attachments > limit {
		return fmt.Errorf("%d binary values, the limit is %d", attachments, limit)
	}
	return nil
}

// must panics about a wrong registration, which is a bug in the program.
func must(ok bool, call, problem string) {
	if !ok {
		panic("socketio: " + call + ": " + problem)
	}
}
