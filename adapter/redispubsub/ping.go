package redispubsub

import (
	"context"
	"fmt"
	"time"

	"github.com/peal-dev/peal/adapter"
)

// Ping implements [adapter.Link]: it publishes on the response channel that only this node listens to. It fails with
// [adapter.ErrUnavailable] when nothing came back within the driver's timeout, even if ctx has more time; when Redis
// refuses another channel of the namespace, for then the probe would come back and messages would not; and when messages
// that did come back wait for longer than the timeout to be handled. A probe does not wait behind them itself: a node
// that is busy is ready.
func (l *link) Ping(ctx context.Context) error {
	if err := l.open(ctx); err != nil {
		return err
	}
	if err := l.listener.Refusal(l.names...); err != nil {
		return fmt.Errorf("%w: %v", adapter.ErrUnavailable, err)
	}
	timeout := l.driver.opts.Timeout
	id, pong := l.expectPong()
	defer l.forgetPong(id)
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	again := l.driver.reconnects.Load()
	sent := time.Now()
	receivers, err := l.driver.publisher.probe(ctx, l.ownResponses, fmt.Appendf(nil, `{"peal":"ping","id":%d}`, id))
	if err != nil {
		return err
	}
	if receivers == 0 && l.driver.counting.state.Load() == countsUs {
		return l.driver.unheard(true)
	}
	select {
	case <-pong:
	case <-l.done:
		return adapter.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		if l.driver.reconnects.Load() == again && l.driver.connected.Load() {
			l.stalled(sent)
		}
		return fmt.Errorf("%w: a ping did not come back in %v", adapter.ErrUnavailable, timeout)
	}
	l.driver.counting.learn(receivers)
	l.driver.prove(sent)
	l.goesOn()
	if behind := l.inbox.behind(); behind > timeout {
		return fmt.Errorf("%w: messages wait for %v to be handled, %d of them", adapter.ErrUnavailable, behind.Round(time.Millisecond), l.inbox.len())
	}
	return nil
}

// probeInterval is how often a node makes sure, unasked, that it receives: a gap is known to begin that exactly, and a
// stall to be there that soon.
const probeInterval = time.Second

// probe sends probes until ctx ends. All namespaces share a connection, so one of them will do.
func (d *Driver) probe(ctx context.Context) {
	ticker := time.NewTicker(probeInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if l := d.anyLink(); l != nil && d.connected.Load() {
			_ = l.Ping(ctx) // it counts what is a gap; all else is for those to find out who ask
		}
	}
}

// anyLink returns a link that is subscribed, or nil.
func (d *Driver) anyLink() *link {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, l := range d.links {
		if l.joined.Load() {
			return l
		}
	}
	return nil
}

// prove notes that what was published before at has come: Redis sends one connection everything in order.
func (d *Driver) prove(at time.Time) {
	for now := at.UnixNano(); ; {
		before := d.proven.Load()
		if before >= now || d.proven.CompareAndSwap(before, now) {
			return
		}
	}
}

func (l *link) expectPong() (id uint64, pong chan struct{}) {
	pong = make(chan struct{})
	l.pings.Lock()
	defer l.pings.Unlock()
	l.pings.last++
	l.pings.waiting[l.pings.last] = pong
	return l.pings.last, pong
}

func (l *link) forgetPong(id uint64) {
	l.pings.Lock()
	defer l.pings.Unlock()
	delete(l.pings.waiting, id)
}

// pong handles a probe that came back. It reports false if payload is none.
func (l *link) pong(payload []byte) bool {
	var id uint64
	if _, err := fmt.Sscanf(string(payload), `{"peal":"ping","id":%d}`, &id); err != nil {
		return false
	}
	l.pings.Lock()
	defer l.pings.Unlock()
	if pong := l.pings.waiting[id]; pong != nil {
		close(pong)
		delete(l.pings.waiting, id)
	}
	return true
}

// stalled counts the gap that begins with a probe which Redis took and did not send back, although the connection stands.
func (l *link) stalled(since time.Time) {
	l.pings.Lock()
	defer l.pings.Unlock()
	if l.pings.stall == nil {
		l.pings.stall = l.driver.gaps.begin(Gap{Cause: GapStall, Namespace: l.namespace, From: since})
	}
}

func (l *link) goesOn() {
	l.pings.Lock()
	stall := l.pings.stall
	l.pings.stall = nil
	l.pings.Unlock()
	if stall != nil {
		l.driver.gaps.end(stall, time.Now(), 0)
	}
}
