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
		t.Run()
		if !w.pool.finished(w) {
			break
		}
	}
	returned = true
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
