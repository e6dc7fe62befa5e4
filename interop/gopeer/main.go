// Command gopeer is a node of a mixed cluster on Peal's public API, driven line by line: the twin of node/node-server.mjs,
// with the same commands, reports and events, so that a test does not know which of the two it drives.
//
//	gopeer WIRE URL [recovery]
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/interop/wire"
	"github.com/peal-dev/peal/socketio"
	"github.com/peal-dev/peal/sse"
)

// endTimeout bounds the orderly end.
const endTimeout = 5 * time.Second

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gopeer:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 2 && (len(args) != 3 || args[2] != "recovery") {
		return errors.New("usage: gopeer WIRE URL [recovery]")
	}
	w := wire.ByName(args[0])
	if w == nil {
		return fmt.Errorf("no wire %q", args[0])
	}
	driver, err := w.Driver(args[1], slog.Default())
	if err != nil {
		return err
	}
	opts := &socketio.Options{Driver: driver}
	if len(args) == 3 {
		opts.Recovery = &socketio.Recovery{}
	}
	n := &node{
		io: socketio.NewServer(opts), lines: &lines{out: os.Stdout}, opened: make(map[string]bool),
	}
	closeEmitter := func(context.Context) error { return nil }
	if w.Emitter != nil {
		emitter, err := w.Emitter(args[1], slog.Default())
		if err != nil {
			return err
		}
		n.emitter = socketio.NewServer(&socketio.Options{Driver: emitter})
		closeEmitter = func(ctx context.Context) error { return errors.Join(n.emitter.Shutdown(ctx), emitter.Close(ctx)) }
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", n.io)
	streams := sse.NewHandler(n.subscribe, &sse.Options{Retry: 50 * time.Millisecond}) // to connect again soon
	mux.Handle("/events", streams)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	url := "http://" + listener.Addr().String()
	listener = engineio.NewListener(listener, server, nil)
	go func() { served <- server.Serve(listener) }()

	n.lines.say(map[string]any{"ready": map[string]any{"url": url, "kind": "go", "emits": n.emitter != nil}})
	err = n.lines.serve(ctx, os.Stdin, n.commands())

	ctx, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	err = errors.Join(err, streams.Shutdown(ctx), n.io.Shutdown(ctx), driver.Close(ctx), closeEmitter(ctx), server.Shutdown(ctx))
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return err
}
