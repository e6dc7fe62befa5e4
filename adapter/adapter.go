package adapter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// Options tune an [Adapter]. The zero value and nil mean the defaults.
type Options struct {
	// Shards is into how many parts the index is split so that joins on different cores do not wait for each other.
	// It is rounded up to a power of two. 0 means 8 for each core, at most 256.
	Shards int
	// Log keeps what is delivered on this node, so that members who were away can be given what they missed: see
	// [Adapter.Resume]. The messages of the namespace then have one order, in which each member receives them, and are
	// delivered one after another. It is of this adapter alone, which closes it. Nil means that nothing is kept.
	Log eventlog.Log
	// Observers are told who is in which room of this node.
	Observers []Observer
	// OnEvent handles the events that other nodes send to the nodes of the namespace. Nil means that they are ignored, and
	// not answered.
	OnEvent EventHandler
}

// Adapter holds the members and rooms of one namespace on this node, and its link to the other nodes.
// All methods are safe for concurrent use.
type Adapter struct {
	namespace string
	index     *index
	link      Link     // nil without a driver
	order     *ordered // nil without a log
	closed    atomic.Bool
	onEvent   EventHandler
	calling   atomic.Int32 // calls that wait for answers
	answers   answers
	counters  counters
}

// New returns the adapter of namespace. With a driver it joins the cluster before it returns, for which ctx is the
// bound; a nil driver makes a single node. The error wraps the driver's.
func New(ctx context.Context, namespace string, driver Driver, opts *Options) (*Adapter, error) {
	if opts == nil {
		opts = &Options{}
	}
	a := &Adapter{namespace: namespace, index: newIndex(opts.Shards), onEvent: opts.OnEvent, counters: newCounters()}
	a.index.observers = slices.Clone(opts.Observers)
	if opts.Log != nil {
		a.index.joins = newJoins(opts.Log)
		a.order = &ordered{log: opts.Log, joins: a.index.joins}
	}
	if driver == nil {
		return a, nil
	}
	link, err := a.subscribe(ctx, driver)
	if err != nil {
		return nil, fmt.Errorf("adapter %s: subscribe: %w", namespace, err)
	}
	// There are no members yet, so nothing has needed the link before.
	a.link = link
	a.index.filter, _ = link.(RoomFilter)
	return a, nil
}

func (a *Adapter) subscribe(ctx context.Context, driver Driver) (Link, error) {
	if s, ok := driver.(Sequencer); ok && a.order != nil {
		return a.follow(ctx, s)
	}
	return driver.Subscribe(ctx, a.namespace, (*receiver)(a))
}

// Namespace returns the namespace's name, slash included.
func (a *Adapter) Namespace() string { return a.namespace }

// Add registers m and puts it into rooms. If a member with m's ID is registered already, that one stays and only joins
// the rooms; added is false then. One that is away is forgotten. It returns when messages that other nodes publish from now on reach the rooms, for
// which it may wait no longer than the driver's own timeout. An error, which wraps the driver's or that of ctx, means
// only that this cannot be said: the member is there and in the rooms, and hears other nodes once the cluster is back.
func (a *Adapter) Add(ctx context.Context, m Member, rooms ...string) (added bool, err error) {
	added, opening := a.index.add(m, rooms)
	return added, a.wait(ctx, opening)
}

// Remove forgets the member, though it be away, and returns the rooms it was in, in no order; nil if there is no such
// member.
func (a *Adapter) Remove(id string) (rooms []string) { return a.index.remove(id, nil, nil) }

// Withdraw is [Adapter.Remove] for m alone: a member that has come back under the same id stays.
func (a *Adapter) Withdraw(m Member) (rooms []string) { return a.index.remove(m.ID(), m, nil) }

// Join puts the member into rooms and reports whether there is such a member, though it be away. Joining twice changes
// nothing. It waits, and fails, as [Adapter.Add] does.
func (a *Adapter) Join(ctx context.Context, id string, rooms ...string) (present bool, err error) {
	present, opening := a.index.join(id, rooms)
	return present, a.wait(ctx, opening)
}

