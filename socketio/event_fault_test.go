package socketio_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/socketio"
)

// lockedBuffer is a log that can be read while it is written.
type lockedBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// TestPanics has handlers of each kind panic; the connection must live on.
func TestPanics(t *testing.T) {
	t.Parallel()
	var logged lockedBuffer
	opts := &socketio.Options{Logger: slog.New(slog.NewTextHandler(&logged, nil))}
	r := newRig(t, opts, func(io *socketio.Server) {
		io.OnConnect(func(*socketio.Socket) { panic("in OnConnect") })
		io.OnConnect(func(s *socketio.Socket) {
			if err := s.Emit(s.Context(), "second"); err != nil {
				t.Error(err)
			}
		})
		io.On("boom", func(*socketio.Socket) int { panic("in a handler") })
		io.On("fine", func() {})
		io.OnAny(func(ev *socketio.Event) {
			if ev.Name == "any" {
				panic("in OnAny")
			}
		})
		io.OnDisconnecting(func(*socketio.Socket, socketio.Reason) { panic("in OnDisconnecting") })
		io.OnDisconnect(func(s *socketio.Socket, _ socketio.Reason) { panic("in OnDisconnect") })
		bad := io.Of("/bad")
		bad.Use(func(context.Context, *socketio.Socket) error { panic("in a middleware") })
	})
	p, _ := r.join()
	p.want(`42["second"]`)
	const internal = `[{"error":{"code":"internal","message":"internal error"}}]`
	p.send(`421["boom"]`, `42["boom"]`, `422["any"]`, `423["fine"]`, `40/bad,`)
	p.want(`431`+internal, `432`+internal, `433[]`, `44/bad,{"message":"internal error"}`)
	p.send(`41`, `40`)
	p.joined("")
	p.want(`42["second"]`)
	p.send(`421["fine"]`)
	p.want(`431[]`)
	for _, want := range []string{"in OnConnect", "in a handler", "in OnAny", "in OnDisconnecting", "in OnDisconnect", "in a middleware", "event_fault_test.go"} {
		if !strings.Contains(logged.String(), want) {
			t.Errorf("the log does not mention %q", want)
		}
	}
	if n := r.io.Stats().HandlerPanics; n != 8 {
		t.Errorf("%d panics counted, want 8", n)
	}
}

// TestBlockedHandler has a handler block for many heartbeats.
func TestBlockedHandler(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	opts := &socketio.Options{Engine: engineio.Options{PingInterval: 20 * time.Millisecond, PingTimeout: 2 * time.Second}}
	r := newRig(t, opts, func(io *socketio.Server) {
		io.On("block", func() { <-release })
	})
	p, _ := r.join()
	p.send(`421["block"]`)
	for range 5 {
		_, data, err := p.conn.Read(p.ctx)
		if err != nil || string(data) != "2" {
			t.Fatalf("no ping but %q, %v", data, err)
		}
		p.send("3")
	}
	close(release)
	p.want(`431[]`)
}

// TestBackpressure sends many more events than may wait while the handler blocks; all must arrive, in order.
func TestBackpressure(t *testing.T) {
	t.Parallel()
	const events = 500
	release := make(chan struct{})
	done := make(chan error, 1)
	next := 0
	r := newRig(t, &socketio.Options{InboxLimit: 8}, func(io *socketio.Server) {
		io.On("n", func(n int) error {
			<-release
			if n != next {
				done <- fmt.Errorf("event %d came as number %d", n, next)
			}
			if next++; next == events {
				done <- nil
			}
			return nil
		})
	})
	p, _ := r.join()
	for i := range events {
		p.send(fmt.Sprintf(`42["n",%d]`, i))
		if i == 100 {
			close(release)
		}
	}
	if err := receive(t, done); err != nil {
		t.Fatal(err)
	}
	if r.io.Stats().Paused == 0 {
		t.Error("reading was never paused")
	}
	if r.io.Stats().EventsIn != events {
		t.Errorf("%d events counted", r.io.Stats().EventsIn)
	}
}
