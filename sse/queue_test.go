package sse_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peal-dev/peal/message"
	"github.com/peal-dev/peal/sse"
)

// gate is a ResponseWriter whose writes wait until it is open.
type gate struct {
	header http.Header
	open   chan struct{}

	mu   sync.Mutex // protects the following
	body strings.Builder
}

func (g *gate) Header() http.Header { return g.header }
func (g *gate) WriteHeader(int)     {}
func (g *gate) FlushError() error   { return nil }
func (g *gate) Write(b []byte) (int, error) {
	if !strings.HasPrefix(string(b), "retry:") {
		<-g.open
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.body.Write(b)
}

func (g *gate) text() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.body.String()
}

// inBubble serves one stream on a gate, in a bubble with its own clock.
func inBubble(t *testing.T, opts sse.Options, test func(t *testing.T, b *bundle, g *gate)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, opts)
		g := &gate{header: http.Header{}, open: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		go b.handler.ServeHTTP(g, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
		synctest.Wait()
		test(t, b, g)
		cancel()
		synctest.Wait()
	})
}

func TestKeepAliveOnlyInSilence(t *testing.T) {
	t.Parallel()
	inBubble(t, sse.Options{}, func(t *testing.T, b *bundle, g *gate) {
		close(g.open)
		advance := func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
		}
		advance(14 * time.Second)
		if got := strings.Count(g.text(), ":\n\n"); got != 0 {
			t.Errorf("%d keep-alives within 14 s", got)
		}
		b.publish(t, `["a"]`, message.Target{})
		advance(14 * time.Second)
		if got := strings.Count(g.text(), ":\n\n"); got != 0 {
			t.Errorf("%d keep-alives within 14 s of an event", got)
		}
		advance(31 * time.Second)
		if got := strings.Count(g.text(), ":\n\n"); got != 3 {
			t.Errorf("%d keep-alives within 45 s of silence, want 3", got)
		}
	})
}

func TestNoKeepAliveNoRetry(t *testing.T) {
	t.Parallel()
	inBubble(t, sse.Options{KeepAlive: -1, Retry: -1}, func(t *testing.T, _ *bundle, g *gate) {
		time.Sleep(time.Hour)
		synctest.Wait()
		close(g.open)
		synctest.Wait()
		if got := g.text(); got != ":\n\n" {
			t.Errorf("got %q, want the one comment that starts a stream", got)
		}
	})
}

// The writer is stuck on "first" throughout, so everything else waits in the queue.
func TestVolatileGoesFirst(t *testing.T) {
	t.Parallel()
	inBubble(t, sse.Options{SendBuffer: 1000}, func(t *testing.T, b *bundle, g *gate) {
		post := func(event string, volatile bool) {
			m := newMessage(`["` + event + `","` + strings.Repeat("x", 340) + `"]`)
			m.Volatile = volatile
			if err := b.adapter.Broadcast(t.Context(), m, message.Target{}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		post("first", false)
		post("volatile1", true)
		post("kept1", false)
		if got := b.handler.Stats().Dropped; got != 0 {
			t.Errorf("dropped %d while there was room", got)
		}
		post("volatile2", true) // 3 × 340 bytes and more would wait
		if got := b.handler.Stats().Dropped; got != 1 {
			t.Errorf("dropped %d, want the new volatile event", got)
		}
		post("kept2", false) // makes room by dropping volatile1
		if got := b.handler.Stats().Dropped; got != 2 {
			t.Errorf("dropped %d, want the waiting volatile event too", got)
		}
		close(g.open)
		synctest.Wait()
		events, _ := readAll(sse.NewReader(strings.NewReader(g.text())))
		var names []string
		for _, e := range events {
			names = append(names, e.Name)
		}
		if got := strings.Join(names, " "); got != "first kept1 kept2" {
			t.Errorf("written: %s", got)
		}
		if got := b.handler.Stats(); got.Streams != 1 || got.Delivered != 3 {
			t.Errorf("stats: %+v", got)
		}
	})
}

func TestOverflowCloses(t *testing.T) {
	t.Parallel()
	inBubble(t, sse.Options{SendBuffer: 1000}, func(t *testing.T, b *bundle, g *gate) {
		for range 6 {
			b.publish(t, `["a","`+strings.Repeat("x", 300)+`"]`, message.Target{})
			synctest.Wait()
		}
		b.publish(t, `["after"]`, message.Target{})
		close(g.open)
		synctest.Wait()
		if got := b.handler.Stats(); got.Closed[sse.SlowConsumer] != 1 || got.Delivered != 1 {
			t.Errorf("stats: %+v", got)
		}
		if strings.Contains(g.text(), "after") {
			t.Error("an event was written after one was lost")
		}
	})
}

func TestOneEventLargerThanTheBuffer(t *testing.T) {
	t.Parallel()
	inBubble(t, sse.Options{SendBuffer: 10}, func(t *testing.T, b *bundle, g *gate) {
		close(g.open)
		b.publish(t, `["large",1]`, message.Target{})
		synctest.Wait()
		if !strings.Contains(g.text(), "large") {
			t.Errorf("got %q", g.text())
		}
	})
}

func TestShutdownGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	inBubble(t, sse.Options{}, func(t *testing.T, b *bundle, g *gate) {
		b.publish(t, `["stuck"]`, message.Target{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.handler.Shutdown(ctx); err != context.DeadlineExceeded {
			t.Errorf("got %v while a writer was stuck", err)
		}
		close(g.open)
		if err := b.handler.Shutdown(t.Context()); err != nil {
			t.Errorf("got %v after it went on", err)
		}
	})
}
