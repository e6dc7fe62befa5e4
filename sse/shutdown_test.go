package sse_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/message"
	"github.com/peal-dev/peal/sse"
)

// TestShutdownDelivers has a lot wait for clients that begin to read when the shutdown has begun.
func TestShutdownDelivers(t *testing.T) {
	t.Parallel()
	const count, size = 100, 64 << 10 // more than the kernel takes for a client that does not read
	protocols(t, sse.Options{SendBuffer: 2 * count * size}, func(t *testing.T, b *bundle) {
		res, _ := b.open(t, "/")
		padding := strings.Repeat("x", size)
		for n := range count {
			b.publish(t, fmt.Sprintf(`["n",%d,"%s"]`, n, padding), message.Target{})
		}
		done := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
			defer cancel()
			done <- b.handler.Shutdown(ctx)
		}()
		// The shutdown has begun.
		for refused := false; !refused; {
			late, cancel := b.open(t, "/")
			refused = late.StatusCode == http.StatusServiceUnavailable
			cancel()
		}
		events, err := readAll(sse.NewReader(res.Body))
		if err != io.EOF || len(events) != count {
			t.Errorf("got %d events, %v", len(events), err)
		}
		for n, e := range events {
			if !strings.HasPrefix(e.Data, fmt.Sprintf("[%d,", n)) {
				t.Fatalf("event %d is %.20s", n, e.Data)
			}
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestShutdownLeavesTheDeafBehind shuts down with a client that does not read.
func TestShutdownLeavesTheDeafBehind(t *testing.T) {
	t.Parallel()
	for _, variant := range variants {
		t.Run(variant, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			b := serve(t, variant, sse.Options{SendBuffer: 64 << 20, Logger: slog.New(slog.NewTextHandler(&log, nil))}, nil)
			_, _ = b.open(t, "/")
			b.publish(t, `["huge","`+strings.Repeat("x", 16<<20)+`"]`, message.Target{})
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			if err := b.handler.Shutdown(ctx); err != nil {
				t.Error(err)
			}
			if got := b.handler.Stats(); got.Streams != 0 || got.Closed[sse.ServerShutdown] != 1 || b.adapter.Len() != 0 {
				t.Errorf("stats: %+v, members %d", got, b.adapter.Len())
			}
			if !strings.Contains(log.String(), "streams=1") {
				t.Errorf("the log says %q", log.String())
			}
		})
	}
}

// TestShutdownWaitsForTheSlow shuts down with a client that takes longer than WriteTimeout for what waits, but reads.
func TestShutdownWaitsForTheSlow(t *testing.T) {
	t.Parallel()
	const count, size = 200, 64 << 10 // more than the kernel takes for a client that does not read
	// Not much shorter than it takes: the kernel lets a writer go on only when a good part of its buffer is free.
	protocols(t, sse.Options{SendBuffer: 2 * count * size, WriteTimeout: 6 * time.Second}, func(t *testing.T, b *bundle) {
		res, _ := b.open(t, "/")
		for n := range count {
			b.publish(t, fmt.Sprintf(`["n",%d,"%s"]`, n, strings.Repeat("x", size)), message.Target{})
		}
		done := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
			defer cancel()
			done <- b.handler.Shutdown(ctx)
		}()
		r := sse.NewReader(res.Body)
		pause := time.NewTicker(40 * time.Millisecond) // eight seconds in all
		defer pause.Stop()
		for n := range count {
			if e, err := r.Next(); err != nil || !strings.HasPrefix(e.Data, fmt.Sprintf("[%d,", n)) {
				t.Fatalf("event %d is %.20s, %v", n, e.Data, err)
			}
			<-pause.C
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestOpeningStreamIsBounded publishes to a stream that waits for the cluster: it gets what may wait, in order, and is
// ended when that is too much.
func TestOpeningStreamIsBounded(t *testing.T) {
	t.Parallel()
	const limit = 64 << 10
	padding := strings.Repeat("x", 1<<10)
	for _, variant := range variants {
		for _, count := range []int{10, 100} {
			t.Run(fmt.Sprint(variant, " ", count), func(t *testing.T) {
				t.Parallel()
				cluster := adaptertest.NewCluster()
				release := cluster.Hold()
				b := serve(t, variant, sse.Options{SendBuffer: limit}, cluster.NewDriver())
				opened := make(chan *http.Response, 1)
				go func() {
					req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.server.URL+"/?room=a", nil)
					if err != nil {
						t.Error(err)
					}
					res, _ := b.server.Client().Do(req) // one that is ended so early may be without an answer
					opened <- res
				}()
				b.await(t, "the stream does not join its room", func() bool { return b.adapter.RoomLen("a") > 0 })
				for n := range count {
					b.publish(t, fmt.Sprintf(`["n",%d,%q]`, n, padding), message.Target{Local: true})
				}
				release()
				res := <-opened
				if res != nil {
					defer res.Body.Close()
				}
				if count*len(padding) > limit {
					b.waitEnded(t)
					if got := b.handler.Stats(); got.Closed[sse.SlowConsumer] != 1 || b.adapter.Len() != 0 {
						t.Errorf("stats: %+v, members %d", got, b.adapter.Len())
					}
					return
				}
				r := sse.NewReader(res.Body)
				for n := range count {
					if e, err := r.Next(); err != nil || !strings.HasPrefix(e.Data, fmt.Sprintf("[%d,", n)) {
						t.Fatalf("event %d is %.20s, %v", n, e.Data, err)
					}
				}
			})
		}
	}
}

// TestShutdownOfAnOpeningStream shuts down while a stream waits for the cluster: its response is whole, with all that was published
// meanwhile.
func TestShutdownOfAnOpeningStream(t *testing.T) {
	t.Parallel()
	for _, variant := range variants {
		t.Run(variant, func(t *testing.T) {
			t.Parallel()
			cluster := adaptertest.NewCluster()
			release := cluster.Hold()
			b := serve(t, variant, sse.Options{}, cluster.NewDriver())
			type answer struct {
				res *http.Response
				err error
			}
			opened := make(chan answer, 1)
			go func() {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.server.URL+"/?room=a", nil)
				if err != nil {
					t.Error(err)
				}
				res, err := b.server.Client().Do(req)
				opened <- answer{res, err}
			}()
			b.await(t, "the stream does not join its room", func() bool { return b.adapter.RoomLen("a") > 0 })
			b.publish(t, `["n",1]`, message.Target{Local: true})
			done := make(chan error, 1)
			go func() {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
				defer cancel()
				done <- b.handler.Shutdown(ctx)
			}()
			// The shutdown has begun, and waits.
			late, _ := b.open(t, "/")
			for late.StatusCode == http.StatusOK {
				late, _ = b.open(t, "/")
			}
			select {
			case err := <-done:
				t.Fatalf("it did not wait: %v", err)
			default:
			}
			release()
			a := <-opened
			if a.err != nil {
				t.Fatal(a.err)
			}
			defer a.res.Body.Close()
			events, err := readAll(sse.NewReader(a.res.Body))
			if a.res.StatusCode != http.StatusOK || err != io.EOF || len(events) != 1 || events[0].Data != "[1]" {
				t.Errorf("%s, %v, %v", a.res.Status, events, err)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			if n := b.handler.Stats().Closed[sse.ServerShutdown]; n == 0 {
				t.Error("the stream did not end with the shutdown")
			}
		})
	}
}

// TestShed ends some of the streams, with all that was sent to them; the others stay, and new ones come.
func TestShed(t *testing.T) {
	t.Parallel()
	protocols(t, sse.Options{}, func(t *testing.T, b *bundle) {
		var bodies []io.Reader
		for range 3 {
			res, _ := b.open(t, "/")
			bodies = append(bodies, res.Body)
		}
		b.publish(t, `["last"]`, message.Target{})
		if n := b.handler.Shed(0) + b.handler.Shed(-1); n != 0 {
			t.Errorf("%d were sent away, and none should be", n)
		}
		if n := b.handler.Shed(2); n != 2 {
			t.Errorf("%d were sent away", n)
		}
		b.await(t, "two do not end", func() bool { return b.handler.Stats().Streams == 1 })
		if n := b.handler.Shed(9); n != 1 {
			t.Errorf("%d more were sent away", n)
		}
		for _, body := range bodies {
			if events, err := readAll(sse.NewReader(body)); err != io.EOF || len(events) != 1 || events[0].Name != "last" {
				t.Errorf("got %v, %v", events, err)
			}
		}
		b.waitEnded(t)
		if got := b.handler.Stats().Closed[sse.Moved]; got != 3 {
			t.Errorf("counted %d", got)
		}
		if res, _ := b.open(t, "/"); res.StatusCode != http.StatusOK {
			t.Errorf("a new stream got %d", res.StatusCode)
		}
	})
}
