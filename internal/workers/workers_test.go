package workers_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/internal/workers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type task func()

func (t task) Run() { t() }

func TestEveryTaskRunsOnce(t *testing.T) {
	t.Parallel()
	var p workers.Pool
	var ran atomic.Int64
	var submitters sync.WaitGroup
	for range 8 {
		submitters.Go(func() {
			for range 1000 {
				p.Run(task(func() { ran.Add(1) }))
			}
		})
	}
	submitters.Wait()
	if err := p.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := ran.Load(); got != 8000 {
		t.Errorf("%d tasks ran, want 8000", got)
	}
}

func TestATaskThatBlocksHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	var p workers.Pool
	release, blocked := make(chan struct{}), make(chan struct{})
	for range 300 {
		p.Run(task(func() { blocked <- struct{}{}; <-release }))
		<-blocked
	}
	ran := make(chan struct{})
	p.Run(task(func() { close(ran) }))
	<-ran
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait with blocked tasks: %v", err)
	}
	close(release)
	if err := p.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestTasksAfterWaitStillRun(t *testing.T) {
	t.Parallel()
	var p workers.Pool
	if err := p.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	ran := make(chan struct{})
	p.Run(task(func() { close(ran) }))
	<-ran
	if err := p.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestGoexitDoesNotConfuseTheCount(t *testing.T) {
	t.Parallel()
	var p workers.Pool
	p.Run(task(runtime.Goexit))
	if err := p.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}

type nothing struct{ done chan struct{} }

func (n *nothing) Run() { n.done <- struct{}{} }

func TestRunAllocatesNothing(t *testing.T) {
	var p workers.Pool
	n := &nothing{make(chan struct{})}
	if got := testing.AllocsPerRun(100, func() { p.Run(n); <-n.done }); got > 0.1 {
		t.Errorf("%v allocations for a task", got)
	}
	if err := p.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkRun(b *testing.B) {
	var p workers.Pool
	n := &nothing{make(chan struct{})}
	b.ReportAllocs()
	for b.Loop() {
		p.Run(n)
		<-n.done
	}
	if err := p.Wait(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// TestBlockedTasksHoldNobodyUp submits tasks from tasks, of which every other one blocks until all others have run: one
// that waits for a worker which looks for work must not wait for one that has found it.
func TestBlockedTasksHoldNobodyUp(t *testing.T) {
	t.Parallel()
	var p workers.Pool
	const tasks = 500
	var free sync.WaitGroup
	release := make(chan struct{})
	for range tasks {
		free.Add(1)
		p.Run(task(func() {
			p.Run(task(func() { <-release }))
			p.Run(task(free.Done))
		}))
	}
	free.Wait()
	close(release)
	if err := p.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}
