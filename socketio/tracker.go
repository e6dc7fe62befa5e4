package socketio

import (
	"context"
	"fmt"
	"sync/atomic"
)

// tracker counts the goroutines that run handlers. Unlike a sync.WaitGroup it may start new ones while somebody waits,
// which connections that are being closed do.
type tracker struct {
	running atomic.Int64
	waiting atomic.Bool
	idle    chan struct{}
}

func (t *tracker) start() { t.running.Add(1) }

func (t *tracker) done() {
	if t.running.Add(-1) == 0 && t.waiting.Load() {
		select {
		case t.idle <- struct{}{}:
		default:
		}
	}
}

// wait returns when nothing runs.
func (t *tracker) wait(ctx context.Context) error {
	t.waiting.Store(true)
	for t.running.Load() > 0 {
		select {
		case <-t.idle:
		case <-ctx.Done():
			return fmt.Errorf("socketio: wait for %d connections' handlers: %w", t.running.Load(), ctx.Err())
		}
	}
	return nil
}
