package socketio

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"

	"github.com/peal-dev/peal/message"
)

// join decides about a CONNECT: middleware, adapter, answer, OnConnect. It runs on the draining goroutine.
func (s *Socket) join() {
	hs := s.namespace.handlers.Load()
	back := s.reclaim()
	middlewares := hs.middleware
	if back != nil && s.namespace.recovery.skip {
		middlewares = nil
	}
	for _, middleware := range middlewares {
		if s.state.Load() == stateClosed {
			s.undo(back)
			return
		}
		var err error
		if s.guard("connection middleware", func() { err = middleware(s.Context(), s) }) {
			err = errInternal
		}
		if err != nil {
			s.refused(err)
			s.namespace.recovery.giveBack(back)
			return
		}
	}
	if !s.enter(back) {
		s.undo(back)
		return
	}
	if len(hs.connect) == 0 {
		s.client.settle()
		s.open()
		return
	}
	s.client.settleWithin(openTimeout)
	defer func() { // a function may end the goroutine
		s.client.settle()
		s.open()
	}()
	for _, fn := range hs.connect {
		s.guard("OnConnect", func() { fn(s) })
	}
}

// enter joins the adapter and reports whether the socket is connected.
func (s *Socket) enter(back *comeback) bool {
	a := s.namespace.adapter
	// Other nodes may publish to a room once the client knows that it is in there: so it is waited for, as long as the
	// driver allows. What fails then is counted by the adapter and mends itself; the client is no worse off than those
	// that have been in the room for long.
	ctx := context.Background()
	s.client.inbox.held.reset() // of what a socket before this one left when it closed
	var at message.Offset
	if back == nil {
		at = s.admit(ctx)
	} else if s.state.Load() == stateClosed || !s.resume(back) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.extra.Load()
	for x != nil && len(x.rooms) > 0 && s.state.Load() == statePending {
		s.mu.Unlock()
		_, _ = a.Join(ctx, s.id, s.takeRooms()...) // asked for meanwhile by a goroutine that a middleware has started
		s.mu.Lock()
	}
	if s.state.Load() == stateClosed {
		return false
	}
	if back != nil && a.Holds() {
		at = back.after
	}
	s.client.inbox.held.at = at
	s.state.Store(stateOpening)
	s.namespace.server.counters.connected.Add(1)
	s.namespace.server.counters.sockets.Add(1)
	return true
}

// admit registers a new socket, and returns what its client is to be told that it has everything up to, if others may find its
// session.
func (s *Socket) admit(ctx context.Context) message.Offset {
	a := s.namespace.adapter
	if !a.Holds() {
		_, _ = a.Add(ctx, (*member)(s), s.takeRooms()...)
		return message.Offset{}
	}
	at, _ := a.AddAt(ctx, (*member)(s), s.takeRooms()...)
	return at
}

func (s *Socket) takeRooms() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.extra.Load()
	if x == nil {
		return nil
	}
	rooms := x.rooms
	x.rooms = nil
	return rooms
}

// undo leaves the adapter again: the socket was closed before it was connected, and no handler has heard of it. A client
// that is coming back may do so again, unless the server disconnected it. One that is disconnected so early waits for an
// answer to its CONNECT.
func (s *Socket) undo(back *comeback) {
	s.shut(ReasonTransportClose) // in case it was only the answer that could not be sent
	disconnected := s.shutReason() == ReasonServerDisconnect
	switch {
	case back == nil:
		s.namespace.adapter.Withdraw((*member)(s))
	case disconnected:
		s.namespace.recovery.drop(back.absent)
		fallthrough
	default:
		s.depart() // if it is in
		s.namespace.recovery.giveBack(back)
	}
	if disconnected {
		s.client.refuse(s.namespace.name, &Error{Message: "disconnected by the server"})
	}
}

func (s *Socket) shutReason() Reason {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.extra.Load(); x != nil {
		return x.reason
	}
	return ""
}

