package redispubsub

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/internal/redisx"
)

// refused is told by the subscriber that Redis refuses a name.
func (d *Driver) refused(n redisx.Name, err error) {
	l, own := d.linkOf(n)
	if own {
		d.monitor.Log(slog.LevelWarn, "refused", "Redis refuses a channel: messages of other nodes on it do not arrive; look at this user's ACL",
			slog.String("channel", n.String()), slog.Any("error", err))
	} else {
		d.monitor.Log(slog.LevelWarn, "refused peal", "Redis refuses a channel of Peal nodes: they send this one all messages of the namespace as Node.js nodes do; look at this user's ACL",
			slog.String("channel", n.String()), slog.Any("error", err))
	}
	if l == nil {
		return
	}
	l.interest.refuse(n)
	if !own {
		l.estrange()
	}
	if own && l.joined.Load() {
		d.monitor.Begin(adapter.Gap{Cause: adapter.GapRefused, Namespace: l.namespace, From: time.Now()})
	}
}

// accepted is told by the subscriber that Redis does not refuse a name any more.
func (d *Driver) accepted(n redisx.Name, since time.Time) {
	d.monitor.Log(slog.LevelInfo, "accepted", "Redis accepts a channel it refused before",
		slog.String("channel", n.String()), slog.Time("since", since))
	l, own := d.linkOf(n)
	if l == nil {
		return
	}
	l.interest.accept(n)
	if !own {
		l.greet()
	}
	if own && l.joined.Load() {
		d.monitor.End(&adapter.Gap{Cause: adapter.GapRefused, Namespace: l.namespace, From: since}, time.Now())
	}
}

// linkOf returns the link that needs n, and whether it does whatever rooms it has and whoever its neighbours are.
func (d *Driver) linkOf(n redisx.Name) (l *link, own bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, l := range d.links {
		if slices.Contains(l.names, n) {
			return l, true
		}
		if strings.HasPrefix(n.String(), l.interest.prefix) {
			return l, false
		}
	}
	return nil, false
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

// countable reports whether the server that takes a message counts all who hear it: this node's own connection is counted, and
// there are no other servers, to which nodes of another make may be connected.
func (d *Driver) countable() bool {
	return d.alone.Load() && d.counting.state.Load() == countsUs
}

// look asks Redis whether there are other servers. Whoever they have subscribed is not counted, so where there may be any, Peal
// nodes speak as Node.js nodes do.
func (d *Driver) look(ctx context.Context) {
	before := d.monitor.Reconnects()
	alone, err := d.client.Alone(ctx)
	if err != nil && redisx.IsAnswer(err) {
		d.monitor.Log(slog.LevelWarn, "alone", "Redis does not say whether it has replicas or is in a cluster: Peal nodes speak to each other as Node.js nodes do; allow this user INFO",
			slog.Any("error", err))
	}
	d.alone.Store(alone && d.monitor.Connected() && d.monitor.Reconnects() == before)
}

// state is told that the connection that receives is there, and that it is not.
func (d *Driver) state(up bool, err error) {
	if !up {
		d.alone.Store(false) // the next one may be to another server
	} else {
		for _, l := range d.joined() {
			l.losses.hello.Store(true) // what was missed is to be known soon, even if nobody says anything more
		}
	}
	select {
	case d.changed <- struct{}{}:
	default:
	}
	d.monitor.State(up, err)
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
