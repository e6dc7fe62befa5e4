package ledger

import (
	"slices"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// State is all of a topic but its items.
type State struct {
	Policy     eventlog.Policy
	Floor, Top message.Offset
	Ended      bool
	Producers  []Producer // oldest first, as Keys
	Keys       []Key
}

// Producer is what is known of a producer.
type Producer struct {
	Name        string
	Epoch, Seq  uint64
	First, Last message.Offset // of its last batch
	Time        uint64         // in milliseconds
}

// Key is a batch that had a key.
type Key struct {
	Name        string
	First, Last message.Offset
	Time        uint64 // in milliseconds
}

// State returns the state with all that has begun.
func (t *Topic[P]) State() State {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := State{Policy: t.policy, Floor: t.bounds.Floor, Top: t.next.top, Ended: t.next.ended}
	t.next.producers.all(func(name string, p producer, at uint64) {
		s.Producers = append(s.Producers, Producer{name, p.Epoch, p.Seq, p.First, p.Last, at})
	})
	t.next.keys.all(func(name string, k keyed, at uint64) {
		s.Keys = append(s.Keys, Key{name, k.First, k.Last, at})
	})
	return s
}

// Restore returns a topic with that state and no items.
func Restore[P any](s State) *Topic[P] {
	t := &Topic[P]{}
	t.bounds.Floor = s.Floor
	t.Overwrite(s)
	return t
}

// Overwrite gives a topic a later state of itself, and leaves the items that are there by that.
func (t *Topic[P]) Overwrite(s State) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.policy = s.Policy
	t.next = newBegun()
	for _, p := range s.Producers {
		t.next.producers.put(p.Name, producer{p.Epoch, p.Seq, p.First, p.Last}, p.Time)
	}
	for _, k := range s.Keys {
		t.next.keys.put(k.Name, keyed{k.First, k.Last}, k.Time)
	}
	n := 0
	for n < len(t.spans) && t.spans[n].Last().Compare(s.Floor) <= 0 {
		n++
	}
	t.drop(n)
	if t.bounds.Floor.Compare(s.Floor) < 0 {
		t.bounds.Floor = s.Floor
	}
	t.reach(s.Top, s.Ended)
}

// reach notes how far the topic has come.
func (t *Topic[P]) reach(top message.Offset, ended bool) {
	if t.bounds.Top.Compare(top) < 0 {
		t.bounds.Top = top
	}
	t.bounds.Ended = t.bounds.Ended || ended
	t.next.top, t.next.ended = t.bounds.Top, t.bounds.Ended
}

// Past is a batch that was appended, as a store has noted it.
type Past[P any] struct {
	Span[P]
	Time          uint64 // in milliseconds
	Key, Producer string
	Epoch, Seq    uint64
	End           bool
}

// Replay adds a batch that was appended in the past. One that is there already gets its new place.
func (t *Topic[P]) Replay(p Past[P]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var first, last message.Offset
	if p.N > 0 {
		first, last = p.First, p.Last()
	}
	if p.Key != "" {
		t.next.keys.put(p.Key, keyed{first, last}, p.Time)
	}
	if p.Producer != "" {
		t.next.producers.put(p.Producer, producer{p.Epoch, p.Seq, first, last}, p.Time)
	}
	if p.N > 0 && last.Compare(t.bounds.Floor) > 0 {
		i, found := t.find(first)
		if found {
			t.spans[i].At = p.At
		} else {
			t.spans = slices.Insert(t.spans, i, p.Span)
			t.bounds.Count += p.N
			t.bounds.Bytes += int(p.Bytes)
		}
	}
	t.reach(last, p.End)
}

// Settle ends Replay. What came before a gap is forgotten, and the floor is where the rest begins: that it was kept once does
// not mean that it is.
func (t *Topic[P]) Settle() {
	t.mu.Lock()
	defer t.mu.Unlock()
	gap := 0
	for i := 1; i < len(t.spans); i++ {
		if t.spans[i].Prev != t.spans[i-1].Last() {
			gap = i
		}
	}
	t.drop(gap)
	floor := t.bounds.Top
	if len(t.spans) > 0 {
		floor = t.spans[0].Prev
		if last := t.spans[len(t.spans)-1].Last(); last != t.bounds.Top { // the end is missing
			t.drop(len(t.spans))
			floor = t.bounds.Top
		}
	}
	if t.bounds.Floor.Compare(floor) < 0 {
		t.bounds.Floor = floor
	}
}

// find returns where the span is that begins at first, or would be.
func (t *Topic[P]) find(first message.Offset) (i int, found bool) {
	return slices.BinarySearchFunc(t.spans, first, func(s Span[P], first message.Offset) int { return s.First.Compare(first) })
}

// At returns where the span is that begins at first, if it is kept.
func (t *Topic[P]) At(first message.Offset) (at P, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, found := t.find(first)
	if !found {
		return at, false
	}
	return t.spans[i].At, true
}

// Move notes that the span that begins at first is at another place.
func (t *Topic[P]) Move(first message.Offset, at P) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i, found := t.find(first); found {
		t.spans[i].At = at
	}
}

// Where returns the spans for which want is true. The slice is the caller's.
func (t *Topic[P]) Where(want func(Span[P]) bool) (spans []Span[P]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.spans {
		if want(s) {
			spans = append(spans, s)
		}
	}
	return spans
}

// Len returns how many spans are kept.
func (t *Topic[P]) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.spans)
}
