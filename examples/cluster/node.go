package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/socketio"
	"github.com/peal-dev/peal/sse"
)

// node is one member of the cluster. Only the driver makes it one: everything else is as on a single node.
type node struct {
	url    string
	io     *socketio.Server
	events *sse.Handler
	driver *redispubsub.Driver
	http   *http.Server
	served chan error
}

func startNode(ctx context.Context, redisURL, addr string) (*node, error) {
	driver, err := redispubsub.New(redispubsub.Options{URL: redisURL})
	if err != nil {
		return nil, fmt.Errorf("driver for %s: %w", redisURL, err)
	}
	n := &node{driver: driver, served: make(chan error, 1)}
	n.io = socketio.NewServer(&socketio.Options{Driver: driver})
	n.io.On("say", func(ctx context.Context, text string) error { return n.io.Emit(ctx, "said", text) })
	n.events = sse.NewHandler(func(*http.Request) (sse.Subscription, error) {
		return sse.Subscription{Adapter: n.io.Adapter()}, nil // no rooms: what goes to everyone
	}, nil)

	mux := http.NewServeMux()
	mux.Handle("/socket.io/", n.io)
	mux.Handle("GET /events", n.events)
	mux.HandleFunc("POST /say", n.say)
	n.http = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listening on %s: %w", addr, err), driver.Close(ctx))
	}
	n.url = "http://" + listener.Addr().String()
	listener = engineio.NewListener(listener, n.http, nil) // WebSockets connect with less work
	go func() { n.served <- n.http.Serve(listener) }()
	return n, nil
}

// say publishes the request's body to everyone.
func (n *node) say(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	if err := n.io.Emit(r.Context(), "said", string(text)); err != nil {
		// The clients of this node have it; the others do not.
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
}

// stop ends the node: streams and sockets first, then the listener, and the link to the cluster last.
func (n *node) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := errors.Join(n.events.Shutdown(ctx), n.io.Shutdown(ctx), n.http.Shutdown(ctx), n.driver.Close(ctx))
	if serveErr := <-n.served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return err
}
