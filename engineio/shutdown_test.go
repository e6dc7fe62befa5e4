package engineio_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/peal-dev/peal/engineio"
)

// shutdown begins a shutdown that may take that long.
func (f *fixture) shutdown(within time.Duration) <-chan error {
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		done <- f.server.Shutdown(ctx)
	}()
	return done
}

// TestShutdownDelivers has a lot wait for clients that begin to read when the shutdown has begun.
func TestShutdownDelivers(t *testing.T) {
	t.Parallel()
	const count, size = 100, 64 << 10 // more than the kernel takes for a client that does not read
	opts := engineio.Options{SendBuffer: 2 * count * size, PollBuffer: 2 * count * size}
	message := func(n int) string { return fmt.Sprintf("%d %s", n, strings.Repeat("x", size)) }
	both(t, opts, func(t *testing.T, f *fixture) {
		ws, p, idle := f.openWebSocket(), f.openPolling(), f.openPolling()
		for range 3 {
			s := receive(t, f.sessions)
			for n := range count {
				if s.ID() == idle.sid {
					break
				}
				if err := s.Send(engineio.Prepare(engineio.Message{Data: []byte(message(n))}), engineio.Deferred); err != nil {
					t.Fatal(err)
				}
			}
		}
		done := f.shutdown(wait)
		for range 3 {
			f.ended(engineio.ServerShutdown) // the receivers do not wait for it
		}
		if a := f.do("GET", "EIO=4&transport=polling", ""); a.status != http.StatusServiceUnavailable {
			t.Errorf("a handshake got %d", a.status)
		}
		f.expect(idle.poll(), http.StatusOK, "6\x1e1") // while others have yet to read
		for n := range count {
			if got := ws.read(); got != "4"+message(n) {
				t.Fatalf("WebSocket: message %d is %.20q", n, got)
			}
		}
		if code := ws.closeCode(); code != websocket.StatusNoStatusRcvd {
			t.Errorf("closed with %v", code)
		}
		var got []string
		for len(got) == 0 || got[len(got)-1] != "1" {
			a := p.poll()
			if a.status != http.StatusOK {
				t.Fatalf("after %d messages a poll got %d %s", len(got), a.status, a.body)
			}
			got = append(got, strings.Split(a.body, "\x1e")...)
		}
		for n, packet := range got[:len(got)-1] {
			if packet != "4"+message(n) {
				t.Fatalf("polling: message %d is %.20q", n, packet)
			}
		}
		if len(got) != count+1 {
			t.Errorf("%d packets were fetched", len(got))
		}
		if err := receive(t, done); err != nil {
			t.Error(err)
		}
	})
}

// TestShutdownLeavesTheDeafBehind shuts down with clients that do not read, or do not say goodbye.
func TestShutdownLeavesTheDeafBehind(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		open func(f *fixture) *engineio.Session
	}{
		{"WebSocket", func(f *fixture) *engineio.Session { f.openWebSocket(); return receive(f.T, f.sessions) }},
		{"polling", func(f *fixture) *engineio.Session { f.openPolling(); return receive(f.T, f.sessions) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			f := start(t, &engineio.Options{SendBuffer: 64 << 20, PollBuffer: 64 << 20, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			s := tt.open(f)
			big := engineio.Prepare(engineio.Message{Data: make([]byte, 32<<20)})
			if err := s.Send(big, 0); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			const within = 2 * time.Second
			if err := receive(t, f.shutdown(within)); err != nil {
				t.Error(err)
			}
			if took := time.Since(begin); took < within/2 {
				t.Errorf("the client had %v to read", took)
			}
			f.ended(engineio.ServerShutdown)
			if !strings.Contains(log.String(), "clients=1") {
				t.Errorf("the log says %q", log.String())
			}
		})
	}
}

// TestShutdownDoesNotWaitForTheSilent shuts down with clients to which nothing is owed: they do not hold it up, though
// they do not answer.
func TestShutdownDoesNotWaitForTheSilent(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	f.openWebSocket()
	f.openPolling()
	begin := time.Now()
	if err := receive(t, f.shutdown(time.Minute)); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > wait {
		t.Errorf("it took %v", took)
	}
}
