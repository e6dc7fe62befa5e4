package numbers

import (
	"sync"
	"time"
)

// Bounds of what a [Receiver] keeps.
const (
	maxPublishers = 4096    // whoever may publish could name any number
	maxNotes      = 1 << 16 // messages of one publisher between two beats
	keptNotes     = 1 << 10 // room for so many is not given back
	maxBehind     = 8       // times between two beats of one publisher of which beats were missed
	maxAsks       = 5       // for the same beats
)

// Finding is what a beat has shown.
type Finding struct {
	// Lost is how many messages of the publisher have not come and never will, that were published after Since.
	Lost  uint64
	Since time.Time
	// Unknown says that it is not known how many: Lost is the least.
	Unknown bool
	// Ask is what to ask the publisher for, if its Last is not 0.
	Ask Ask
}

// Ask is what a publisher is to be asked for: its beats from First to Last, which were missed. See [Sender.Again].
type Ask struct {
	Publisher   string
	First, Last uint64
}

// Receiver counts what came of each publisher. The zero value is ready. It is safe for concurrent use, but Came and Beat
// belong in the order of what comes, and so to who receives.
type Receiver struct {
	mu         sync.Mutex
	publishers map[string]*publisher
	rooms      map[Audience]life
	tick       uint64 // grows with all that is to be put in order
	waiting    int    // spans of all publishers that are behind
}

// life is when a room was heard, in ticks.
type life struct{ opening, opened, closed uint64 }

// publisher is what is known of one.
type publisher struct {
	heard  time.Time // when its latest beat came
	latest uint64    // the number of that which is furthest
	now    span      // since that
	behind []*span   // ended before, with beats that were missed
	asked  int       // how often that was asked for
	again  time.Time
}

// span is the time between two beats that came.
type span struct {
	since        time.Time
	began, ended uint64 // in ticks
	first, last  uint64 // numbers of the beats that tell of it
	told         map[uint64]*beat
	notes        []doubt // what came
	over         bool    // more did than was noted
}

// Came notes a message. Those of publishers that do not beat are not noted.
func (r *Receiver) Came(publisher string, to Audience, payload []byte) {
	r.mu.Lock()
	p := r.publishers[publisher]
	r.mu.Unlock()
	switch {
	case p == nil:
	case len(p.now.notes) >= maxNotes:
		p.now.over = true
	default:
		p.now.notes = append(p.now.notes, doubt{to, digestOf(payload)})
	}
}

