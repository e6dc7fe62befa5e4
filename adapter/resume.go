package adapter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// ordered gives an adapter with a log its one order: what is appended is delivered before anything else is, so each member
// receives in the order of the offsets, and whoever has a message has all before it.
type ordered struct {
	mu     sync.Mutex // ahead of all locks of the index
	log    eventlog.Log
	joins  *joins
	common *common // nil if the order is this node's own
}

// Membership is a room and since when somebody has been in it.
type Membership struct {
	Room string
	// Since is the place in the log at which it began: what came later reached the member. Zero means that it began before
	// all that the log has.
	Since message.Offset
}

// Resumption says what [Adapter.Resume] gives a member.
type Resumption struct {
	// Absence is who the member is, if it was suspended: it takes its place and its rooms. Rooms and Since are not read then.
	Absence *Absence
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

// Resume registers m, which must not be registered, as [Adapter.Add] does, and delivers what r says that it missed: in
// order, once, and without a seam to what comes later. It returns the place in the log at which that was. If the log does
// not cover it, or it is too much, nothing was done, and the error is an [*eventlog.OffsetError] or a [*MissedError]; if it
// is no longer for m to come back, [ErrNotAway]. Other errors mean what they mean for Add. It takes an adapter with a log.
func (a *Adapter) Resume(ctx context.Context, m Member, r Resumption) (at message.Offset, err error) {
	if c := a.order.common; c != nil {
		c.await(ctx, r.After, arrivalPatience)
	}
	for tries := 0; ; tries++ {
		in := &eventlog.Interest{ID: m.ID(), Rooms: r.memberships(m.ID())}
		// Most of it is looked for while others publish, and only the rest while nobody does.
		var missed []*eventlog.Entry
		if missed, at, err = a.missed(ctx, &r, in); err == nil {
			var opening openings
			if opening, at, err = a.rejoin(m, &r, missed, at, in); err == nil {
				return at, a.wait(ctx, opening)
			}
		}
		if !errors.Is(err, errMoved) || tries > maxMoves {
			break
		}
	}
	a.counters.lost.Add(1)
	return at, fmt.Errorf("adapter %s: resume: %w", a.namespace, err)
}

// maxMoves is how often a member that is put into rooms while it comes back is looked for anew.
const maxMoves = 8

// errMoved says that somebody was put into a room, or out of one, while what it missed was read from a common log.
var errMoved = errors.New("it was put into rooms meanwhile")

// missed looks for what r misses, in this node's log and, if that does not go back so far, in the common one.
func (a *Adapter) missed(ctx context.Context, r *Resumption, in *eventlog.Interest) (missed []*eventlog.Entry, at message.Offset, err error) {
	missed, at, err = r.missed(a.order.log, r.After, in)
	var old *eventlog.OffsetError
	switch {
	case a.order.common == nil:
		return missed, at, err
	case errors.As(err, &old):
		missed, at, err = a.recall(ctx, r, in, err)
	}
	if x := r.Absence; err == nil && x != nil && len(missed) > 0 && missed[0].Offset.Compare(x.known) <= 0 {
		// It may be from before the member was in that room, or what it has not received.
		return nil, at, &eventlog.OffsetError{After: r.After, Bounds: eventlog.Bounds{Floor: x.known, Top: at}}
	}
	return missed, at, err
}

// memberships returns where a member with that id was, and since when.
func (r *Resumption) memberships(id string) map[string]message.Offset {
	if r.Absence != nil {
		return r.Absence.memberships()
	}
	in := make(map[string]message.Offset, len(r.Rooms)+1)
	in[id] = r.Since
	for _, room := range r.Rooms {
		in[room.Room] = room.Since
	}
	return in
}

// rejoin registers m and delivers to it what it missed, which was looked for up to at.
func (a *Adapter) rejoin(m Member, r *Resumption, missed []*eventlog.Entry, at message.Offset, in *eventlog.Interest) (openings, message.Offset, error) {
	o := a.order
	o.mu.Lock()
	defer o.mu.Unlock()
	if x := r.Absence; x != nil {
		if x.claimant != m || !a.isAway(x) {
			return nil, at, ErrNotAway
		}
		if now := x.memberships(); !maps.Equal(now, in.Rooms) { // it was put into a room, or out of one
			if o.common != nil {
				return nil, at, errMoved
			}
			in.Rooms, missed, at = now, nil, r.After
		}
	}
	rest, at, err := r.missed(o.log, at, in)
	if err != nil {
		return nil, at, err
	}
	opening, err := a.register(m, r, in.Rooms)
	if err != nil {
		return nil, at, err
	}
	for _, entries := range [...][]*eventlog.Entry{missed, rest} {
		for _, e := range entries {
			m.Deliver(e.Message())
		}
	}
	a.counters.resumed.Add(1)
	a.counters.replayed.Add(uint64(len(missed) + len(rest)))
	return opening, at, nil
}

// register registers m, or puts it in the place of the absence. o.mu is held.
func (a *Adapter) register(m Member, r *Resumption, in map[string]message.Offset) (opening openings, err error) {
	id := m.ID()
	var rooms []string
	if r.Absence == nil {
		for room := range in {
			rooms = append(rooms, room)
		}
		_, opening = a.index.add(m, rooms)
	} else {
		if !a.index.replace(r.Absence, m, func(names []string) { rooms = names }) {
			return nil, ErrNotAway // it was forgotten this moment
		}
		for _, room := range rooms { // they are open, but that may not have ended
			opening = opening.add(room, a.index.opening(room))
		}
	}
	for room, since := range in {
		if room == id || slices.Contains(rooms, room) { // and was not left this moment
			a.order.joins.set(id, room, since)
		}
	}
	return opening, nil
}

// missedCost is what a message takes on a wire beside its payload, at most.
const missedCost = 128

// missed returns the entries behind after that are for who has that interest, and up to where it looked.
func (r *Resumption) missed(log eventlog.Log, after message.Offset, in *eventlog.Interest) (missed []*eventlog.Entry, at message.Offset, err error) {
	entries, err := log.Read(after, in)
	if err != nil || len(entries) == 0 {
		return nil, after, err
	}
	at = entries[len(entries)-1].Offset
	bytes := 0
	missed = entries[:0]
	for _, e := range entries {
		if meant(e, in) {
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

// meant reports whether e is for who has that interest.
func meant(e *eventlog.Entry, in *eventlog.Interest) bool {
	if e.Private && !slices.Contains(e.Rooms, in.ID) {
		return false // it is in a room that has another member's name
	}
	for _, name := range e.Except {
		if _, there := in.Rooms[name]; there {
			return false
		}
	}
	if len(e.Rooms) == 0 {
		return e.Offset.Compare(in.Rooms[in.ID]) > 0
	}
	for _, name := range e.Rooms {
		if since, there := in.Rooms[name]; there && e.Offset.Compare(since) > 0 {
			return true
		}
	}
	return false
}

// Send keeps m in the log as a message to one member of this node, and has deliver deliver it in the log's order; without
// a log it only calls deliver. If another has come back as that member, it is the other's Deliver that is called, and if it
// is away, neither is: it is given m when it is back. Else deliver is told whether the member is registered. It must not
// call the adapter. Send returns its error, in which case the message may be kept.
//
// With a common log it is a broadcast to that member alone, for which ctx counts: see [Adapter.Broadcast]. Then deliver is
// called only for a message that is not kept, because it is volatile or the member not registered.
func (a *Adapter) Send(ctx context.Context, m *message.Message, to Member, deliver func(m *message.Message, registered bool) error) error {
	if a.Shared() {
		return a.sendShared(ctx, m, to, deliver)
	}
	o, id := a.order, to.ID()
	if o == nil {
		return deliver(m, a.Member(id) == to)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	m = o.append(m, message.Target{Rooms: []string{id}, Private: true})
	defer o.joins.delivered(m.Offset)
	e := a.index.entry(id)
	if e != nil && e.member != to {
		e.member.Deliver(m)
		return nil
	}
	return deliver(m, e != nil)
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
	m = &message.Message{Data: m.Data, Attachments: m.Attachments, Volatile: m.Volatile}
	m.Offset = o.log.Append(m, t)
	return m
}

// deliver delivers m on this node to those t means.
func (a *Adapter) deliver(m *message.Message, t message.Target) {
	o := a.order
	if o == nil {
		a.counters.deliveries.Add(uint64(a.hand(m, &t)))
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	m = o.append(m, t)
	a.counters.deliveries.Add(uint64(a.hand(m, &t)))
	o.joins.delivered(m.Offset)
}