// refused tells the client that a middleware does not let it in.
func (s *Socket) refused(err error) {
	srv := s.namespace.server
	reason := RefusedByMiddleware
	var e *Error
	if errors.As(err, &e) && e.Code != "" {
		reason = e.Code
	}
	srv.refused(reason, slog.String("namespace", s.namespace.name), slog.Any("err", err))
	// Closed first: an event the client sent right behind its CONNECT is then ignored.
	s.shut(ReasonServerDisconnect)
	if s.shutReason() != ReasonServerDisconnect {
		return // the client has left meanwhile
	}
	if e == nil {
		srv.counters.handlerErrors.Add(1)
		srv.often.Log(context.Background(), slog.LevelError, "middleware "+s.namespace.name, "socketio: connection middleware failed",
			slog.String("namespace", s.namespace.name), slog.Any("err", err))
		e = errInternal
	}
	s.client.refuse(s.namespace.name, e)
}

// shut closes the socket and returns the state it was in; if that is stateClosed, shut did nothing. From its return on
// nothing is sent, broadcasts do not find the socket, its context is done and whoever waits for its acknowledgement knows.
// It waits while a broadcast is on its way to a room of the socket.
func (s *Socket) shut(reason Reason) (was uint32) {
	was = s.cease(reason)
	if isJoined(was) {
		s.depart()
		s.client.push(item{socket: s, kind: itemGone})
	}
	return was
}

// cease is the part of shut that waits for nobody: the socket sends and receives nothing any more. If it was connected,
// depart and farewell are left to do.
func (s *Socket) cease(reason Reason) (was uint32) {
	s.mu.Lock()
	was = s.state.Load()
	if was == stateClosed {
		s.mu.Unlock()
		return was
	}
	x := s.more()
	s.state.Store(stateClosed)
	x.reason, x.joined = reason, was != statePending
	acks := x.acks
	x.acks = nil
	cancel := x.life.cancel
	s.mu.Unlock()

	if cancel != nil {
		cancel(ErrDisconnected)
	}
	for id, w := range acks {
		w.gone(s, id)
	}
	if isJoined(was) { // else join sees it, and no handler knows this socket
		srv := s.namespace.server
		srv.counters.sockets.Add(-1)
		srv.counters.disconnected.Add(reason)
	}
	return was
}

// isJoined reports whether a socket in that state is in the adapter and known to handlers.
func isJoined(state uint32) bool { return state == stateOpening || state == stateConnected }

// depart leaves the adapter.
func (s *Socket) depart() {
	var rooms []string
	ns := s.namespace
	if ns.recovery.recoverable(s.shutReason()) {
		var present bool
		if rooms, present = ns.recovery.suspend(s); !present {
			return
		}
	} else {
		rooms = ns.adapter.Withdraw((*member)(s))
		ns.recovery.leave(s)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.more().rooms = rooms
}

// farewell runs the handlers of a socket that was shut, behind all its other handlers.
func (s *Socket) farewell() {
	hs := s.namespace.handlers.Load()
	reason := s.shutReason()
	s.mu.Lock()
	gone := s.more().gone
	s.mu.Unlock()
	if gone != nil {
		defer close(gone)
	}
	for _, fn := range hs.disconnecting {
		s.guard("OnDisconnecting", func() { fn(s, reason) })
	}
	s.mu.Lock()
	s.more().rooms = nil
	s.mu.Unlock()
	for _, fn := range hs.disconnect {
		s.guard("OnDisconnect", func() { fn(s, reason) })
	}
}

// guard calls fn and reports whether it panicked, which is logged and harms nobody else.
func (s *Socket) guard(what string, fn func()) (panicked bool) {
	defer func() {
		if v := recover(); v != nil {
			panicked = true
			s.logPanic(what, v)
		}
	}()
	fn()
	return false
}

func (s *Socket) logPanic(what string, v any) {
	srv := s.namespace.server
	srv.counters.handlerPanics.Add(1)
	srv.log.Error("socketio: panic in "+what, "namespace", s.namespace.name, "socket", s.id, "panic", v, "stack", string(debug.Stack()))
}