// wait waits until other nodes are heard in rooms that were just opened.
func (a *Adapter) wait(ctx context.Context, opening openings) error {
	if len(opening) == 0 || a.closed.Load() {
		return nil
	}
	if err := a.index.wait(ctx, opening); err != nil && !a.closed.Load() {
		a.counters.joinErrors.Add(Reason(err))
		return fmt.Errorf("adapter %s: join: %w", a.namespace, err)
	}
	return nil
}

// Leave takes the member, though it be away, out of rooms. Its own ID is no room it can leave.
func (a *Adapter) Leave(id string, rooms ...string) { a.index.leave(id, rooms) }

// RoomsOf returns the rooms the member is in, though it be away, in no order and without the room that is its own ID.
func (a *Adapter) RoomsOf(id string) []string { return a.index.roomsOf(id) }

// HasRoom reports whether a member of this node is in room, or has room as its ID.
func (a *Adapter) HasRoom(room string) bool { return a.RoomLen(room) > 0 }

// RoomLen returns how many members of this node a broadcast to room would reach.
func (a *Adapter) RoomLen(room string) int {
	e, r := a.index.resolve(room)
	n := 0
	if r != nil {
		n = r.len()
	}
	if e != nil && !e.away {
		n++
	}
	return n
}

// Len returns the number of members of this node.
func (a *Adapter) Len() int { return int(a.index.length.Load()) }

// Away returns how many members of this node are away and may come back; see [Adapter.Suspend]. Those are no members to
// anything that counts, names or describes members.
func (a *Adapter) Away() int { return int(a.index.absent.Load()) }

// Rooms returns the rooms of this node, in no order and without those that are just a member's ID.
func (a *Adapter) Rooms() []string { return a.index.names(false) }

// RoomCount returns how many rooms Rooms would return, without making the list.
func (a *Adapter) RoomCount() int { return a.index.roomCount() }

// Member returns the member of this node with that id, or nil.
func (a *Adapter) Member(id string) Member {
	if e := a.index.entry(id); e != nil && !e.away {
		return e.member
	}
	return nil
}

// Each calls yield for the members of this node that t means, each once, until yield returns false. The members are
// collected first and yield is called without locks, so it may use the adapter.
func (a *Adapter) Each(t message.Target, yield func(Member) bool) {
	for _, m := range a.index.members(&t) {
		if _, away := m.(*Absence); !away && !yield(m) {
			return
		}
	}
}

// Broadcast delivers m to the members t means: first on this node, then through the driver on the others. An error
// means only that the cluster did not take the message; the delivery on this node is done by then.
//
// With a common log ([Adapter.Shared]) there is one order for all, and the members of this node are given m when its turn
// comes: Broadcast returns when it has, or a second after the cluster has accepted m. Without a deadline of ctx's that may
// take 10 s. An error means that nobody was given m, but for [ErrUnavailable] and the end of ctx: then the cluster may have
// accepted it, and everybody is. What is only for this node is delivered at once, and not kept.
func (a *Adapter) Broadcast(ctx context.Context, m *message.Message, t message.Target) error {
	a.counters.broadcasts.Add(1)
	if a.Shared() {
		if t.Local {
			a.aside(m, t)
			return nil
		}
		return a.appendShared(ctx, m, t)
	}
	a.deliver(m, t)
	if a.link == nil || t.Local {
		return nil
	}
	return a.publish(ctx, &Envelope{Kind: KindBroadcast, Message: m, Rooms: t.Rooms, Except: t.Except})
}

// JoinRooms puts the members t means into rooms, on this node and through the driver on the others, those that are away
// included. The joins of this
// node are waited for as [Adapter.Add] does, those of the others are not. An error means that the cluster did not take
// it, or that a room may not hear other nodes yet; it is done on this node then.
func (a *Adapter) JoinRooms(ctx context.Context, t message.Target, rooms ...string) error {
	return a.change(ctx, t, &Envelope{Kind: KindJoin, ChangeRooms: rooms})
}

// LeaveRooms takes the members t means out of rooms, on this node and through the driver on the others, those that are
// away included. An error means
// that the cluster did not take it; it is done on this node then.
func (a *Adapter) LeaveRooms(ctx context.Context, t message.Target, rooms ...string) error {
	return a.change(ctx, t, &Envelope{Kind: KindLeave, ChangeRooms: rooms})
}

