package redispubsub_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/internal/testredis"
	"github.com/peal-dev/peal/message"
)

func newMessage(event string) *message.Message {
	return message.New([]byte(`["` + event + `"]`))
}

// states makes options with which the connection's states can be awaited.
func states(opts redispubsub.Options) (redispubsub.Options, func(up bool)) {
	ch := make(chan bool, 1000)
	opts.OnState = func(up bool, _ error) { ch <- up }
	return opts, func(up bool) {
		for <-ch != up {
		}
	}
}

type logBuffer struct {
	mu sync.Mutex
	strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Builder.Write(p)
}

func (b *logBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.String()
}

func (b *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

var _ io.Writer = (*logBuffer)(nil)

func TestRedisAway(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	var log logBuffer
	opts, state := states(redispubsub.Options{URL: server.URL(), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	d1 := newDriver(t, opts)
	opts2, state2 := states(redispubsub.Options{URL: server.URL()})
	d2 := newDriver(t, opts2)
	a1, m1 := newAdapter(t, d1)
	a2, m2 := newAdapter(t, d2)
	state(true)
	state2(true)

	server.Stop()
	state(false)
	state2(false)
	start := time.Now()
	err := a1.Broadcast(t.Context(), newMessage("lost"), message.Target{})
	if !errors.Is(err, adapter.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Broadcast without Redis: %v", err)
	}
	if took := time.Since(start); took > redispubsub.DefaultTimeout {
		t.Errorf("Broadcast without Redis took %v", took)
	}
	if got := m1.Next(t).Event(); got != "lost" {
		t.Errorf("this node's member got %q", got)
	}
	if err := a1.JoinRooms(t.Context(), message.Target{}, "r"); !errors.Is(err, adapter.ErrUnavailable) || !a1.HasRoom("r") {
		t.Errorf("JoinRooms without Redis: %v, joined here: %v", err, a1.HasRoom("r"))
	}
	for _, a := range []*adapter.Adapter{a1, a2} {
		if err := a.Ping(t.Context()); !errors.Is(err, adapter.ErrUnavailable) {
			t.Errorf("Ping without Redis: %v", err)
		}
	}
	if d1.Stats().Connected {
		t.Error("connected without Redis")
	}

	server.Restart()
	state(true)
	state2(true)
	for _, a := range []*adapter.Adapter{a1, a2} {
		if err := a.Ping(t.Context()); err != nil {
			t.Errorf("Ping with Redis again: %v", err)
		}
	}
	if err := a1.Broadcast(t.Context(), newMessage("found"), message.Target{}); err != nil {
		t.Errorf("Broadcast with Redis again: %v", err)
	}
	if before := m2.Until(t, "found"); len(before) > 0 {
		t.Errorf("the other node got %v", before)
	}
	if s := d1.Stats(); s.Reconnects != 1 || !s.Connected {
		t.Errorf("stats = %+v, want one reconnect", s)
	}
	for _, want := range []string{"level=WARN msg=\"redispubsub: connection to Redis lost\" error=", "connected to Redis again"} {
		if strings.Count(log.text(), want) != 1 {
			t.Errorf("the log does not say once %q:\n%s", want, log.text())
		}
	}
}

func TestSubscribeWithoutRedis(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	server.Stop()
	opts, state := states(redispubsub.Options{URL: server.URL(), Timeout: 200 * time.Millisecond})
	d := newDriver(t, opts)
	state(false)
	_, err := adapter.New(t.Context(), "/", d, nil)
	if !errors.Is(err, adapter.ErrUnavailable) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("New without Redis: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := adapter.New(ctx, "/", d, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("New without Redis and time: %v", err)
	}
	server.Restart()
	state(true)
	a, _ := newAdapter(t, d)
	if err := a.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestRedisHangs(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	const timeout = 300 * time.Millisecond
	opts, state := states(redispubsub.Options{URL: server.URL(), Timeout: timeout, QueueSize: 1})
	d := newDriver(t, opts)
	a, _ := newAdapter(t, d)
	state(true)
	server.Pause()
	start := time.Now()
	const callers = 6
	errs := make(chan error, callers)
	for range callers {
		go func() { errs <- a.Broadcast(t.Context(), newMessage("x"), message.Target{}) }()
	}
	for range callers {
		if err := <-errs; !errors.Is(err, adapter.ErrUnavailable) && !errors.Is(err, adapter.ErrOverloaded) {
			t.Errorf("Broadcast to a Redis that hangs: %v", err)
		}
	}
	if took := time.Since(start); took > 20*timeout {
		t.Errorf("gave up after %v", took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout/10)
	defer cancel()
	if err := a.Broadcast(ctx, newMessage("x"), message.Target{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Broadcast with less time than the driver's: %v", err)
	}
	state(false)
	server.Resume()
	state(true)
	if err := a.Ping(t.Context()); err != nil {
		t.Errorf("Ping when Redis goes on: %v", err)
	}
}

func TestOverloaded(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	d := newDriver(t, redispubsub.Options{URL: server.URL(), Timeout: 200 * time.Millisecond, QueueSize: 1})
	a, _ := newAdapter(t, d)
	server.Pause()
	defer server.Resume()
	const callers = 600 // more than may share the one round trip that hangs
	errs := make(chan error, callers)
	for range callers {
		go func() { errs <- a.Broadcast(t.Context(), newMessage("x"), message.Target{}) }()
	}
	overloaded := 0
	for range callers {
		if errors.Is(<-errs, adapter.ErrOverloaded) {
			overloaded++
		}
	}
	if overloaded == 0 || a.Stats().PublishErrors["overloaded"] != uint64(overloaded) {
		t.Errorf("%d of %d callers were told that too much waits, counted %v", overloaded, callers, a.Stats().PublishErrors)
	}
}

func TestCloseWhileAway(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	d := newDriver(t, redispubsub.Options{URL: server.URL()})
	a, _ := newAdapter(t, d)
	server.Pause()
	result := make(chan error)
	go func() { result <- a.Broadcast(t.Context(), newMessage("x"), message.Target{}) }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := d.Close(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if err := <-result; !errors.Is(err, adapter.ErrClosed) {
		t.Errorf("Broadcast while the driver closes: %v", err)
	}
	server.Resume()
}

func TestBadOptions(t *testing.T) {
	t.Parallel()
	if _, err := redispubsub.New(redispubsub.Options{}); err == nil || !strings.Contains(err.Error(), "redispubsub: redis: no URL") {
		t.Errorf("New without a URL: %v", err)
	}
}
