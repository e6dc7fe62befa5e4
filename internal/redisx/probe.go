package redisx

import (
	"context"
	"sync"
	"sync/atomic"
)

// probe asks for an answer on a connection on which nothing comes, one at a time: what is asked for can get no answer from a connection
// that is dead, which is then found out by package rival. It belongs to the goroutine of the subscriber.
type probe struct {
	conn   *connection
	heard  *atomic.Uint64
	failed chan error // the cause

	last   uint64 // heard at the last look
	quiet  bool   // it was asked for at the last look
	asking atomic.Bool
	asked  sync.WaitGroup
}

func newProbe(conn *connection, heard *atomic.Uint64) *probe {
	return &probe{conn: conn, heard: heard, failed: make(chan error, 1), last: heard.Load()}
}

// look asks, if nothing has come since the last look and that has not asked.
func (p *probe) look(ctx context.Context) {
	now := p.heard.Load()
	ask := now == p.last && !p.quiet
	p.last, p.quiet = now, ask
	if !ask || !p.asking.CompareAndSwap(false, true) {
		return
	}
	p.asked.Go(func() {
		defer p.asking.Store(false)
		if err := p.conn.ping(ctx); err != nil {
			select {
			case p.failed <- err:
			default:
			}
		}
	})
}

// end waits for the answer that is still to come, on a connection that was closed.
func (p *probe) end() {
	p.conn.Close()
	p.asked.Wait()
}
