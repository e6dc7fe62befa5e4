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
	timeout, receivers := l.driver.opts.Timeout, int64(0)
	err := l.probes.Do(ctx, timeout, l.done, func(ctx context.Context, number uint64) (err error) {
		receivers, err = l.driver.publisher.probe(ctx, l.probed, fmt.Appendf(nil, `{"peal":"ping","id":%d}`, number))
		if err == nil && receivers == 0 && l.driver.counting.state.Load() == countsUs {
			err = l.driver.unheard(true)
		}
		return err
	})
	if err != nil {
		return err
	}
	l.driver.counting.learn(receivers)
	if behind := l.inbox.Behind(); behind > timeout {
		return fmt.Errorf("%w: messages wait for %v to be handled, %d of them", adapter.ErrUnavailable, behind.Round(time.Millisecond), l.inbox.Len())
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
		case <-d.changed:
		}
		if l := d.anyLink(); l != nil && d.monitor.Connected() {
			d.look(ctx)
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

// pong handles a probe that came back. It reports false if payload is none.
func (l *link) pong(payload []byte) bool {
	var number uint64
	if _, err := fmt.Sscanf(string(payload), `{"peal":"ping","id":%d}`, &number); err != nil {
		return false
	}
	l.probes.Back(number)
	return true
}
