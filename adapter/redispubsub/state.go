package redispubsub

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/internal/redisx"
)

// refused is told by the subscriber that Redis refuses a name.
func (d *Driver) refused(n redisx.Name, err error) {
	d.monitor.Log(slog.LevelWarn, "refused", "Redis refuses a channel: messages of other nodes on it do not arrive; look at this user's ACL",
		slog.String("channel", n.String()), slog.Any("error", err))
	if l := d.linkOf(n); l != nil && l.joined.Load() {
		d.monitor.Begin(adapter.Gap{Cause: adapter.GapRefused, Namespace: l.namespace, From: time.Now()})
	}
}

// accepted is told by the subscriber that Redis does not refuse a name any more.
func (d *Driver) accepted(n redisx.Name, since time.Time) {
	d.monitor.Log(slog.LevelInfo, "accepted", "Redis accepts a channel it refused before",
		slog.String("channel", n.String()), slog.Time("since", since))
	if l := d.linkOf(n); l != nil && l.joined.Load() {
		d.monitor.End(&adapter.Gap{Cause: adapter.GapRefused, Namespace: l.namespace, From: since}, time.Now())
	}
}

// linkOf returns the link that needs n whatever rooms it has.
func (d *Driver) linkOf(n redisx.Name) *link {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, l := range d.links {
		for _, name := range l.names {
			if name == n {
				return l
			}
		}
	}
	return nil
}

// counting is what is known about the number with which Redis answers a PUBLISH: it counts the connections of the server
// that took the message only. If that is not the server on which this node receives, as in a Redis Cluster or with
// replicas, none means nothing. A probe that came back tells.
type counting struct{ state atomic.Int32 }

const (
	countsUnknown = iota
	countsUs      // this node's own connection is counted
	countsOthers  // it is not
)

// learn draws the conclusion from a probe that came back and was answered with that number.
func (c *counting) learn(receivers int64) {
	state := int32(countsUs)
	if receivers == 0 {
		state = countsOthers
	}
	c.state.Store(state)
}

// unheard says what it means that a message went to no connection. A needed one is on a channel that this node subscribes
// to itself: where its connection is counted, none means that the subscription is gone, and with Redis just restarted
// that of the other nodes too. Messages for a room may have nobody to go to, unless nobody can be there yet.
func (d *Driver) unheard(needed bool) error {
	if d.counting.state.Load() == countsOthers {
		return nil
	}
	if _, cause := d.subscriber.Away(); cause != nil {
		return fmt.Errorf("%w: no node received it; this one is not subscribed: %v", adapter.ErrUnavailable, cause)
	}
	if needed && d.counting.state.Load() == countsUs {
		return fmt.Errorf("%w: no node received it, not even this one", adapter.ErrUnavailable)
	}
	return nil
}
