package adapter

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// Bounds of what waits for the common log.
const (
	// appendTimeout is how long a broadcast may take to be accepted, for callers that set no deadline.
	appendTimeout = 10 * time.Second
	// deliveryPatience is how long a broadcast that was accepted is waited for, to reach the members of this node.
	deliveryPatience = time.Second
	// arrivalPatience is how long somebody who has been given more than this node has read waits for it to catch up.
	arrivalPatience = 2 * time.Second
	// replayTimeout bounds the reading of what somebody has missed from the common log, and maxReplays how many do at a time.
	replayTimeout = 5 * time.Second
	maxReplays    = 8
)

// common is what an adapter has that follows a common log. Its log is the end of that one.
type common struct {
	sequence Sequence
	replays  chan struct{} // a place for each who reads the common log

	mu       sync.Mutex // protects the following
	reached  message.Offset
	waiting  waiters        // for offsets that this node has not reached
	unplaced message.Offset // up to here something may have been delivered that the log does not have
}

// follow subscribes to a driver that has a common log.
func (a *Adapter) follow(ctx context.Context, s Sequencer) (Link, error) {
	a.order.common = &common{replays: make(chan struct{}, maxReplays)}
	sequence, err := s.Follow(ctx, a.namespace, &follower{(*receiver)(a)})
	if err != nil {
		return nil, err
	}
	a.order.common.sequence = sequence
	return sequence, nil
}

// Shared reports whether the adapter's log is a common one: its offsets are those of all nodes.
func (a *Adapter) Shared() bool { return a.order != nil && a.order.common != nil }

// follower is the side of an adapter that a common log sees.
type follower struct{ *receiver }

// Begin implements [Follower].
func (f *follower) Begin(floor message.Offset) {
	o := f.order
	o.mu.Lock()
	defer o.mu.Unlock()
	o.log.Reset(floor)
	o.reach(floor)
}

// HasRoom implements [Receiver]: the log keeps what is for members of other nodes too, who may come here.
func (f *follower) HasRoom(string) bool { return true }

// Receive implements [Receiver].
func (f *follower) Receive(e *Envelope) {
	if e.Kind != KindBroadcast {
		f.receiver.Receive(e)
		return
	}
	f.counters.in.Add(1)
	(*Adapter)(f.receiver).place(e)
}

// place delivers a broadcast of the common log.
func (a *Adapter) place(e *Envelope) {
	o := a.order
	t := message.Target{Rooms: e.Rooms, Except: e.Except, Private: e.Private}
	m := e.Message
	o.mu.Lock()
	defer o.mu.Unlock()
	if m.Offset.IsZero() {
		m = o.unplaced(m)
		if !m.Volatile {
			o.log.Reset(m.Offset) // whoever was away has missed it for good
			o.common.miss(m.Offset)
		}
	} else {
		o.log.Append(m, t)
	}
	a.counters.deliveries.Add(uint64(a.hand(m, &t)))
	o.reach(m.Offset)
}

// hand hands m to those t means and returns how many there were.
func (a *Adapter) hand(m *message.Message, t *message.Target) int {
	if !t.Private {
		return a.index.deliver(m, t)
	}
	n := 0
	for _, id := range t.Rooms {
		if e := a.index.entry(id); e != nil {
			e.member.Deliver(m)
			n++
		}
	}
	return n
}

// unplaced returns m with the offset of the last message: whoever has it has all up to there. o.mu is held.
func (o *ordered) unplaced(m *message.Message) *message.Message {
	return &message.Message{Data: m.Data, Attachments: m.Attachments, Volatile: m.Volatile, Offset: o.log.Bounds().Top}
}

// aside delivers m on this node only, at once, and does not keep it.
func (a *Adapter) aside(m *message.Message, t message.Target) {
	o := a.order
	o.mu.Lock()
	defer o.mu.Unlock()
	a.counters.deliveries.Add(uint64(a.hand(o.unplaced(m), &t)))
}

// appendShared publishes m to the common log, and waits until it has come back to the members of this node.
func (a *Adapter) appendShared(ctx context.Context, m *message.Message, t message.Target) error {
	c := a.order.common
	e := &Envelope{Kind: KindBroadcast, Message: m, Rooms: t.Rooms, Except: t.Except, Private: t.Private}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, appendTimeout)
		defer cancel()
	}
	at, err := message.Offset{}, ErrClosed
	if !a.closed.Load() {
		at, err = c.sequence.Append(ctx, e)
	}
	if err != nil {
		a.counters.publishErrors.Add(Reason(err))
		return fmt.Errorf("adapter %s: append: %w", a.namespace, err)
	}
	a.counters.out.Add(1)
	if !c.await(ctx, at, deliveryPatience) {
		a.counters.late.Add(1) // it comes all the same
	}
	return nil
}

