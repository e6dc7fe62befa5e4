package reception

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/peal-dev/peal/adapter"
)

// Probes are messages that a node sends to itself, to see that messages of others would reach it. They are of one
// namespace. Safe for concurrent use.
type Probes struct {
	monitor   *Monitor
	namespace string

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan struct{}
	stall   *adapter.Gap // since a probe has not come back
}

// NewProbes returns the probes of namespace.
func NewProbes(m *Monitor, namespace string) *Probes {
	return &Probes{monitor: m, namespace: namespace, waiting: make(map[uint64]chan struct{})}
}

// Do has send send a probe, and returns when [Probes.Back] was called with its number. It fails with
// [adapter.ErrUnavailable] when that takes longer than timeout, even if ctx has more time, and with [adapter.ErrClosed]
// when closed is. That the broker took a probe and did not send it back in time, although the connection stands, is a gap.
func (p *Probes) Do(ctx context.Context, timeout time.Duration, closed <-chan struct{}, send func(ctx context.Context, number uint64) error) error {
	number, back := p.expect()
	defer p.forget(number)
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	again := p.monitor.Reconnects()
	sent := time.Now()
	if err := send(ctx, number); err != nil {
		return err
	}
	select {
	case <-back:
	case <-closed:
		return adapter.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		if p.monitor.Reconnects() == again && p.monitor.Connected() {
			p.stalled(sent)
		}
		return fmt.Errorf("%w: a ping did not come back in %v", adapter.ErrUnavailable, timeout)
	}
	p.monitor.Prove(sent)
	p.goesOn()
	return nil
}

func (p *Probes) expect() (number uint64, back chan struct{}) {
	back = make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	p.waiting[p.last] = back
	return p.last, back
}

func (p *Probes) forget(number uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, number)
}

// Back is told that a probe came back.
func (p *Probes) Back(number uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if back := p.waiting[number]; back != nil {
		close(back)
		delete(p.waiting, number)
	}
}

func (p *Probes) stalled(since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stall == nil && !p.monitor.opts.Resumes {
		p.stall = p.monitor.Begin(adapter.Gap{Cause: adapter.GapStall, Namespace: p.namespace, From: since})
	}
}

func (p *Probes) goesOn() {
	p.mu.Lock()
	stall := p.stall
	p.stall = nil
	p.mu.Unlock()
	if stall != nil {
		p.monitor.End(stall, time.Now())
	}
}
