// Package workers runs short tasks on goroutines that it keeps for the next ones. A new goroutine starts with a small
// stack and pays for growing it each time; a kept one has paid.
package workers

import (
	"context"
	"fmt"
	"runtime"
	"sync"
)

// Task is something to run. It is an interface and not a function so that starting one allocates nothing.
type Task interface{ Run() }

// Pool runs tasks. Its zero value is ready to use. It is safe for concurrent use. A task may block: others do not wait
// for it, but get goroutines of their own.
type Pool struct {
	mu      sync.Mutex
	idle    []*worker // the last to finish is the first to go on: its stack is warm
	running int       // tasks
	looking int       // workers that have finished a task and look for another before they go idle
	pending []Task    // for them; never more than they are, so that each is taken at once
	waiters []chan struct{}
	closed  bool
}

// keep is how many idle goroutines a pool keeps for each core.
const keep = 32

type worker struct {
	pool  *Pool
	tasks chan Task
}

// Run runs t on another goroutine.
func (p *Pool) Run(t Task) {
	p.mu.Lock()
	p.running++
	if len(p.pending) < p.looking {
		p.pending = append(p.pending, t)
		p.mu.Unlock()
		return
	}
	var w *worker
	if n := len(p.idle); n > 0 {
		w = p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
	}
	p.mu.Unlock()
	if w == nil {
		w = &worker{pool: p, tasks: make(chan Task, 1)}
		go w.run() // ends when enough others are idle, or with Wait
	}
	w.tasks <- t // has room: an idle worker has no task
}

func (w *worker) run() {
	returned := false
	defer func() {
		if !returned { // the task ended the goroutine with runtime.Goexit, or panics
			w.pool.finished(nil)
		}
	}()
	for t := range w.tasks {
		for t != nil {
			t.Run()
			t = w.pool.another()
		}
		if !w.pool.finished(w) {
			break
		}
	}
	returned = true
}

// another ends a task and returns one that has come meanwhile; nil, with the task not ended, if there is none. Other
// goroutines run first: to hand a task to a worker that looks for one is cheaper than to wake one.
func (p *Pool) another() Task {
	p.mu.Lock()
	p.looking++
	p.mu.Unlock()
	runtime.Gosched()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looking--
	n := len(p.pending)
	if n == 0 {
		return nil
	}
	t := p.pending[0]
	p.pending = append(p.pending[:0], p.pending[1:]...)
	p.running--
	return t
}

// finished counts a task that has ended and reports whether its worker is to wait for another.
func (p *Pool) finished(w *worker) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running--
	if p.running == 0 {
		for _, done := range p.waiters {
			close(done)
		}
		p.waiters = nil
	}
	if w == nil || p.closed || len(p.idle) >= keep*runtime.GOMAXPROCS(0) {
		return false
	}
	p.idle = append(p.idle, w)
	return true
}

// Wait ends the idle goroutines and returns when no task is running. Tasks may still be run, but no goroutine is kept
// any more. When ctx ends first it returns ctx's error.
func (p *Pool) Wait(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	for _, w := range p.idle {
		close(w.tasks)
	}
	p.idle = nil
	if p.running == 0 {
		p.mu.Unlock()
		return nil
	}
	done := make(chan struct{})
	p.waiters = append(p.waiters, done)
	p.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		p.mu.Lock()
		defer p.mu.Unlock()
		return fmt.Errorf("wait for %d tasks: %w", p.running, ctx.Err())
	}
}
