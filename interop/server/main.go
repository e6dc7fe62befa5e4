// Command server is Peal's side of the interoperability tests: a small server on the public API that answers what the
// public protocol test suites and the load generators send.
//
//	go run ./interop/server --listen 127.0.0.1:3000 --profile sio
//
// It prints "listening on ADDR" once it accepts connections and has joined its cluster, if it has one, and stops cleanly
// on SIGTERM.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/peal-dev/peal/engineio"
)

// shutdownTimeout bounds the orderly end; open long-polling requests are answered well within it.
const shutdownTimeout = 5 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

// settings is the command line.
type settings struct {
	listen       string
	cluster      string
	profile      string
	pingInterval time.Duration
	pingTimeout  time.Duration
	profiling    string
	logger       *slog.Logger
}

func run(ctx context.Context, args []string) error {
	s := settings{logger: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	flags.StringVar(&s.listen, "listen", "127.0.0.1:3000", "address to listen on; port 0 picks a free one")
	flags.StringVar(&s.cluster, "cluster", "", "URL of what joins the cluster, of which the scheme chooses the driver; empty runs a single node")
	flags.StringVar(&s.profile, "profile", "bench", "what to serve: eio, sio or bench")
	flags.DurationVar(&s.pingInterval, "ping-interval", 0, "heartbeat interval; 0 takes the profile's")
	flags.DurationVar(&s.pingTimeout, "ping-timeout", 0, "heartbeat timeout; 0 takes the profile's")
	flags.StringVar(&s.profiling, "pprof", "", "address of a second listener with net/http/pprof; empty has none")
	if err := flags.Parse(args); err != nil {
		return err
	}

	app, err := newApp(ctx, &s)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{KeepAlive: -1}).Listen(ctx, "tcp", s.listen) // as peal serve listens
	if err != nil {
		return fmt.Errorf("listening on %s: %w", s.listen, err)
	}
	if s.profiling != "" {
		stopProfiling, err := serveProfiles(ctx, s.profiling)
		if err != nil {
			return err
		}
		defer stopProfiling()
	}
	server := &http.Server{Handler: app.handler, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	listener = engineio.NewListener(listener, server, nil)
	go func() { served <- server.Serve(listener) }()
	fmt.Println("listening on", listener.Addr())

	select {
	case err := <-served:
		return fmt.Errorf("serving %s: %w", s.listen, err)
	case <-ctx.Done():
	}
	// The parent context is over; the orderly end needs one of its own.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err = errors.Join(app.shutdown(ctx), server.Shutdown(ctx))
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return err
}
