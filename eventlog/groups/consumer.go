package groups

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// Delivery is some items that one consumer has until it acknowledges them or its lease is over. It is safe for concurrent use.
type Delivery struct {
	// Items are what was published, in order.
	Items []eventlog.Item
	// Attempt is 1 the first time, and one more each time they are given to a consumer again.
	Attempt int

	group *Group
	id    uint64
}

// Next returns items for a consumer, whose name is for those who look at the group: at most about n, and waits for them. Those
// of a consumer that has not acknowledged them in time come before new ones. When the topic has ended and all was
// acknowledged, by whomever, the error is eventlog.ErrEnded. An [*eventlog.OffsetError] tells that items were trimmed before
// they were dealt with; the next call goes on behind them.
func (g *Group) Next(ctx context.Context, consumer string, n int) (*Delivery, error) {
	for {
		if err := g.sync(ctx); err != nil {
			return nil, err
		}
		now := time.Now()
		s, number, at := g.view()
		d, claim, err := g.offer(ctx, &s, n, now)
		var lost *eventlog.OffsetError
		switch {
		case errors.As(err, &lost):
			done, failure := g.skip(ctx, &s, number, claim)
			if failure != nil {
				return nil, failure
			}
			if done {
				return nil, err
			}
			continue
		case err != nil:
			return nil, err
		case d == nil:
			if err := g.wait(ctx, &s, at, now); err != nil {
				return nil, err
			}
			continue
		}
		claim.Claim.Consumer, claim.Claim.Until = consumer, now.Add(g.opts.Lease).UnixMilli()
		done, err := g.change(ctx, number, claim)
		if err != nil {
			return nil, err
		}
		if done {
			d.id = number
			return d, nil
		}
	}
}

// offer returns what a consumer can have, and the change that gives it; or no delivery if there is nothing now.
func (g *Group) offer(ctx context.Context, s *state, n int, now time.Time) (*Delivery, record, error) {
	for _, l := range s.Leases {
		if l.Until > now.UnixMilli() {
			continue
		}
		again := l
		again.Attempt++
		r := record{Claim: &again, Instead: l.ID}
		items, err := g.between(ctx, l.After, l.Upto)
		return &Delivery{Items: items, Attempt: again.Attempt, group: g}, r, err
	}
	if len(s.Leases) >= g.opts.Leases {
		return nil, record{}, nil
	}
	items, err := g.topic.Read(ctx, s.Next, n)
	if err != nil || len(items) == 0 {
		return nil, record{}, err
	}
	l := lease{After: items[0].Prev, Upto: items[len(items)-1].Offset, Attempt: 1}
	return &Delivery{Items: items, Attempt: 1, group: g}, record{Claim: &l}, nil
}

// between returns the items behind after up to upto.
func (g *Group) between(ctx context.Context, after, upto message.Offset) ([]eventlog.Item, error) {
	var all []eventlog.Item
	for after != upto {
		items, err := g.topic.Read(ctx, after, readChanges)
		if err != nil {
			return nil, err
		}
		for i := range items {
			if items[i].Offset.Compare(upto) > 0 {
				return all, nil
			}
			all = append(all, items[i])
			after = items[i].Offset
		}
	}
	return all, nil
}

// skip goes on behind items that were trimmed: those of a lease, or those that nobody had yet.
func (g *Group) skip(ctx context.Context, s *state, number uint64, claim record) (bool, error) {
	if claim.Instead != 0 {
		return g.change(ctx, number, record{Done: claim.Instead})
	}
	b, err := g.topic.Bounds(ctx)
	if err != nil {
		return false, err
	}
	return g.change(ctx, number, record{All: &state{Next: b.Floor, Leases: s.Leases}})
}

// wait returns when there may be something for a consumer that was not there in state s, which the group had at the offset at of
// its changes: new items, another change, or the end of a lease.
func (g *Group) wait(ctx context.Context, s *state, at message.Offset, now time.Time) error {
	b, err := g.topic.Bounds(ctx)
	if err != nil {
		return err
	}
	if b.Ended && len(s.Leases) == 0 && (s.Next == b.Top || s.Next.IsZero() && b.Count == 0) {
		return eventlog.ErrEnded
	}
	if at.IsZero() {
		log, err := g.log.Bounds(ctx)
		if err != nil {
			return err
		}
		at = log.Floor
	}
	wctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if len(s.Leases) > 0 {
		soonest := s.Leases[0].Until
		for _, l := range s.Leases {
			soonest = min(soonest, l.Until)
		}
		timer := time.AfterFunc(time.UnixMilli(soonest).Sub(now)+time.Millisecond, cancel)
		defer timer.Stop()
	}
	var waiting sync.WaitGroup
	waiting.Go(func() {
		_ = g.log.Wait(wctx, at) // the next look tells what there is
		cancel()
	})
	if !b.Ended && len(s.Leases) < g.opts.Leases {
		after := s.Next
		if after.IsZero() {
			after = b.Floor
		}
		waiting.Go(func() {
			_ = g.topic.Wait(wctx, after)
			cancel()
		})
	}
	waiting.Wait()
	return ctx.Err()
}

// settle makes a change to the delivery's lease, while that is the consumer's.
func (d *Delivery) settle(ctx context.Context, r record) error {
	for {
		if err := d.group.sync(ctx); err != nil {
			return err
		}
		s, number, _ := d.group.view()
		if s.find(d.id) < 0 {
			return ErrLost
		}
		if done, err := d.group.change(ctx, number, r); err != nil || done {
			return err
		}
	}
}

// Ack says that the items are dealt with: nobody gets them again. The error is ErrLost if they are another consumer's by now,
// or were acknowledged.
func (d *Delivery) Ack(ctx context.Context) error { return d.settle(ctx, record{Done: d.id}) }

// Extend begins the lease anew, for who needs longer. The error is ErrLost if it is another consumer's by now.
func (d *Delivery) Extend(ctx context.Context) error {
	return d.settle(ctx, record{Extend: &lease{ID: d.id, Until: time.Now().Add(d.group.opts.Lease).UnixMilli()}})
}

// Release gives the items back, for another consumer to have them at once.
func (d *Delivery) Release(ctx context.Context) error {
	return d.settle(ctx, record{Extend: &lease{ID: d.id}})
}
