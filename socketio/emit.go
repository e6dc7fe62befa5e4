package socketio

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/message"
	"github.com/peal-dev/peal/socketio/sioproto"
)

// Emit sends an event to the client. It waits for nothing, so ctx has nothing to bound: see the package comment; but with
// [Recovery] and a driver that has a common log, it waits until the event has its place there, as [Broadcast.Emit] does. It
// returns [ErrDisconnected] when the socket is not connected any more, [ErrSlowConsumer] when the client's send buffer
// is full, and an error when the arguments cannot be encoded or the name is reserved. Emits of one goroutine arrive in
// order. In a connection middleware Emit sends the event ahead of the client's connect event, which official clients
// hold back until then.
func (s *Socket) Emit(ctx context.Context, event string, args ...any) error {
	return s.emit(ctx, event, args, 0)
}

func (s *Socket) emit(ctx context.Context, event string, args []any, flags engineio.SendFlags) error {
	if s.state.Load() == stateClosed {
		return ErrDisconnected
	}
	p, err := s.namespace.packet(event, args)
	if err != nil {
		return err
	}
	if err := s.sendEvent(ctx, &p, flags); err != nil {
		return err
	}
	if r := s.namespace.recovery; r == nil || r.shared == nil || flags&engineio.Volatile != 0 {
		s.namespace.server.counters.eventsOut.Add(1) // else the adapter has counted it
	}
	return nil
}

// sendEvent sends an event that wants no acknowledgement. With recovery it has its place among the broadcasts, and is kept.
func (s *Socket) sendEvent(ctx context.Context, p *sioproto.Packet, flags engineio.SendFlags) error {
	ns := s.namespace
	if ns.recovery == nil {
		return s.send(prepare(p), flags)
	}
	m := &message.Message{Data: p.Data, Attachments: p.Attachments, Volatile: flags&engineio.Volatile != 0}
	return ns.adapter.Send(ctx, m, (*member)(s), func(m *message.Message, registered bool) error {
		s.note(m)
		err := s.deliver(wire.Of(m, ns.wire), flags, registered)
		if registered && errors.Is(err, ErrDisconnected) {
			return nil // it is kept, for the client to come back
		}
		return err
	})
}

// deliver sends p in the log's order. A socket that is registered before it is connected comes back: p is behind what it
// missed.
func (s *Socket) deliver(p *engineio.Prepared, flags engineio.SendFlags, registered bool) error {
	switch state := s.state.Load(); {
	case state == stateClosed:
		return ErrDisconnected
	case state == stateOpening, state == statePending && registered:
		if held, err := s.hold(p, flags); held {
			return err
		}
	}
	return s.client.send(p, flags)
}

// EmitWithAck sends an event and waits for the client's acknowledgement until ctx ends, or for [DefaultAckTimeout] if ctx
// has no deadline. The error wraps that of ctx, or [context.DeadlineExceeded], when the wait ends first, and is
// [ErrDisconnected] when the client goes away, or what Emit returns. An acknowledgement that comes later is ignored. See
// the package comment for waiting in a handler.
func (s *Socket) EmitWithAck(ctx context.Context, event string, args ...any) (*Reply, error) {
	if s.state.Load() == stateClosed {
		return nil, ErrDisconnected
	}
	p, err := s.namespace.packet(event, args)
	if err != nil {
		return nil, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	w := make(singleWaiter, 1)
	p.ID, p.HasID = s.namespace.ackIDs.Add(1)-1, true
	if !s.expect(p.ID, w) {
		return nil, ErrDisconnected
	}
	if err := s.send(prepare(&p), 0); err != nil {
		s.forget(p.ID)
		return nil, err
	}
	if s.state.Load() == stateOpening {
		defer time.AfterFunc(askPatience, s.open).Stop()
	}
	s.namespace.server.counters.eventsOut.Add(1)
	var reply *Reply
	select {
	case reply = <-w:
	case <-ctx.Done():
		if s.forget(p.ID) != nil {
			return nil, fmt.Errorf("socketio: acknowledgement of %q: %w", event, ctx.Err())
		}
		reply = <-w // it came at the same time, as the end of the socket does with that of its context
	}
	if reply == nil {
		return nil, ErrDisconnected
	}
	return reply, nil
}

// bounded returns ctx with a deadline: its own, or that of those who set none.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, DefaultAckTimeout)
}

// Volatile returns an emitter whose events are dropped, with [ErrDropped], when the client cannot take them at once:
// because earlier ones are still on their way, or because a polling client has no request waiting.
func (s *Socket) Volatile() Emitter { return Emitter{s, engineio.Volatile} }

// Emitter emits to one socket in a particular way.
type Emitter struct {
	socket *Socket
	flags  engineio.SendFlags
}

// Emit is [Socket.Emit].
func (e Emitter) Emit(ctx context.Context, event string, args ...any) error {
	return e.socket.emit(ctx, event, args, e.flags)
}

// Broadcast returns a broadcast to everyone in the namespace but this socket.
func (s *Socket) Broadcast() Broadcast { return s.namespace.Broadcast().Except(s.id) }

// To returns a broadcast to the members of these rooms but this socket.
func (s *Socket) To(rooms ...string) Broadcast { return s.Broadcast().To(rooms...) }

// In is To.
func (s *Socket) In(rooms ...string) Broadcast { return s.Broadcast().To(rooms...) }

// Except returns a broadcast to everyone but this socket and the members of these rooms.
func (s *Socket) Except(rooms ...string) Broadcast { return s.Broadcast().Except(rooms...) }
