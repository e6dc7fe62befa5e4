package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/peal-dev/peal/socketio"
)

// commands are those of node/node-server.mjs.
func (n *node) commands() map[string]operation {
	waits := func(run func(context.Context, *command) (any, error)) operation {
		return operation{run: run, waits: true}
	}
	order := func(run func(context.Context, *command) error) operation {
		return operation{run: func(ctx context.Context, c *command) (any, error) { return nil, run(ctx, c) }}
	}
	operations := map[string]operation{
		"open": waits(n.open),
		"emit": order(func(ctx context.Context, c *command) error { return n.target(c).Emit(ctx, c.Event, c.Args...) }),
		// Other commands are carried out meanwhile: over some wires it takes seconds.
		"burst": waits(func(ctx context.Context, c *command) (any, error) {
			to, began := n.target(c), time.Now()
			for i := c.From; i < c.From+c.Count; i++ {
				if c.Rate > 0 {
					time.Sleep(time.Until(began.Add(time.Second * time.Duration(i-c.From) / time.Duration(c.Rate))))
				}
				if err := to.Emit(ctx, c.Event, append(slices.Clone(c.Args), i)...); err != nil {
					return nil, fmt.Errorf("message %d: %w", i, err)
				}
			}
			return nil, nil
		}),
		"socketsJoin":  order(func(ctx context.Context, c *command) error { return n.target(c).Join(ctx, c.Change...) }),
		"socketsLeave": order(func(ctx context.Context, c *command) error { return n.target(c).Leave(ctx, c.Change...) }),
		"disconnectSockets": order(func(ctx context.Context, c *command) error {
			return n.target(c).Disconnect(ctx, c.Close)
		}),
		"serverSideEmit": order(func(ctx context.Context, c *command) error {
			return n.server(c).Of(c.Namespace).ServerSideEmit(ctx, c.Event, c.Args...)
		}),
		"serverSideAsk": waits(n.serverSideAsk),
		"broadcastAck":  waits(n.broadcastAck),
		"fetchSockets":  waits(n.fetchSockets),
		"allSockets":    waits(n.allSockets),
		"allRooms": waits(func(ctx context.Context, c *command) (any, error) {
			return n.io.Of(c.Namespace).AllRooms(ctx)
		}),
		"serverCount": waits(func(ctx context.Context, c *command) (any, error) {
			return n.io.Of(c.Namespace).ServerCount(ctx)
		}),
		"socketAsk": waits(n.socketAsk),
	}
	maps.Copy(operations, n.remoteCommands())
	return operations
}

// remoteCommands are those for one socket that may be on another node.
func (n *node) remoteCommands() map[string]operation {
	remote := func(run func(context.Context, *socketio.RemoteSocket, *command) (any, error)) operation {
		return operation{waits: true, run: func(ctx context.Context, c *command) (any, error) {
			sockets, err := n.io.Of(c.Namespace).To(c.Socket).FetchSockets(ctx)
			if err != nil || len(sockets) != 1 {
				return nil, fmt.Errorf("%d sockets with id %s: %w", len(sockets), c.Socket, err)
			}
			return run(ctx, sockets[0], c)
		}}
	}
	return map[string]operation{
		"remoteJoin": remote(func(ctx context.Context, s *socketio.RemoteSocket, c *command) (any, error) {
			return nil, s.Join(ctx, c.Change...)
		}),
		"remoteLeave": remote(func(ctx context.Context, s *socketio.RemoteSocket, c *command) (any, error) {
			return nil, s.Leave(ctx, c.Change...)
		}),
		"remoteEmit": remote(func(ctx context.Context, s *socketio.RemoteSocket, c *command) (any, error) {
			return nil, s.Emit(ctx, c.Event, c.Args...)
		}),
		"remoteAsk": remote(func(ctx context.Context, s *socketio.RemoteSocket, c *command) (any, error) {
			return answerOf(s.EmitWithAck(ctx, c.Event, c.Args...))
		}),
		"remoteDisconnect": remote(func(ctx context.Context, s *socketio.RemoteSocket, c *command) (any, error) {
			return nil, s.Disconnect(ctx, c.Close)
		}),
	}
}

func answerOf(reply *socketio.Reply, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return first(reply), nil
}

func (n *node) serverSideAsk(ctx context.Context, c *command) (any, error) {
	replies, err := n.io.Of(c.Namespace).ServerSideEmitWithAck(ctx, c.Event, c.Args...)
	answers := []any{}
	for _, reply := range replies {
		answers = append(answers, first(reply))
	}
	return answers, err
}

// broadcastAck returns all answers, and which of them are known to be whose.
func (n *node) broadcastAck(ctx context.Context, c *command) (any, error) {
	replies, err := n.target(c).EmitWithAck(ctx, c.Event, c.Args...)
	of := map[string]any{}
	for id, reply := range replies.Replies {
		of[id] = first(reply)
	}
	return map[string]any{"answers": collect(&replies), "of": of}, err
}

func (n *node) socketAsk(ctx context.Context, c *command) (any, error) {
	s := n.io.Of(c.Namespace).Socket(c.Socket)
	if s == nil {
		return nil, fmt.Errorf("no socket %s here", c.Socket)
	}
	return answerOf(s.EmitWithAck(ctx, c.Event, c.Args...))
}

// allSockets returns those of this node, as the official adapters do.
func (n *node) allSockets(_ context.Context, c *command) (any, error) {
	ids := []string{}
	for s := range n.io.Of(c.Namespace).Sockets() {
		if slices.ContainsFunc(c.Rooms, func(room string) bool { return slices.Contains(s.Rooms(), room) }) {
			ids = append(ids, s.ID())
		}
	}
	return ids, nil
}

// fetchSockets returns the sockets in the form that Node.js has.
func (n *node) fetchSockets(ctx context.Context, c *command) (any, error) {
	sockets, err := n.target(c).FetchSockets(ctx)
	list := []any{}
	for _, s := range sockets {
		h := s.Handshake
		headers, query := map[string]any{}, map[string]any{}
		for name, values := range h.Header {
			headers[strings.ToLower(name)] = strings.Join(values, ", ")
		}
		for name := range h.Query {
			query[name] = h.Query.Get(name)
		}
		list = append(list, map[string]any{
			"id": s.ID, "rooms": append(slices.Clone(s.Rooms), s.ID), "data": s.Data,
			"handshake": map[string]any{
				"headers": headers, "query": query, "auth": h.Auth, "address": h.Address, "url": h.URL,
				"secure": h.Secure, "xdomain": h.XDomain, "time": h.Time.String(), "issued": h.Time.UnixMilli(),
			},
		})
	}
	return list, err
}
