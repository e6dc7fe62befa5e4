package service

import (
	"context"
	"sync"
)

// Gate lets work begin until it is closed, and then waits for what has begun. Its zero value is open. It is safe for
// concurrent use.
type Gate struct {
	mu      sync.Mutex
	running int
	idle    chan struct{} // not nil once shut; closed itself when nothing runs any more
}

// Enter reports whether work may begin. If so, Leave has to follow.
func (g *Gate) Enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.idle != nil {
		return false
	}
	g.running++
	return true
}

// Leave ends what Enter has let begin.
func (g *Gate) Leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running--
	if g.idle != nil && g.running == 0 {
		close(g.idle)
	}
}

// Go calls f on a goroutine, unless the gate is shut, and reports whether it does.
func (g *Gate) Go(f func()) bool {
	if !g.Enter() {
		return false
	}
	go func() {
		defer g.Leave()
		f()
	}()
	return true
}

// Shut lets nothing more begin, and returns what is closed when nothing runs any more.
func (g *Gate) Shut() (idle <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.idle == nil {
		g.idle = make(chan struct{})
		if g.running == 0 {
			close(g.idle)
		}
	}
	return g.idle
}

// IsShut reports whether Shut or Close was called.
func (g *Gate) IsShut() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.idle != nil
}

// Close lets nothing more begin and waits for what has, or for the end of ctx, whose error it returns.
func (g *Gate) Close(ctx context.Context) error { return wait(ctx, g.Shut()) }
