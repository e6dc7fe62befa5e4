package adapter

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// ordered gives an adapter with a log its one order: what is appended is delivered before anything else is, so each member
// receives in the order of the offsets, and whoever has a message has all before it.
type ordered struct {
	mu    sync.Mutex // ahead of all locks of the index
	log   eventlog.Log
	joins *joins
}

// Membership is a room and since when somebody has been in it.
type Membership struct {
	Room string
	// Since is the place in the log at which it began: what came later reached the member. Zero means that it began before
	// all that the log has.
	Since message.Offset
}

// Suspended is what is left of a member that was removed and may come back.
type Suspended struct {
	// Since is the place in the log at which the member was registered; zero if that was before all that the log has.
	Since message.Offset
	// Rooms are those it was in, without its own id.
	Rooms []Membership
	// At is the place in the log at which it was removed.
	At message.Offset
}

// Resumption says what [Adapter.Resume] gives a member.
type Resumption struct {
	// Rooms are the rooms to join. What a room received up to Membership.Since is not given again.
	Rooms []Membership
	// Since is the same for the member's own id and for what everyone received.
	Since message.Offset
	// After is the last offset the member has.
	After message.Offset
	// MaxBytes is how much may be missing: payload, and 128 bytes for each message. 0 means no bound.
	MaxBytes int
}

// MissedError says that a member has missed more than it can be given.
type MissedError struct{ Bytes, Limit int }

// Error tells the limit.
func (e *MissedError) Error() string {
	return fmt.Sprintf("%d bytes of messages were missed, the limit is %d", e.Bytes, e.Limit)
}

// Logged reports whether the adapter has a log, so that members can resume.
func (a *Adapter) Logged() bool { return a.order != nil }

// Bounds returns what the log covers; the zero value without one.
func (a *Adapter) Bounds() eventlog.Bounds {
	if a.order == nil {
		return eventlog.Bounds{}
	}
	return a.order.log.Bounds()
}

// Suspend is [Adapter.Withdraw] for a member that may come back, which takes an adapter with a log. It reports false if m
// is no member, though it may have come back as another under the same id. It waits for the message that is being
// delivered.
func (a *Adapter) Suspend(m Member) (s Suspended, present bool) {
	o, id := a.order, m.ID()
	o.mu.Lock()
	defer o.mu.Unlock()
	top := o.log.Bounds().Top
	a.index.remove(id, m, func(rooms []string) {
		s.Since, s.At, present = o.joins.of(id, id), top, true
		for _, room := range rooms {
			s.Rooms = append(s.Rooms, Membership{Room: room, Since: o.joins.of(id, room)})
		}
	})
	return s, present
}

// Resume registers m, which must not be registered, as [Adapter.Add] does, and before that delivers what r says that it
// missed: in order, once, and without a seam to what comes later. It returns the place in the log at which that was. If
// the log does not cover it, or it is too much, nothing was done, and the error is an [*eventlog.OffsetError] or a
// [*MissedError]. Other errors mean what they mean for Add. It takes an adapter with a log.
func (a *Adapter) Resume(ctx context.Context, m Member, r Resumption) (at message.Offset, err error) {
	rooms := make([]string, len(r.Rooms))
	since := make(map[string]message.Offset, len(r.Rooms)+1)
	since[m.ID()] = r.Since
	for i, in := range r.Rooms {
		rooms[i], since[in.Room] = in.Room, in.Since
	}
	// Most of it is looked for while others publish, and only the rest while nobody does.
	missed, at, err := r.missed(a.order.log, r.After, m.ID(), since)
	if err == nil {
		var opening openings
		if opening, at, err = a.rejoin(m, &r, missed, at, rooms, since); err == nil {
			return at, a.wait(ctx, opening)
		}
	}
	a.counters.lost.Add(1)
	return at, fmt.Errorf("adapter %s: resume: %w", a.namespace, err)
}

