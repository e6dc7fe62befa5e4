package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/interop/wire"
	"github.com/peal-dev/peal/socketio"
)

// What the public protocol test suites are written for.
const (
	suitePingInterval = 300 * time.Millisecond
	suitePingTimeout  = 200 * time.Millisecond
	suiteMaxPayload   = 1e6

	// The suites' own server has 1 s, but a test of theirs stays without a namespace for three heartbeats, and that is
	// 900 ms on a machine with nothing else to do.
	suiteConnectTimeout = 1500 * time.Millisecond
)

// app is one profile, ready to serve.
type app struct {
	handler  http.Handler
	shutdown func(context.Context) error
}

func newApp(ctx context.Context, s *settings) (*app, error) {
	switch s.profile {
	case "eio":
		return newEngine(s), nil
	case "sio":
		return newSocketIO(ctx, s, suiteConnectTimeout, serveSuite, "/", "/custom")
	case "bench":
		return newSocketIO(ctx, s, 0, serveBench, "/")
	default:
		return nil, fmt.Errorf("profile %q: want eio, sio or bench", s.profile)
	}
}

// engineOptions are the settings' heartbeat times, or those of the test suites where the profile asks for them.
func (s *settings) engineOptions() engineio.Options {
	opts := engineio.Options{
		PingInterval: s.pingInterval,
		PingTimeout:  s.pingTimeout,
		CORS:         &engineio.CORS{AllowOrigins: []string{"*"}},
		Logger:       s.logger,
	}
	if s.profile == "bench" {
		return opts
	}
	opts.MaxPayload = suiteMaxPayload
	if opts.PingInterval == 0 {
		opts.PingInterval = suitePingInterval
	}
	if opts.PingTimeout == 0 {
		opts.PingTimeout = suitePingTimeout
	}
	return opts
}

// echo sends every message of its session back.
type echo struct{ session *engineio.Session }

func (e echo) Message(m engineio.Message) {
	// Data belongs to the session's read buffer; what is sent must outlive this call.
	m.Data = bytes.Clone(m.Data)
	// A session that is going away reports it through Close; the echo has nobody left to tell.
	_ = e.session.Send(engineio.Prepare(m), 0)
}

func (echo) Close(engineio.Reason, error) {}

func newEngine(s *settings) *app {
	opts := s.engineOptions()
	open := func(session *engineio.Session) engineio.Receiver { return echo{session} }
	server := engineio.NewServer(engineio.HandlerFunc(open), &opts)
	mux := http.NewServeMux()
	mux.Handle("/engine.io/", server)
	return &app{handler: mux, shutdown: server.Shutdown}
}

// driver makes what the scheme of the cluster's URL names: Redis Pub/Sub, or the wire of that name.
func (s *settings) driver() (adapter.Driver, error) {
	name, _, _ := strings.Cut(s.cluster, ":")
	if name == "redis" {
		name = "redispubsub"
	}
	w := wire.ByName(name)
	if w == nil {
		return nil, fmt.Errorf("no wire %q", name)
	}
	return w.Driver(s.cluster, s.logger)
}

// newSocketIO returns a Socket.IO server on which register has been called for each of the namespaces, and which has
// joined its cluster: whoever waits for the address may count on broadcasts from then on.
func newSocketIO(
	ctx context.Context, s *settings, connectTimeout time.Duration, register func(*socketio.Namespace), namespaces ...string,
) (*app, error) {
	opts := &socketio.Options{Engine: s.engineOptions(), ConnectTimeout: connectTimeout, Logger: s.logger}
	closeDriver := func(context.Context) error { return nil }
	if s.cluster != "" {
		driver, err := s.driver()
		if err != nil {
			return nil, fmt.Errorf("driver for %s: %w", s.cluster, err)
		}
		opts.Driver = driver
		closeDriver = driver.Close
	}
	server := socketio.NewServer(opts)
	shutdown := func(ctx context.Context) error {
		return errors.Join(server.Shutdown(ctx), closeDriver(ctx))
	}
	for _, name := range namespaces {
		register(server.Of(name))
		if err := server.Of(name).Adapter().Ping(ctx); err != nil {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
			defer cancel()
			return nil, errors.Join(fmt.Errorf("joining the cluster at %s: %w", s.cluster, err), shutdown(ctx))
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", server)
	return &app{handler: mux, shutdown: shutdown}, nil
}

// serveSuite registers what the Socket.IO protocol test suite expects, and a few events the official client's tests use.
func serveSuite(ns *socketio.Namespace) {
	ns.OnConnect(func(s *socketio.Socket) {
		var auth any
		if err := s.Auth(&auth); err != nil {
			_ = s.Disconnect(s.Context(), true) // cannot be: the server parsed it
			return
		}
		_ = s.Emit(s.Context(), "auth", auth) // a client that left again needs none
	})
	ns.On("message", func(s *socketio.Socket, args ...any) error {
		return s.Emit(s.Context(), "message-back", args...)
	})
	ns.On("message-with-ack", func(ack socketio.Ack, args ...any) error {
		return ack(args...)
	})
	// The server asks back within the handler, and answers with what it was told.
	ns.On("ask", func(ctx context.Context, s *socketio.Socket, args ...any) (any, error) {
		return socketio.Call[any](ctx, s, "asked", args...)
	})
	ns.On("burst", func(s *socketio.Socket, count int) error {
		for i := range count {
			if err := s.Emit(s.Context(), "burst", i); err != nil {
				return fmt.Errorf("burst message %d: %w", i, err)
			}
		}
		return nil
	})
	ns.On("kick", func(s *socketio.Socket, closeConnection bool) error {
		return s.Disconnect(s.Context(), closeConnection)
	})
}

// serveBench registers the events of the load generator.
func serveBench(ns *socketio.Namespace) {
	ns.On("broadcast", func(ctx context.Context, data any) error {
		return ns.Emit(ctx, "broadcast", data)
	})
	ns.On("echo", func(data json.RawMessage) json.RawMessage { return data })
	ns.On("join", func(ctx context.Context, s *socketio.Socket, rooms ...string) ([]string, error) {
		return rooms, s.Join(ctx, rooms...)
	})
	ns.On("publish", func(ctx context.Context, room string, data any) error {
		return ns.To(room).Emit(ctx, "broadcast", data)
	})
}
