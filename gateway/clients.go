package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/socketio"
)

// Events that clients send.
const (
	eventSubscribe   = "subscribe"
	eventUnsubscribe = "unsubscribe"
	eventPublish     = "publish"
)

// okReply acknowledges what succeeded.
type okReply struct {
	OK    bool     `json:"ok"`
	Rooms []string `json:"rooms,omitempty"` // the rooms of the request, without repetitions
}

// grantKey is the key of a socket's data under which its grant is, if a token gave it one.
const grantKey socketio.Key[grant] = "grant"

// serveClients registers what Socket.IO clients can do in a namespace.
func (s *Server) serveClients(ns *socketio.Namespace) {
	ns.Use(s.admit)
	ns.On(eventSubscribe, func(ctx context.Context, sock *socketio.Socket, rooms roomList) (okReply, error) {
		reply, err := s.subscribe(ctx, sock, rooms)
		return reply, s.refuseEvent(ctx, eventSubscribe, err)
	})
	ns.On(eventUnsubscribe, func(ctx context.Context, sock *socketio.Socket, rooms roomList) (okReply, error) {
		if err := s.checkSome(rooms); err != nil {
			return okReply{}, s.refuseEvent(ctx, eventUnsubscribe, err)
		}
		list := unique(rooms)
		return okReply{OK: true, Rooms: list}, sock.Leave(ctx, list...)
	})
	ns.On(eventPublish, socketio.EventHandler(func(ctx context.Context, ev *socketio.Event) error {
		if err := s.publishFrom(ctx, ev); err != nil {
			return s.refuseEvent(ctx, eventPublish, err)
		}
		return nil
	}))
}

// admit checks the token a client presents; a client without one is let in with what anonymous clients may.
func (s *Server) admit(_ context.Context, sock *socketio.Socket) error {
	var auth struct {
		Token string `json:"token"`
	}
	if err := sock.Auth(&auth); err != nil {
		return refuseConnection(&apiError{CodeInvalidToken, "auth must be an object whose token is a string: {token: KEY}"})
	}
	if auth.Token == "" {
		if _, had := grantKey.Lookup(sock); had {
			return refuseConnection(&apiError{CodeInvalidToken, "the session was opened with a token; send it again, or connect anew"})
		}
		return nil
	}
	g, err := s.access.client(auth.Token)
	if err != nil {
		return refuseConnection(err)
	}
	grantKey.Set(sock, g)
	return nil
}

func (s *Server) grantOf(sock *socketio.Socket) grant {
	if g, ok := grantKey.Lookup(sock); ok {
		return g
	}
	return grant{subscribe: s.access.subscribe, publish: s.access.publish}
}

// subscribe puts the socket into rooms: all of them or, with an error other than CodeClusterUnavailable, none.
func (s *Server) subscribe(ctx context.Context, sock *socketio.Socket, rooms []string) (okReply, error) {
	if err := s.grantOf(sock).needSubscribe(); err != nil {
		return okReply{}, err
	}
	if err := s.checkSome(rooms); err != nil {
		return okReply{}, err
	}
	list := unique(rooms)
	// A connection's events are handled one at a time, so nobody joins between the count and Join.
	in := sock.Rooms()
	total := len(in)
	for _, room := range list {
		if !slices.Contains(in, room) {
			total++
		}
	}
	if total > s.cfg.MaxRooms {
		return okReply{}, &apiError{CodeTooManyRooms, fmt.Sprintf(
			"the client would be in %d rooms and this server allows %d; unsubscribe from some, or raise --max-rooms", total, s.cfg.MaxRooms)}
	}
	if err := sock.Join(ctx, list...); err != nil {
		s.log.LogAttrs(ctx, slog.LevelDebug, "a client may not hear other nodes yet", slog.String("namespace", sock.Namespace().Name()), slog.Any("error", err))
		return okReply{}, &apiError{CodeClusterUnavailable, "subscribed, but the cluster is away: until it is back, only messages of this node arrive"}
	}
	return okReply{OK: true, Rooms: list}, nil
}

// publishFrom publishes what a client asks for and acknowledges it.
func (s *Server) publishFrom(ctx context.Context, ev *socketio.Event) error {
	if err := s.grantOf(ev.Socket).needPublish(); err != nil {
		return err
	}
	if err := s.checkPace(ev.Socket); err != nil {
		return err
	}
	if ev.Len() != 1 {
		return &apiError{CodeInvalidRequest, `publish takes one argument, such as {rooms: ["a"], event: "tick", args: [1]}`}
	}
	p, err := parsePublication(ev.Raw(0), s.cfg.MaxRooms)
	if err != nil {
		return err
	}
	ns := ev.Socket.Namespace()
	if p.Namespace != "" && p.Namespace != ns.Name() {
		return &apiError{CodeWrongNamespace, fmt.Sprintf("a client publishes in its own namespace, %q; leave the field out", ns.Name())}
	}
	if err := s.broadcast(ctx, ns.Adapter(), p, ev.Attachments()); err != nil {
		return err
	}
	if err := ev.Ack(okReply{OK: true}); err != nil && !errors.Is(err, socketio.ErrNoAck) {
		s.log.LogAttrs(ctx, slog.LevelDebug, "a publisher left before the acknowledgement", slog.Any("error", err))
	}
	return nil
}

// checkSome is checkRooms for requests in which no room would mean nothing.
func (s *Server) checkSome(rooms []string) error {
	if len(rooms) == 0 {
		return &apiError{CodeInvalidRoom, "say which room: a string or a list of strings"}
	}
	return checkRooms(rooms, s.cfg.MaxRooms)
}

// broadcast sends a publication to the members of its rooms, on this node and on the others.
func (s *Server) broadcast(ctx context.Context, rooms *adapter.Adapter, p *publication, attachments [][]byte) error {
	if !s.publishing.Enter() {
		return errShuttingDown
	}
	defer s.publishing.Leave()
	m, err := p.message(attachments)
	if err != nil {
		return err
	}
	// A publisher that leaves meanwhile must not keep a message from the other nodes that this one has delivered.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTimeout)
	defer cancel()
	if err := rooms.Broadcast(ctx, m, p.target()); err != nil {
		s.often.Log(ctx, slog.LevelWarn, "publish "+adapter.Reason(err), "the cluster did not take a message", slog.String("namespace", rooms.Namespace()), slog.Any("error", err))
		if errors.Is(err, adapter.ErrUnsendable) {
			return &apiError{CodeUnsendable, "the cluster's wire has no form for the message, or none that large: it was delivered to clients of this node only"}
		}
		return &apiError{CodeClusterUnavailable, "the cluster did not take the message: it was delivered to clients of this node only"}
	}
	return nil
}

// refuseConnection makes err the refusal of a connection, whose code travels as data.
func refuseConnection(err error) error {
	e, ok := forSocket(err).(*socketio.Error)
	if !ok {
		return err
	}
	e.Data = map[string]string{"code": e.Code}
	return e
}
