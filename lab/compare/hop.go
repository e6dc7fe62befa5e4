package main

import (
	"context"
	"fmt"

	"github.com/peal-dev/peal/lab/compare/crossing"
)

// way is how clients reach their sessions.
type way struct {
	name             string
	polling, through bool
}

var ways = []way{
	{"WebSocket, the session's node", false, false},
	{"WebSocket, through another", false, true},
	{"polling, the session's node", true, false},
	{"polling, through another", true, true},
}

// Names of the figures of a way.
const (
	eventP50   = "event: p50"
	eventP99   = "event: p99"
	eventOwner = "event: CPU of the session's node"
	eventOther = "event: CPU of the other"
	pushP50    = "push: p50"
	pushP99    = "push: p99"
	pushOwner  = "push: CPU of the session's node"
	pushOther  = "push: CPU of the other"
)

// hopRate is how many events, and messages, a second.
const hopRate = 500

// measureHop measures all ways once, on one cluster of Peal.
func (t trial) measureHop(ctx context.Context, c *contestant, redisServer string, add func(way, name string, value float64), problem func(text string)) error {
	cluster, stop, err := c.cluster(ctx, redisServer)
	if err != nil {
		return err
	}
	defer stop()
	owner, other := cluster.Publishing, cluster.Members
	if err := crossing.Known(ctx, owner, other); err != nil {
		return err
	}
	for _, w := range ways {
		h := crossing.Hop{Owner: owner, Other: other, Through: w.through, Polling: w.polling, Clients: t.hopClients, Rate: hopRate, Seconds: t.settle, Patience: t.options.Patience}
		if _, err := h.Measure(ctx); err != nil { // does not count: the programs have run for a moment only
			return fmt.Errorf("%s: %w", w.name, err)
		}
		h.Seconds = t.seconds
		r, err := h.Measure(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		if n := r.Event.Lost + r.Push.Lost; n > 0 {
			problem(fmt.Sprintf("%s: %d events and messages did not come within the time", w.name, n))
		}
		for _, f := range []struct {
			name  string
			value float64
		}{
			{eventP50, r.Event.P50.Seconds() * 1e3}, {eventP99, r.Event.P99.Seconds() * 1e3},
			{eventOwner, r.Event.Owner.Seconds() * 1e6}, {eventOther, r.Event.Other.Seconds() * 1e6},
			{pushP50, r.Push.P50.Seconds() * 1e3}, {pushP99, r.Push.P99.Seconds() * 1e3},
			{pushOwner, r.Push.Owner.Seconds() * 1e6}, {pushOther, r.Push.Other.Seconds() * 1e6},
		} {
			add(w.name, f.name, f.value)
		}
	}
	return nil
}