// Beat takes what a publisher has published as a beat, or answers with, which came at that time. The first of a publisher
// says nothing of what was before.
func (r *Receiver) Beat(from string, payload []byte, now time.Time) (Finding, error) {
	beats, err := parse(payload)
	if err != nil {
		return Finding{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var all Finding
	for _, b := range beats {
		f := r.beat(from, b, now)
		if all.Since.IsZero() || f.Lost > 0 && f.Since.Before(all.Since) {
			all.Since = f.Since
		}
		all.Lost, all.Unknown = all.Lost+f.Lost, all.Unknown || f.Unknown
		if f.Ask.Last > 0 {
			all.Ask = f.Ask
		}
	}
	return all, nil
}

func (r *Receiver) beat(from string, b *beat, now time.Time) Finding {
	p := r.publishers[from]
	switch {
	case p == nil && (b.gone || len(r.publishers) >= maxPublishers):
		return Finding{}
	case p == nil:
		if r.publishers == nil {
			r.publishers = make(map[string]*publisher)
		}
		r.publishers[from] = &publisher{heard: now, latest: b.number, now: r.begin(now, nil)}
		return Finding{}
	}
	p.heard = now
	switch {
	case b.gone:
		return r.giveUp(p)
	case b.number <= p.latest:
		return r.late(p, b)
	}
	s := p.now
	s.ended, s.first, s.last = r.next(), p.latest+1, b.number
	s.tell(b)
	p.latest = b.number
	if s.whole() {
		f := r.judge(&s)
		p.now = r.begin(now, nil)
		if cap(s.notes) <= keptNotes {
			p.now.notes = s.notes[:0]
		}
		return f
	}
	p.now = r.begin(now, nil)
	p.behind = append(p.behind, &s)
	r.waiting++
	p.asked, p.again = 1, now
	if s.last-s.first >= keptBeats || len(p.behind) > maxBehind {
		return r.giveUp(p)
	}
	return Finding{Ask: p.ask(from)}
}

// begin starts a span.
func (r *Receiver) begin(now time.Time, notes []doubt) span {
	return span{since: now, began: r.next(), notes: notes}
}

func (r *Receiver) next() uint64 {
	r.tick++
	return r.tick
}

func (s *span) tell(b *beat) {
	if s.told == nil {
		s.told = make(map[uint64]*beat, 1)
	}
	s.told[b.number] = b
}

func (s *span) whole() bool { return uint64(len(s.told)) == s.last-s.first+1 }

// late takes a beat that was asked for, or has come before.
func (r *Receiver) late(p *publisher, b *beat) (f Finding) {
	for i, s := range p.behind {
		if b.number < s.first || b.number > s.last {
			continue
		}
		if s.tell(b); !s.whole() {
			return Finding{}
		}
		f = r.judge(s)
		p.behind = append(p.behind[:i:i], p.behind[i+1:]...)
		r.caughtUp(1)
		return f
	}
	return Finding{}
}

// giveUp ends the waiting for beats that were missed.
func (r *Receiver) giveUp(p *publisher) Finding {
	n := len(p.behind)
	if n == 0 {
		return Finding{}
	}
	f := Finding{Unknown: true, Since: p.behind[0].since}
	p.behind = nil
	r.caughtUp(n)
	return f
}

// caughtUp notes that so many spans are not waited for any more. Rooms that were closed meanwhile are forgotten with the last.
func (r *Receiver) caughtUp(n int) {
	if r.waiting -= n; r.waiting > 0 {
		return
	}
	for room, l := range r.rooms {
		if l.closed > 0 {
			delete(r.rooms, room)
		}
	}
}

// ask returns which beats are missing.
func (p *publisher) ask(name string) Ask {
	a := Ask{Publisher: name}
	for _, s := range p.behind {
		for n := s.first; n <= s.last; n++ {
			if s.told[n] == nil {
				if a.Last = n; a.First == 0 {
					a.First = n
				}
			}
		}
	}
	return a
}

// Asks returns what publishers are to be asked for again, as they have not answered for a second, and what was given up. It
// is to be called about once a second.
func (r *Receiver) Asks(now time.Time) (asks []Ask, givenUp []Finding) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == 0 {
		return nil, nil
	}
	for name, p := range r.publishers {
		if len(p.behind) == 0 || now.Sub(p.again) < time.Second {
			continue
		}
		if p.again = now; p.asked >= maxAsks {
			givenUp = append(givenUp, r.giveUp(p))
			continue
		}
		p.asked++
		asks = append(asks, p.ask(name))
	}
	return asks, givenUp
}

// judge compares what came with what was told.
func (r *Receiver) judge(s *span) Finding {
	f := Finding{Since: s.since, Unknown: s.over}
	if s.over {
		return f
	}
	published := make(map[Audience]uint64)
	doubts := make(map[doubt]int)
	for _, b := range s.told {
		f.Unknown = f.Unknown || b.vague
		published[All] += b.all
		for _, c := range b.rooms {
			published[c.room] += c.n
		}
		for _, d := range b.doubts {
			doubts[d]++
		}
	}
	if len(doubts) > 0 {
		s.forget(doubts)
	}
	came := make(map[Audience]uint64)
	for _, n := range s.notes {
		came[n.to]++
	}
	for to, n := range published {
		if n > came[to] && (to == All || r.heard(to, s)) {
			f.Lost += n - came[to]
		}
	}
	return f
}

// forget takes what came of messages in doubt out of the notes: it was not counted by the publisher. If more came than are
// in doubt, there are others just like it; then it does not matter which of them came.
func (s *span) forget(doubts map[doubt]int) {
	more := make(map[doubt]int)
	for _, n := range s.notes {
		if doubts[n] > 0 {
			more[n]++
		}
	}
	kept := s.notes[:0]
	for _, n := range s.notes {
		if c := more[n]; c == 0 || c > doubts[n] {
			kept = append(kept, n)
		}
	}
	s.notes = kept
}

// heard reports whether a room was heard in the whole of a span.
func (r *Receiver) heard(room Audience, s *span) bool {
	l := r.rooms[room]
	return l.opened > 0 && l.opened < s.began && (l.closed == 0 || l.closed > s.ended)
}

// Opening notes that this node begins to subscribe to a room, and returns what Opened wants to know.
func (r *Receiver) Opening(room Audience) (opening uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rooms == nil {
		r.rooms = make(map[Audience]life)
	}
	l := life{opening: r.next()}
	r.rooms[room] = l
	return l.opening
}

// Opened notes that the broker has confirmed it, unless the room was closed meanwhile.
func (r *Receiver) Opened(room Audience, opening uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.rooms[room]; l.opening == opening && l.opened == 0 && l.closed == 0 {
		l.opened = r.next()
		r.rooms[room] = l
	}
}

// Closed notes that this node is about to unsubscribe from a room, or hears nothing of it any more.
func (r *Receiver) Closed(room Audience) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l, ok := r.rooms[room]
	if !ok || r.waiting == 0 {
		delete(r.rooms, room)
		return
	}
	l.closed = r.next()
	r.rooms[room] = l
}

// Knows reports whether a publisher's beats come.
func (r *Receiver) Knows(publisher string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.publishers[publisher] != nil
}

// Gone forgets a publisher.
func (r *Receiver) Gone(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.publishers[name]; p != nil {
		r.giveUp(p)
		delete(r.publishers, name)
	}
}

// Forget is Gone for all publishers of which nothing has come since then, which it returns.
func (r *Receiver) Forget(since time.Time) (names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, p := range r.publishers {
		if p.heard.Before(since) {
			r.giveUp(p)
			delete(r.publishers, name)
			names = append(names, name)
		}
	}
	return names
}
