package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof" // registers with http.DefaultServeMux
	"time"
)

// serveProfiles serves net/http/pprof beside the profile under test, until the returned function is called.
func serveProfiles(ctx context.Context, address string) (stop func(), err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening on %s for profiles: %w", address, err)
	}
	server := &http.Server{Handler: http.DefaultServeMux, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // ends when it is stopped
	}()
	return func() {
		_ = server.Close() // there is nobody left to tell
		<-done
	}, nil
}
