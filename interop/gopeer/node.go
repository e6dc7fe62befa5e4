package main

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/peal-dev/peal/socketio"
	"github.com/peal-dev/peal/sse"
)

// node is the server and what drives it.
type node struct {
	io      *socketio.Server
	emitter *socketio.Server // of a driver that only publishes; nil if the wire has none
	lines   *lines

	mu     sync.Mutex
	opened map[string]bool
}

// askTimeout is how long the server's own questions wait, as in node/node-server.mjs.
const askTimeout = 3 * time.Second

// open joins a namespace and registers the events that both kinds of node know.
func (n *node) open(ctx context.Context, c *command) (any, error) {
	ns := n.io.Of(c.Namespace)
	n.mu.Lock()
	if !n.opened[ns.Name()] {
		n.opened[ns.Name()] = true
		n.register(ns)
	}
	n.mu.Unlock()
	return nil, ns.Adapter().Ping(ctx)
}

func (n *node) register(ns *socketio.Namespace) {
	ns.OnConnect(func(s *socketio.Socket) {
		if !s.Recovered() {
			s.Set("made", "by go")
			s.Set("number", 7)
		}
	})
	ns.On("join", func(ctx context.Context, s *socketio.Socket, room string) error { return s.Join(ctx, room) })
	ns.On("leave", func(ctx context.Context, s *socketio.Socket, room string) error { return s.Leave(ctx, room) })
	ns.On("rooms", func(s *socketio.Socket) []string { return append(s.Rooms(), s.ID()) })
	ns.On("say", func(ctx context.Context, s *socketio.Socket, room, event string, args ...any) error {
		return s.To(room).Emit(ctx, event, args...)
	})
	ns.On("question", func(ctx context.Context, s *socketio.Socket, room, event string) (any, error) {
		ctx, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		replies, err := s.To(room).EmitWithAck(ctx, event)
		return collect(&replies), err
	})
	ns.OnServerSide("greet", func(_ context.Context, ev *socketio.Event) error {
		args := make([]any, ev.Len())
		for i := range args {
			if err := ev.Arg(i, &args[i]); err != nil {
				return err
			}
		}
		n.lines.say(map[string]any{"event": "greet", "client": ns.Name(), "args": encode(args), "ack": ev.WantsAck()})
		if ev.WantsAck() {
			return ev.Ack("go")
		}
		return nil
	})
}

// subscribe makes an event stream a member of its namespace and rooms.
func (n *node) subscribe(r *http.Request) (sse.Subscription, error) {
	query := r.URL.Query()
	return sse.Subscription{Adapter: n.io.Of(query.Get("namespace")).Adapter(), Rooms: query["room"]}, nil
}

// server is what carries a command out.
func (n *node) server(c *command) *socketio.Server {
	if c.By == "emitter" {
		return n.emitter
	}
	return n.io
}

// target is who a command means.
func (n *node) target(c *command) socketio.Broadcast {
	to := n.server(c).Of(c.Namespace).To(c.Rooms...).Except(c.Except...)
	if c.Volatile {
		to = to.Volatile()
	}
	if c.Local {
		to = to.Local()
	}
	return to
}

// collect returns the acknowledgements' first arguments.
func collect(replies *socketio.Replies) []any {
	answers := []any{}
	for _, reply := range replies.Replies {
		answers = append(answers, first(reply))
	}
	for _, reply := range replies.Unnamed {
		answers = append(answers, first(reply))
	}
	return answers
}

func first(reply *socketio.Reply) any {
	var answer any
	if err := reply.Decode(&answer); err != nil {
		return err.Error()
	}
	return answer
}
