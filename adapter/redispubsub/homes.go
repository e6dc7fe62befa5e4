package redispubsub

import (
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/homes"
	"github.com/peal-dev/peal/adapter/internal/pealwire"
	"github.com/peal-dev/peal/internal/redisx"
)

// keepSilent is how long it is remembered which links a process had that is not heard of: Redis counts those of one that is frozen
// for as long as its connection stands, and they would be waited for.
const keepSilent = time.Hour

// newHome returns a random name of this process, which is not 0. It is the number of the signals that its links send to all.
func newHome() uint64 { return rand.Uint64() | 1 }

// heardHome takes what a signal says of the process that its sender is in.
func (l *link) heardHome(h pealwire.Header, now time.Time) {
	if h.Number == 0 || l.ended() || l.interest.estranged() {
		return
	}
	l.driver.homes.Hear(strconv.FormatUint(h.Number, 36), l.namespace, string(h.UID[:]), now)
}

// judge finds processes that are dead: nobody waits for their answers any more.
func (d *Driver) judge(now time.Time) {
	v := d.homes.Judge(now, d.monitor.Proven(), probeInterval)
	if v.Returned {
		for _, l := range d.joined() {
			l.greet()
		}
	}
	for _, links := range v.Died {
		for namespace, name := range links {
			if l := d.link(namespace); l != nil {
				l.calls.Gone(adapter.NodeID(name))
			}
		}
	}
}

// link returns the link of namespace, or nil.
func (d *Driver) link(namespace string) *link {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.links[namespace]
}

// tell has there be a beat of this process, for all that know of it.
func (d *Driver) tell() {
	for _, namespace := range d.homes.Cover() {
		if l := d.link(namespace); l != nil {
			l.losses.sender.Greet()
		}
	}
}

// greet has the link tell of itself as if it was new, and the others of themselves, within a second.
func (l *link) greet() {
	l.losses.hello.Store(true)
	l.losses.sender.Greet()
}

// named returns the other Peal nodes that are there, as far as is known.
func (l *link) named() (list []adapter.NodeID) {
	there, _ := l.driver.homes.In(l.namespace)
	for _, name := range there {
		list = append(list, adapter.NodeID(name))
	}
	return list
}

// silent returns the Peal nodes that Redis counts although their process is not heard of. One that is not counted any more is over.
func (l *link) silent(ctx context.Context) (list []adapter.NodeID) {
	_, dead := l.driver.homes.In(l.namespace)
	if len(dead) == 0 {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, l.driver.opts.Timeout)
	defer cancel()
	for _, name := range dead {
		if n, err := l.driver.client.Subscribers(bounded, l.responses+name+"#"); err == nil && n == 0 {
			l.forget(name)
			continue
		}
		list = append(list, adapter.NodeID(name))
	}
	return list
}

// forget forgets another node for good.
func (l *link) forget(name string) {
	l.driver.homes.Left(l.namespace, name)
	l.losses.receiver.Gone(name)
}

// lapse forgets links that are silent for long in processes that are not.
func (l *link) lapse(names []string) {
	there, _ := l.driver.homes.In(l.namespace)
	for _, name := range names {
		if slices.Contains(there, name) {
			l.driver.homes.Left(l.namespace, name)
		}
	}
}

// leave tells other Peal nodes that this one leaves, behind how much it has published. If it cannot, they will notice.
func (l *link) leave() {
	if l.losses.sender.Pending() {
		l.signal(beatSignal)
	}
	l.driver.publisher.post(l.interest.prefix, pealwire.Append(nil, pealwire.KindLeave, l.name, nil))
}

// estrange is called when this node can not hear the other Peal nodes, of which it knows nothing from then on. They do not hear
// it either, perhaps, and must not take it for dead: each is told on its own channel.
func (l *link) estrange() {
	there, dead := l.driver.homes.In(l.namespace)
	for _, name := range append(there, dead...) {
		l.driver.publisher.post(l.responses+name+"#", pealwire.Append(nil, pealwire.KindLeave, l.name, nil))
	}
	l.driver.homes.Closed(l.namespace)
}

// signalFrame makes the message of a signal to all.
func (l *link) signalFrame(kind pealwire.Kind, body []byte) redisx.Message {
	frame := pealwire.Append(nil, kind, l.name, body)
	pealwire.SetNumber(frame, l.driver.home)
	return redisx.Message{Channel: l.interest.prefix, Payload: frame}
}

// beat has the driver's links tell what they have published and that they are there, and finds others that do not, until ctx ends.
func (d *Driver) beat(ctx context.Context) {
	ticker := time.NewTicker(homes.Judging)
	defer ticker.Stop()
	var beaten time.Time
	for {
		var now time.Time
		select {
		case <-ctx.Done():
			return
		case now = <-ticker.C:
		}
		d.judge(now)
		if now.Sub(beaten) < homes.Beating {
			continue
		}
		beaten = now
		d.tell()
		for _, l := range d.joined() {
			l.beat(now)
		}
	}
}