// Disconnect disconnects the members t means, on this node and through the driver on the others; see
// [Member.Disconnect]. Those that are away are forgotten. An error means that the cluster did not take it; it is done on this node then.
func (a *Adapter) Disconnect(ctx context.Context, t message.Target, closeConnection bool) error {
	return a.change(ctx, t, &Envelope{Kind: KindDisconnect, CloseConnection: closeConnection})
}

func (a *Adapter) change(ctx context.Context, t message.Target, e *Envelope) error {
	e.Rooms, e.Except = t.Rooms, t.Except
	opening := a.apply(e)
	var published error
	if a.link != nil && !t.Local {
		published = a.publish(ctx, e)
	}
	return errors.Join(published, a.wait(ctx, opening))
}

func (a *Adapter) publish(ctx context.Context, e *Envelope) error {
	err := ErrClosed
	if !a.closed.Load() {
		err = a.link.Publish(ctx, e)
	}
	if err != nil {
		a.counters.publishErrors.Add(Reason(err))
		return fmt.Errorf("adapter %s: publish %s: %w", a.namespace, e.Kind, err)
	}
	a.counters.out.Add(1)
	return nil
}

// apply does on this node what e says, and returns what is left to wait for.
func (a *Adapter) apply(e *Envelope) (opening openings) {
	t := message.Target{Rooms: e.Rooms, Except: e.Except, Private: e.Private}
	switch e.Kind {
	case KindBroadcast:
		a.deliver(e.Message, t)
	case KindJoin:
		for _, m := range a.meant(&t) {
			_, more := a.index.join(m.ID(), e.ChangeRooms)
			opening = append(opening, more...)
		}
	case KindLeave:
		for _, m := range a.meant(&t) {
			a.index.leave(m.ID(), e.ChangeRooms)
		}
	case KindDisconnect:
		for _, m := range a.meant(&t) {
			a.disconnect(m, e.CloseConnection)
		}
	}
	return opening
}

// SendEvent sends an event to all other nodes, whose [Options].OnEvent handles it; nobody answers. The error is that of
// publishing. Without a driver there is nobody to send it to.
func (a *Adapter) SendEvent(ctx context.Context, m *message.Message) error {
	if a.link == nil {
		return nil
	}
	return a.publish(ctx, &Envelope{Kind: KindEvent, Message: m})
}

// Ping sends a probe through the driver's real path and returns when it came back. Without a driver it returns nil.
func (a *Adapter) Ping(ctx context.Context) error {
	if a.link == nil {
		return nil
	}
	if a.closed.Load() {
		return fmt.Errorf("adapter %s: ping: %w", a.namespace, ErrClosed)
	}
	if err := a.link.Ping(ctx); err != nil {
		return fmt.Errorf("adapter %s: ping: %w", a.namespace, err)
	}
	return nil
}

// Stats returns the counters.
func (a *Adapter) Stats() Stats { return a.counters.snapshot() }

// Close leaves the cluster: nothing of other nodes arrives once it has returned, and publishing fails with [ErrClosed].
// What is being answered or handled for other nodes is waited for. Members stay, and delivery on this node goes on. The
// driver stays open. Only the first call does something.
func (a *Adapter) Close(ctx context.Context) error {
	if a.closed.Swap(true) {
		return nil
	}
	if a.order != nil {
		a.order.log.Close()
	}
	if a.link == nil {
		return nil
	}
	if err := errors.Join(a.link.Close(ctx), a.answers.close(ctx)); err != nil {
		return fmt.Errorf("adapter %s: close: %w", a.namespace, err)
	}
	return nil
}

// receiver is the side of an adapter that its driver sees.
type receiver Adapter

func (r *receiver) Receive(e *Envelope) {
	r.counters.in.Add(1)
	if e.Kind == KindEvent {
		(*Adapter)(r).queueEvent(&inquiry{call: &Call{Kind: CallEvent, Message: e.Message}})
		return
	}
	// Nobody waits for what another node asked for: it does not wait either, and the driver must not.
	_ = (*Adapter)(r).apply(e)
}

// HasRoom implements [Receiver]. A member that is away misses what its rooms do not hear.
func (r *receiver) HasRoom(room string) bool {
	e, in := r.index.resolve(room)
	return e != nil || in != nil && in.inhabited()
}
