package sse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/message"
)

// batchBytes is how much is written under one deadline.
const batchBytes = 64 << 10

var keepAlive = []byte(":\n\n")

// responseOutlet writes a stream through the handler's http.ResponseWriter, on the handler's own goroutine.
type responseOutlet struct {
	handler *Handler
	w       http.ResponseWriter
	rc      *http.ResponseController
	adapter *adapter.Adapter
	wake    chan struct{} // holds a token while there is something to do

	mu     sync.Mutex // protects the following
	queue  queue
	reason Reason // set once the stream is to end
	cut    bool   // and that at once
}

func newResponseOutlet(w http.ResponseWriter, h *Handler) *responseOutlet {
	return &responseOutlet{handler: h, w: w, rc: http.NewResponseController(w),
		wake: make(chan struct{}, 1), queue: queue{limit: h.opts.SendBuffer}}
}

func (o *responseOutlet) post(b []byte, volatile bool) {
	o.mu.Lock()
	if o.reason != "" {
		o.mu.Unlock()
		return
	}
	dropped, ok := o.queue.push(item{bytes: b, volatile: volatile})
	if !ok {
		// What waits is stale by the time the client is back, and it is the memory the limit protects.
		o.reason = SlowConsumer
		o.queue = queue{}
	}
	o.mu.Unlock()
	if dropped > 0 {
		o.handler.dropped.Add(uint64(dropped))
	}
	o.signal()
}

func (o *responseOutlet) close(reason Reason) bool {
	o.mu.Lock()
	first := o.reason == ""
	if first {
		o.reason = reason
	}
	o.mu.Unlock()
	o.signal()
	return first
}

func (o *responseOutlet) abort(reason Reason) {
	o.mu.Lock()
	if o.reason == "" {
		o.reason = reason
	}
	o.queue, o.cut = queue{}, true
	_ = o.rc.SetWriteDeadline(longAgo) // a writer without deadlines (some middleware) blocks until its client takes it
	o.mu.Unlock()
	o.signal()
}

// longAgo is a deadline that ends what goes on.
var longAgo = time.Unix(1, 0)

// limit sets the deadline of a write.
func (o *responseOutlet) limit() (deadline time.Time, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	deadline = time.Now().Add(o.handler.opts.WriteTimeout)
	if o.cut {
		deadline = longAgo
	}
	return deadline, o.rc.SetWriteDeadline(deadline)
}

func (o *responseOutlet) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// run writes the stream until it ends, at the latest with ctx, the request's, and returns why.
func (o *responseOutlet) run(ctx context.Context, begin []byte) Reason {
	// http.Server's ReadTimeout would end the request while the client, rightly, sends nothing. A writer without
	// deadlines (some middleware) has none to clear.
	_ = o.rc.SetReadDeadline(time.Time{})
	// First in line, before events that were delivered since the stream joined its rooms.
	if err := o.write(append(o.handler.start(o.w.Header()), begin...)); err != nil {
		if errors.Is(err, errors.ErrUnsupported) {
			o.handler.log.LogAttrs(ctx, slog.LevelError,
				"sse: a middleware's ResponseWriter can neither Flush nor Unwrap, so nothing can be streamed", slog.Any("error", err))
		}
		return o.end(ctx, err)
	}
	// Not every stream has a ticker, and a nil channel never ticks.
	var silence <-chan time.Time
	spoke := func() {}
	if interval := o.handler.opts.KeepAlive; interval > 0 {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		silence, spoke = ticker.C, func() { ticker.Reset(interval) }
	}
	var batch [][]byte
	for {
		select {
		case <-ctx.Done():
			return o.end(ctx, nil)
		case <-silence:
			if err := o.write(o.heartbeat()); err != nil {
				return o.end(ctx, err)
			}
		case <-o.wake:
			for {
				var reason Reason
				batch, reason = o.next(batch[:0])
				if len(batch) == 0 {
					if reason != "" {
						return reason
					}
					break
				}
				err := o.write(batch...)
				o.handler.delivered.Add(uint64(len(batch)))
				clear(batch) // an idle stream must not keep the last messages alive
				if err != nil {
					return o.end(ctx, err)
				}
			}
			spoke()
		}
	}
}

// heartbeat returns what says that the stream is alive. It tells the top of the log if the client has been given all up to
// there.
func (o *responseOutlet) heartbeat() []byte {
	line := keepAlive
	o.adapter.AtTop(func(top message.Offset) {
		o.mu.Lock()
		defer o.mu.Unlock()
		if len(o.queue.items) == 0 {
			line = idLine(top)
		}
	})
	return line
}

// next takes what is to be written, and the reason to end when nothing is left.
func (o *responseOutlet) next(batch [][]byte) ([][]byte, Reason) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.queue.take(batch, batchBytes), o.reason
}

// write writes and flushes under one deadline, which it takes away again: with HTTP/2 it would reset an idle stream too.
func (o *responseOutlet) write(batch ...[]byte) error {
	deadline, unlimited := o.limit()
	err := func() error {
		for _, b := range batch {
			if _, err := o.w.Write(b); err != nil {
				return err
			}
		}
		return o.rc.Flush()
	}()
	switch {
	case err != nil && unlimited == nil && !time.Now().Before(deadline):
		// HTTP/2 reports a stream that is gone, not why.
		return fmt.Errorf("%w: %w", os.ErrDeadlineExceeded, err)
	case err != nil:
		return err
	case unlimited == nil:
		return o.rc.SetWriteDeadline(time.Time{})
	}
	return nil
}

// end decides why the stream ended after a failed write (err) or the end of the request (nil), and makes further posts
// no-ops.
func (o *responseOutlet) end(ctx context.Context, err error) Reason {
	reason := ClientLeft
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		reason = WriteTimeout
	case err != nil && ctx.Err() == nil:
		reason = WriteError
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queue = queue{}
	if o.reason == "" {
		o.reason = reason
	}
	return o.reason
}
