package socketio

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/peal-dev/peal/message"
	"github.com/peal-dev/peal/socketio/sioproto"
)

// EventHandler handles an event. It is what [Namespace.UseEvent] wraps, and [Namespace.On] takes it as it is. The
// context is done when the socket is disconnected. An error becomes the acknowledgement, as described in the package
// comment; without one the event is acknowledged with what [Event.Ack] was given, or with nothing, or later, as
// [Event.AckLater] says.
type EventHandler func(ctx context.Context, ev *Event) error

// Event is an event from a client. It belongs to the goroutine that handles it, except for Ack.
type Event struct {
	// Socket is where the event came from; nil for one of another node.
	Socket *Socket
	// Name is the event's name. A name that is a number on the wire is its decimal text.
	Name string

	handler     *handler // nil if there is none
	answer      answerer // nil for an event of a socket
	args        [][]byte
	attachments [][]byte
	id          uint64
	wantsAck    bool
	late        bool // the handler's return is no acknowledgement
	acked       atomic.Bool
	inline      [5][]byte // backs args of most events
}

// Len returns the number of arguments.
func (ev *Event) Len() int { return len(ev.args) }

// Raw returns the JSON of argument i, or null if there are fewer. Binary data in it shows as placeholders.
func (ev *Event) Raw(i int) json.RawMessage { return rawArg(ev.args, i) }

// Attachments returns the binary data that the placeholders in Raw stand for, by their number. It must not be changed.
// It is for handlers that pass arguments on as they are.
func (ev *Event) Attachments() [][]byte { return ev.attachments }

// Arg stores argument i in the value that v points to, by the rules of encoding/json; binary data goes into []byte.
// A missing argument leaves the value alone. The error is an [*Error] with the code "bad_argument".
func (ev *Event) Arg(i int, v any) error {
	if i < 0 || i >= len(ev.args) {
		return nil
	}
	if err := sioproto.Unmarshal(ev.args[i], ev.attachments, v); err != nil {
		return badArgument(fmt.Sprintf("argument %d", i), v, err)
	}
	return nil
}

// Decode stores the arguments in the values that vs point to, as Arg does each: missing ones leave their value alone,
// surplus ones are ignored.
func (ev *Event) Decode(vs ...any) error {
	for i, v := range vs {
		if err := ev.Arg(i, v); err != nil {
			return err
		}
	}
	return nil
}

// Args returns the arguments as encoding/json decodes them into an any, with binary data as []byte: to look at, and to pass
// on what JavaScript has sent, whose numbers are float64 too. The error is as for Arg.
func (ev *Event) Args() ([]any, error) {
	args := make([]any, len(ev.args))
	for i := range args {
		if err := ev.Arg(i, &args[i]); err != nil {
			return nil, err
		}
	}
	return args, nil
}

// SetArgs replaces the arguments, for the handlers still to come.
func (ev *Event) SetArgs(args ...any) error {
	data, attachments, err := sioproto.MarshalArgs(args...)
	if err != nil {
		return err
	}
	ev.args, err = sioproto.Elements(data)
	ev.attachments = attachments
	return err
}

// HasHandler reports whether the namespace or the socket has a handler for the event.
func (ev *Event) HasHandler() bool { return ev.handler != nil }

// WantsAck reports whether the client asked for an acknowledgement that was not sent yet.
func (ev *Event) WantsAck() bool { return ev.wantsAck && !ev.acked.Load() }

// AckLater says that the event is acknowledged by the returned function, [Event.Ack], which may be called from any
// goroutine and after the handler has returned: that it returns without an error is no acknowledgement then. It is called
// by the handler itself, or by a middleware.
func (ev *Event) AckLater() Ack {
	ev.late = true
	return ev.Ack
}

// Ack acknowledges the event with args. An event that was not acknowledged when its handler returns is acknowledged then,
// with nothing, unless the handler has called [Event.AckLater]. Ack may be called from any goroutine. It returns
// [ErrNoAck] when the client did not ask, [ErrAcked] at the second call and [ErrDisconnected] when the client
// is gone.
func (ev *Event) Ack(args ...any) error {
	if !ev.wantsAck {
		return ErrNoAck
	}
	s := ev.Socket
	data, attachments, err := sioproto.MarshalArgs(args...)
	if err == nil && s != nil {
		err = s.namespace.fits(len(attachments))
	}
	if err != nil {
		return fmt.Errorf("socketio: acknowledgement of %q: %w", ev.Name, err)
	}
	if ev.acked.Swap(true) {
		return ErrAcked
	}
	if ev.answer != nil {
		return ev.answer(data, attachments)
	}
	if s.state.Load() == stateClosed {
		return ErrDisconnected
	}
	p := sioproto.Packet{
		Type: sioproto.Ack, Namespace: s.namespace.name, ID: ev.id, HasID: true, Data: data, Attachments: attachments,
	}
	if err := s.send(prepare(&p), 0); err != nil {
		return err
	}
	s.namespace.server.counters.acksOut.Add(1)
	return nil
}