// rejoin delivers to m what it missed, which was looked for up to at, and registers it.
func (a *Adapter) rejoin(m Member, r *Resumption, missed []*eventlog.Entry, at message.Offset, rooms []string, since map[string]message.Offset) (openings, message.Offset, error) {
	o := a.order
	o.mu.Lock()
	defer o.mu.Unlock()
	rest, at, err := r.missed(o.log, at, m.ID(), since)
	if err != nil {
		return nil, at, err
	}
	for _, entries := range [...][]*eventlog.Entry{missed, rest} {
		for _, e := range entries {
			m.Deliver(e.Message())
		}
	}
	_, opening := a.index.add(m, rooms)
	for room, from := range since {
		o.joins.set(m.ID(), room, from)
	}
	a.counters.resumed.Add(1)
	a.counters.replayed.Add(uint64(len(missed) + len(rest)))
	return opening, at, nil
}

// missedCost is what a message takes on a wire beside its payload, at most.
const missedCost = 128

// missed returns the entries behind after that are for the member called id who is in rooms since then, and up to where it
// looked.
func (r *Resumption) missed(log eventlog.Log, after message.Offset, id string, rooms map[string]message.Offset) (missed []*eventlog.Entry, at message.Offset, err error) {
	entries, err := log.Read(after)
	if err != nil || len(entries) == 0 {
		return nil, after, err
	}
	at = entries[len(entries)-1].Offset
	bytes := 0
	missed = entries[:0]
	for _, e := range entries {
		if r.meant(e, id, rooms) {
			bytes += e.Payload() + missedCost
			missed = append(missed, e)
		}
	}
	clear(entries[len(missed):])
	if r.MaxBytes > 0 && bytes > r.MaxBytes {
		return nil, at, &MissedError{Bytes: bytes, Limit: r.MaxBytes}
	}
	return missed, at, nil
}

// meant reports whether e is for the member called id who is in these rooms since then.
func (r *Resumption) meant(e *eventlog.Entry, id string, rooms map[string]message.Offset) bool {
	if e.Private && !slices.Contains(e.Rooms, id) {
		return false // it is in a room that has another member's name
	}
	for _, name := range e.Except {
		if _, in := rooms[name]; in {
			return false
		}
	}
	if len(e.Rooms) == 0 {
		return e.Offset.Compare(r.Since) > 0
	}
	for _, name := range e.Rooms {
		if since, in := rooms[name]; in && e.Offset.Compare(since) > 0 {
			return true
		}
	}
	return false
}

// Send keeps m in the log as a message to the member called id on this node, and has deliver deliver it in the log's
// order; without a log it only calls deliver. deliver must not call the adapter. Send returns its error, in which case
// the message may be kept.
func (a *Adapter) Send(m *message.Message, id string, deliver func(*message.Message) error) error {
	o := a.order
	if o == nil {
		return deliver(m)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return deliver(o.append(m, message.Target{Rooms: []string{id}, Private: true}))
}

// AtTop calls fn with the offset of the last message while none is being delivered, and reports false without calling it
// if one is: everybody has been given all up to that offset, and nothing behind it. fn must not call the adapter.
func (a *Adapter) AtTop(fn func(top message.Offset)) bool {
	o := a.order
	if o == nil || !o.mu.TryLock() {
		return false
	}
	defer o.mu.Unlock()
	fn(o.log.Bounds().Top)
	return true
}

// append returns m with its place in the log. o.mu is held.
func (o *ordered) append(m *message.Message, t message.Target) *message.Message {
	return &message.Message{Data: m.Data, Attachments: m.Attachments, Volatile: m.Volatile, Offset: o.log.Append(m, t)}
}

// deliver delivers m on this node to those t means.
func (a *Adapter) deliver(m *message.Message, t message.Target) {
	o := a.order
	if o == nil {
		a.counters.deliveries.Add(uint64(a.index.deliver(m, &t)))
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	a.counters.deliveries.Add(uint64(a.index.deliver(o.append(m, t), &t)))
}
