package adapter

import (
	"context"
	"errors"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// Absence stands for a member that is away and may come back, once: see [Adapter.Suspend]. It stays in the rooms of that
// member, and joins and leaves rooms as others do, so that it is in the right ones when it comes back. Nothing is delivered
// to it. To forget it, withdraw it.
type Absence struct {
	// Since is the place in the log at which the member was registered; zero if that was before all that the log has.
	Since message.Offset
	// At is the place in the log at which it went.
	At message.Offset

	adapter  *Adapter
	id       string
	recent   []Membership   // those that the log has messages from before of
	known    message.Offset // with a common log: up to here it is not known since when it was in its other rooms
	claimant Member         // who is about to come back; protected by the adapter's order
}

var _ Member = (*Absence)(nil)

// ErrNotAway says that a member cannot resume as another because that one is not away any more: it has come back, was
// forgotten or disconnected, or is claimed by somebody else.
var ErrNotAway = errors.New("the member that was away has come back or was forgotten")

// ID implements [Member].
func (x *Absence) ID() string { return x.id }

// Deliver implements [Member]: there is nobody.
func (x *Absence) Deliver(*message.Message) {}

// Disconnect implements [Member]: it forgets the member.
func (x *Absence) Disconnect(bool) { x.adapter.Withdraw(x) }

// Suspend is [Adapter.Withdraw] for a member that may come back: it leaves an [Absence] in its place and returns the rooms
// it is in, in no order. It takes an adapter with a log. It returns nil if m is no member, though it may have come back as
// another under the same id. It waits for the message that is being delivered.
func (a *Adapter) Suspend(m Member) (x *Absence, rooms []string) {
	o := a.order
	o.mu.Lock()
	defer o.mu.Unlock()
	bounds := o.log.Bounds()
	x = &Absence{adapter: a, id: m.ID(), At: bounds.Top, known: bounds.Floor}
	present := a.index.replace(m, x, func(names []string) {
		rooms = names
		x.Since = o.joins.take(x.id, x.id)
		for _, room := range names {
			if since := o.joins.take(x.id, room); !since.IsZero() {
				x.recent = append(x.recent, Membership{Room: room, Since: since})
			}
		}
	})
	if !present {
		return nil, nil
	}
	return x, rooms
}

// Claim notes that m, which has the id of x, is about to resume as x: from now on nobody else can. It returns who was before
// it, or nil, and false if x is away no more.
func (a *Adapter) Claim(x *Absence, m Member) (rival Member, away bool) {
	o := a.order
	o.mu.Lock()
	defer o.mu.Unlock()
	if !a.isAway(x) {
		return nil, false
	}
	rival, x.claimant = x.claimant, m
	return rival, true
}

// Covered returns nil if all that x misses behind after is there, and else an [*eventlog.OffsetError]. It asks a common log
// only for what this node does not have.
func (x *Absence) Covered(ctx context.Context, after message.Offset) error {
	return x.adapter.covers(ctx, after, &eventlog.Interest{ID: x.id, Rooms: x.memberships()})
}

func (a *Adapter) isAway(x *Absence) bool {
	e := a.index.entry(x.id)
	return e != nil && e.member == Member(x)
}

// memberships returns where x is, and since when, as far as the log goes back.
func (x *Absence) memberships() map[string]message.Offset {
	joins := x.adapter.order.joins
	rooms := x.adapter.index.roomsOf(x.id)
	in := make(map[string]message.Offset, len(rooms)+1)
	for _, room := range rooms {
		in[room] = joins.of(x.id, room) // if it joined while it was away
	}
	for _, m := range x.recent {
		if since, still := in[m.Room]; still && since.Compare(m.Since) < 0 {
			in[m.Room] = m.Since
		}
	}
	in[x.id] = x.Since
	return in
}

// disconnect disconnects m, and whoever has its place by then.
func (a *Adapter) disconnect(m Member, closeConnection bool) {
	m.Disconnect(closeConnection)
	if e := a.index.entry(m.ID()); e != nil && e.member != m {
		e.member.Disconnect(closeConnection)
	}
}

// replace puts m, which has the same id, in the place of old and calls changed with the rooms, under the lock of the member.
// It reports whether old was there. Nobody sees anything in between: no room is closed, and a walk meets one of the two.
func (ix *index) replace(old, m Member, changed func(rooms []string)) bool {
	id := m.ID()
	e := ix.locked(id)
	if e == nil {
		return false
	}
	defer e.mu.Unlock()
	if e.member != old {
		return false
	}
	_, away := m.(*Absence)
	fresh := &entry{member: m, id: id, num: e.num, away: away, count: e.count, list: e.list, many: e.many}
	names := e.rooms()
	if away {
		ix.length.Add(-1)
		ix.absent.Add(1)
	} else {
		ix.length.Add(1)
		ix.absent.Add(-1)
	}
	ix.observe(away, id, names)
	e.gone = true
	for in := fresh.list; in != nil; in = in.next {
		in.room.pass(in, in, fresh)
	}
	for _, in := range fresh.many {
		in.room.pass(in, in, fresh)
	}
	e.self.room.pass(&e.self, &fresh.self, fresh)
	e.list, e.many, e.count = nil, nil, 0
	changed(names)
	s := ix.shard(id)
	s.mu.Lock()
	s.ids[id] = fresh
	s.mu.Unlock()
	return true
}

// observe tells the observers that the member goes away or is back, with the rooms it is in beside its id.
func (ix *index) observe(away bool, id string, rooms []string) {
	for _, o := range ix.observers {
		if !away {
			o.Joined(id, id)
		}
		for _, room := range rooms {
			if away {
				o.Left(id, room)
			} else {
				o.Joined(id, room)
			}
		}
		if away {
			o.Left(id, id)
		}
	}
}

// meant returns the members of this node that t means, those that are away included.
func (a *Adapter) meant(t *message.Target) []Member {
	if o := a.order; o != nil { // nobody goes away or comes back meanwhile
		o.mu.Lock()
		defer o.mu.Unlock()
	}
	return a.index.members(t)
}