// sendShared is [Adapter.Send] in a common log.
func (a *Adapter) sendShared(ctx context.Context, m *message.Message, to Member, deliver func(*message.Message, bool) error) error {
	o, id := a.order, to.ID()
	e := a.index.entry(id)
	if e != nil && !m.Volatile {
		return a.appendShared(ctx, m, message.Target{Rooms: []string{id}, Private: true})
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if e = a.index.entry(id); e != nil && e.member != to {
		e.member.Deliver(o.unplaced(m))
		return nil
	}
	return deliver(o.unplaced(m), e != nil)
}

// reach notes that all up to at has been delivered, and wakes who waits for that. o.mu is held.
func (o *ordered) reach(at message.Offset) {
	o.joins.delivered(at)
	c := o.common
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reached = at
	for len(c.waiting) > 0 && c.waiting[0].at.Compare(at) <= 0 {
		close(heap.Pop(&c.waiting).(*waiter).reached)
	}
}

// miss notes that what was delivered up to at may not be in the common log.
func (c *common) miss(at message.Offset) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unplaced = at
}

// missed returns up to where that is so.
func (c *common) missed() message.Offset {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unplaced
}

// await waits until this node has delivered all up to at, for as long as patience and ctx say. It reports whether it has.
func (c *common) await(ctx context.Context, at message.Offset, patience time.Duration) bool {
	c.mu.Lock()
	if c.reached.Compare(at) >= 0 {
		c.mu.Unlock()
		return true
	}
	w := &waiter{at: at, reached: make(chan struct{})}
	heap.Push(&c.waiting, w)
	c.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-w.reached:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-w.reached:
		return true
	default:
		heap.Remove(&c.waiting, w.index)
		return false
	}
}

// waiter waits for an offset.
type waiter struct {
	at      message.Offset
	reached chan struct{} // closed when it is reached, and then the waiter is in no heap
	index   int
}

// waiters is a heap with the lowest offset on top.
type waiters []*waiter

func (w waiters) Len() int           { return len(w) }
func (w waiters) Less(i, j int) bool { return w[i].at.Compare(w[j].at) < 0 }

func (w waiters) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].index, w[j].index = i, j
}

// Push implements [heap.Interface].
func (w *waiters) Push(x any) {
	added := x.(*waiter)
	added.index = len(*w)
	*w = append(*w, added)
}

// Pop implements [heap.Interface].
func (w *waiters) Pop() any {
	last := len(*w) - 1
	x := (*w)[last]
	(*w)[last] = nil
	*w = (*w)[:last]
	return x
}

// covers returns nil if all that comes behind after can be given to who has that interest, and else an error that is, or
// wraps, an [*eventlog.OffsetError] if it is not there any more.
func (a *Adapter) covers(ctx context.Context, after message.Offset, in *eventlog.Interest) error {
	o := a.order
	if o.common != nil {
		o.common.await(ctx, after, arrivalPatience)
	}
	err := o.log.Cover(after, in)
	if err == nil || o.common == nil || !o.beyond(after) {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, replayTimeout)
	defer cancel()
	if shared := o.common.sequence.Covers(bounded, after); shared != nil {
		return gone(err, shared)
	}
	return nil
}

// beyond reports whether the common log may be asked for what this node does not have.
func (o *ordered) beyond(after message.Offset) bool {
	return after.Compare(o.common.missed()) >= 0 && after.Compare(o.log.Bounds().Top) <= 0
}

// gone returns the error of this node's log when the common one failed: the first if it has not got it either.
func gone(own, shared error) error {
	if errors.Is(shared, ErrTrimmed) {
		return own
	}
	return errors.Join(own, shared)
}

// recall reads from the common log what comes behind after, up to where this node is.
func (a *Adapter) recall(ctx context.Context, r *Resumption, in *eventlog.Interest, own error) (missed []*eventlog.Entry, at message.Offset, err error) {
	o := a.order
	if !o.beyond(r.After) {
		return nil, r.After, own
	}
	bounded, cancel := context.WithTimeout(ctx, replayTimeout)
	defer cancel()
	select {
	case o.common.replays <- struct{}{}:
		defer func() { <-o.common.replays }()
	case <-bounded.Done():
		return nil, r.After, errors.Join(own, ErrOverloaded)
	}
	at = o.log.Bounds().Top
	size := 0
	err = o.common.sequence.Replay(bounded, r.After, at, func(e *Envelope) error {
		m := e.Message
		entry := &eventlog.Entry{Offset: m.Offset, Data: m.Data, Attachments: m.Attachments, Rooms: e.Rooms, Except: e.Except, Private: e.Private}
		if m.Volatile || !meant(entry, in) {
			return nil
		}
		size += entry.Payload() + missedCost
		missed = append(missed, entry)
		if r.MaxBytes > 0 && size > r.MaxBytes {
			return &MissedError{Bytes: size, Limit: r.MaxBytes}
		}
		return nil
	})
	var much *MissedError
	switch {
	case errors.As(err, &much):
		return nil, at, err
	case err != nil:
		return nil, at, gone(own, err)
	}
	a.counters.recalled.Add(1)
	return missed, at, nil
}
