package ledger

import (
	"slices"
	"time"

	"github.com/peal-dev/peal/internal/bench/hist"
)

// Ledger is the account. Clients, rooms and publishers are numbers from 0. Its methods are for one goroutine.
type Ledger struct {
	publishers int
	rooms      []room
	stays      map[place]*stay
	times      hist.Histogram
	report     Report
}

// Report is what the account comes to.
type Report struct {
	Published  int // messages
	Due        int // arrivals that there had to be
	Arrived    int // arrivals of what was not there before, due or not
	Lost       int // of those due, how many there were not
	Twice      int // arrivals of what had arrived in the same stay
	Disordered int // arrivals behind what the same publisher published later in the room
	Astray     int // arrivals at who was not in the room, or of what nobody published there
	Joins      int // confirmed
	Leaves     int // confirmed
	// How long messages took: half of them, all but one in a hundred, and all, at most.
	P50, P99, Longest time.Duration
}

// Faults returns how many things were not as they have to be.
func (r *Report) Faults() int { return r.Lost + r.Twice + r.Disordered + r.Astray }

// room is what was published in one room: by publisher, how many messages.
type room struct{ sent []int }

type place struct{ client, room int }

// stay is a client's being in a room, once.
type stay struct{ from []span } // by publisher

// span is the part of a publisher's messages that concerns a stay, and what arrived of them.
type span struct {
	due   int   // the first that has to arrive; negative as long as none has to
	until int   // the first that may not arrive; negative as long as all may
	end   int   // the first that need not arrive, as the client has asked to leave; negative until then
	got   []int // in the order of arrival
}

// New returns an empty account for so many publishers and rooms.
func New(publishers, rooms int) *Ledger {
	l := &Ledger{publishers: publishers, rooms: make([]room, rooms), stays: make(map[place]*stay)}
	for i := range l.rooms {
		l.rooms[i].sent = make([]int, publishers)
	}
	return l
}

// Publish enters a message that is about to be published, and returns its number, which it has to carry.
func (l *Ledger) Publish(publisher, room int) (number int) {
	sent := l.rooms[room].sent
	number = sent[publisher]
	sent[publisher]++
	l.report.Published++
	return number
}

// Joining opens a stay, of a client that has none there: it asks to be let in.
func (l *Ledger) Joining(client, room int) {
	s := &stay{from: make([]span, l.publishers)}
	for p := range s.from {
		s.from[p] = span{due: -1, until: -1, end: -1}
	}
	l.stays[place{client, room}] = s
}

// JoiningBy is Joining when a publisher asks for it.
func (l *Ledger) JoiningBy(client, room, publisher int) {
	l.Joining(client, room)
	l.stays[place{client, room}].from[publisher].due = l.rooms[room].sent[publisher]
}

// Joined enters that a joining is confirmed.
func (l *Ledger) Joined(client, room int) {
	s := l.stays[place{client, room}]
	for p, sent := range l.rooms[room].sent {
		if f := &s.from[p]; f.due < 0 {
			f.due = sent
		}
	}
	l.report.Joins++
}

// Leaving enters that a client asks to be let out.
func (l *Ledger) Leaving(client, room int) {
	s := l.stays[place{client, room}]
	for p, sent := range l.rooms[room].sent {
		s.from[p].end = sent
	}
}

// LeavingBy is Leaving when a publisher asks for it.
func (l *Ledger) LeavingBy(client, room, publisher int) {
	l.Leaving(client, room)
	l.stays[place{client, room}].from[publisher].until = l.rooms[room].sent[publisher]
}

// Left enters that a leaving is confirmed, and closes the stay.
func (l *Ledger) Left(client, room int) {
	at := place{client, room}
	s := l.stays[at]
	for p := range s.from {
		f := &s.from[p]
		last := f.due - 1
		for _, n := range f.got {
			last = max(last, n)
		}
		l.settle(f, min(last+1, f.end))
	}
	delete(l.stays, at)
	l.report.Leaves++
}

// settle closes the account of a span, in which the messages before end had to arrive.
func (l *Ledger) settle(f *span, end int) {
	if f.due < 0 {
		return
	}
	for n := f.due; n < end; n++ {
		l.report.Due++
		if !slices.Contains(f.got, n) {
			l.report.Lost++
		}
	}
}

// Arrived enters that a message has arrived, that long after it was published.
func (l *Ledger) Arrived(client, room, publisher, number int, after time.Duration) {
	if room < 0 || room >= len(l.rooms) || publisher < 0 || publisher >= l.publishers || number < 0 || number >= l.rooms[room].sent[publisher] {
		l.report.Astray++
		return
	}
	s := l.stays[place{client, room}]
	if s == nil {
		l.report.Astray++
		return
	}
	f := &s.from[publisher]
	switch {
	case slices.Contains(f.got, number):
		l.report.Twice++
		return
	case f.until >= 0 && number >= f.until:
		l.report.Astray++
		return
	case len(f.got) > 0 && number < slices.Max(f.got):
		l.report.Disordered++
	}
	f.got = append(f.got, number)
	l.report.Arrived++
	l.times.Record(after)
}

// Open reports whether a client has a stay in a room.
func (l *Ledger) Open(client, room int) bool { return l.stays[place{client, room}] != nil }

// Settled reports whether all has arrived that has to, in a stay that there is.
func (l *Ledger) Settled(client, room int) bool {
	s := l.stays[place{client, room}]
	for p, sent := range l.rooms[room].sent {
		f := &s.from[p]
		if f.due < 0 {
			continue
		}
		for n := sent - 1; n >= f.due; n-- {
			if !slices.Contains(f.got, n) {
				return false
			}
		}
	}
	return true
}

// Waiting returns how many of the stays are not settled.
func (l *Ledger) Waiting() (n int) {
	for at := range l.stays {
		if !l.Settled(at.client, at.room) {
			n++
		}
	}
	return n
}

// Close closes all stays that are open, in which everything has to have arrived, and returns what it comes to.
func (l *Ledger) Close() Report {
	for at, s := range l.stays {
		for p := range s.from {
			f := &s.from[p]
			end := l.rooms[at.room].sent[p]
			if f.end >= 0 {
				end = f.end
			}
			l.settle(f, end)
		}
	}
	clear(l.stays)
	l.report.P50, l.report.P99, l.report.Longest = l.times.Quantile(0.5), l.times.Quantile(0.99), l.times.Max()
	return l.report
}