// handle dispatches an event on the draining goroutine.
func (s *Socket) handle(p *sioproto.Packet) {
	if s.state.Load() != stateConnected && s.discards() {
		return
	}
	ev := &Event{Socket: s, attachments: p.Attachments, id: p.ID, wantsAck: p.HasID}
	elements, err := sioproto.AppendElements(ev.inline[:0], p.Data)
	if err != nil || len(elements) == 0 {
		return // cannot be: the decoder has checked
	}
	ev.args = elements[1:]
	hs := s.namespace.handlers.Load()
	if ev.name(elements[0], hs) != nil {
		return // cannot be either
	}
	defer func() {
		if v := recover(); v != nil {
			s.logPanic("the handling of "+ev.Name, v)
			ev.reject(CodeInternal, "internal error", nil)
		}
	}()
	for _, fn := range hs.any {
		fn(ev)
	}
	ev.finish(hs.chain(s.Context(), ev))
}

// discards reports whether events that wait are dropped: those of a socket that did not get in, and those of one that
// the server itself has disconnected.
func (s *Socket) discards() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.extra.Load()
	return x != nil && (!x.joined || x.reason == ReasonServerDisconnect || x.reason == ReasonServerShutdown)
}

// name sets the name and the handler. Names of known events are shared, not made anew.
func (ev *Event) name(raw []byte, hs *handlers) error {
	if raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 {
		key := raw[1 : len(raw)-1]
		if ev.handler = ev.Socket.own(string(key)); ev.handler == nil {
			ev.handler = hs.events[string(key)]
		}
		if ev.handler != nil {
			ev.Name = ev.handler.event
			return nil
		}
	}
	name, err := message.EventName(raw)
	if err != nil {
		return err
	}
	ev.Name = name
	if ev.handler = ev.Socket.own(name); ev.handler == nil {
		ev.handler = hs.events[name]
	}
	return nil
}

// own returns the socket's own handler of an event.
func (s *Socket) own(event string) *handler {
	x := s.extra.Load()
	if x == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return x.handlers[event]
}

// callHandler is the innermost EventHandler.
func callHandler(ctx context.Context, ev *Event) error {
	if ev.handler == nil {
		return nil
	}
	return ev.handler.call(ctx, ev)
}

// finish sends the acknowledgement that the outcome of the handlers asks for.
func (ev *Event) finish(err error) {
	s := ev.Socket
	srv := s.namespace.server
	if err == nil {
		if ev.handler != nil && !ev.late && ev.WantsAck() {
			_ = ev.Ack() // a client that has gone needs no acknowledgement
		}
		return
	}
	var e *Error
	if !errors.As(err, &e) {
		if s.unheard(err) {
			return
		}
		srv.counters.handlerErrors.Add(1)
		srv.log.Error("socketio: handler failed", "namespace", s.namespace.name, "event", ev.Name, "socket", s.id, "err", err)
		ev.reject(CodeInternal, "internal error", nil)
		return
	}
	if e.Code == CodeBadArgument {
		srv.counters.badArguments.Add(1)
	}
	if !ev.WantsAck() && srv.log.Enabled(context.Background(), slog.LevelDebug) {
		srv.log.Debug("socketio: error without anybody to tell", "namespace", s.namespace.name, "event", ev.Name, "socket", s.id, "err", err)
	}
	ev.reject(e.Code, e.Message, e.Data)
}

// unheard reports whether err only says that the client does not hear the handler, which is nothing to worry about: it
// went away, or did not ask for the acknowledgement.
func (s *Socket) unheard(err error) bool {
	return errors.Is(err, ErrNoAck) || s.state.Load() == stateClosed &&
		(errors.Is(err, ErrDisconnected) || errors.Is(err, ErrSlowConsumer) || errors.Is(err, context.Canceled))
}

// reject acknowledges with an error, if the client still waits.
func (ev *Event) reject(code, message string, data any) {
	if !ev.WantsAck() {
		return
	}
	err := ev.Ack(ackError{&Error{Code: code, Message: message, Data: data}})
	if err != nil && ev.WantsAck() {
		// The data cannot be encoded. The client should know at least that it failed.
		_ = ev.Ack(ackError{&Error{Code: code, Message: message}})
	}
}
