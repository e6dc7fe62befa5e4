package ledger

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// Topic is the state of a topic whose batches lie at places of type P. All methods are safe for concurrent use, but Begin,
// Commit and Undo, which are for one goroutine at a time. Create it with [New] or [Restore].
type Topic[P any] struct {
	mu      sync.Mutex // protects the following
	policy  eventlog.Policy
	spans   []Span[P] // that are kept, oldest first
	bounds  eventlog.TopicBounds
	gone    error         // why it cannot be used any more
	changed chan struct{} // closed with the next change; nil if nobody waits

	next begun // what has begun, committed or not
}

// Span is a batch that is kept.
type Span[P any] struct {
	First message.Offset // of the first item; the others have the next numbers of the same millisecond
	Prev  message.Offset // before the first
	N     int            // how many items
	Bytes int64
	At    P
}

// Last returns the offset of the last item, or the zero offset if there is none.
func (s *Span[P]) Last() message.Offset {
	if s.N == 0 {
		return message.Offset{}
	}
	return message.Offset{Ms: s.First.Ms, Seq: s.First.Seq + uint64(s.N) - 1}
}

// begun is what decides about the next batch.
type begun struct {
	top       message.Offset
	ended     bool
	producers memory[producer]
	keys      memory[keyed]
}

// producer is what is known of one.
type producer struct {
	Epoch, Seq  uint64
	First, Last message.Offset // of its last batch
}

// keyed is a batch that had a key.
type keyed struct{ First, Last message.Offset }

// New returns an empty topic that begins behind after, or now if that is later.
func New[P any](p eventlog.Policy, after message.Offset, now time.Time) *Topic[P] {
	floor := message.Offset{Ms: millis(now)}
	if floor.Compare(after) <= 0 {
		floor = message.Offset{Ms: after.Ms, Seq: after.Seq + 1}
	}
	t := &Topic[P]{policy: p, next: newBegun()}
	t.bounds.Floor, t.bounds.Top, t.next.top = floor, floor, floor
	return t
}

func newBegun() begun {
	return begun{producers: newMemory[producer](0, eventlog.MaxProducers), keys: newMemory[keyed](eventlog.KeyAge, eventlog.MaxKeys)}
}

func millis(t time.Time) uint64 { return uint64(max(t.UnixMilli(), 0)) }

// Step is an append that has begun.
type Step struct {
	Appended eventlog.Appended
	Prev     message.Offset // before the first item
	N        int
	Bytes    int64
	End      bool
	Time     uint64 // in milliseconds

	before func() // undoes it
}

// Place gives items, which are those of the step, their offsets.
func (s *Step) Place(items []eventlog.Item) {
	o, prev := s.Appended.First, s.Prev
	for i := range items {
		items[i].Offset, items[i].Prev = o, prev
		prev = o
		o.Seq++
	}
}

// Begin decides about b at the time now: what it gets, or why it is refused. A duplicate has nothing to be written.
func (t *Topic[P]) Begin(b *eventlog.Batch, now time.Time) (*Step, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gone != nil {
		return nil, t.gone
	}
	s := &Step{N: len(b.Items), End: b.End, Prev: t.next.top, Time: millis(now), before: func() {}}
	if known, ok := t.next.keys.get(b.Key, s.Time); ok {
		s.Appended = eventlog.Appended{First: known.First, Last: known.Last, Duplicate: true}
		return s, nil
	}
	duplicate, err := t.number(b, s)
	if err != nil || duplicate {
		return s, err
	}
	if t.next.ended {
		return nil, eventlog.ErrEnded
	}
	for i := range b.Items {
		s.Bytes += b.Items[i].Size()
	}
	if err := t.fits(s); err != nil {
		return nil, err
	}
	if s.N > 0 {
		s.Appended.First = after(t.next.top, s.Time)
		s.Appended.Last = message.Offset{Ms: s.Appended.First.Ms, Seq: s.Appended.First.Seq + uint64(s.N) - 1}
	}
	t.begin(b.Key, b.Producer, b.Epoch, b.Seq, s)
	return s, nil
}

// number compares the number of a batch with those its producer has sent.
func (t *Topic[P]) number(b *eventlog.Batch, s *Step) (duplicate bool, err error) {
	if b.Producer == "" {
		return false, nil
	}
	p, known := t.next.producers.get(b.Producer, s.Time)
	var expected uint64
	switch {
	case known && b.Epoch < p.Epoch:
		return false, &eventlog.FencedError{Producer: b.Producer, Epoch: b.Epoch, Current: p.Epoch}
	case known && b.Epoch == p.Epoch && b.Seq <= p.Seq:
		s.Appended.Duplicate, s.Appended.Seq = true, p.Seq
		if b.Seq == p.Seq {
			s.Appended.First, s.Appended.Last = p.First, p.Last
		}
		return true, nil
	case known && b.Epoch == p.Epoch:
		expected = p.Seq + 1
	}
	if b.Seq != expected {
		return false, &eventlog.SequenceError{Producer: b.Producer, Seq: b.Seq, Expected: expected, NewEpoch: known && b.Epoch > p.Epoch}
	}
	s.Appended.Seq = b.Seq
	return false, nil
}

// fits refuses what would be trimmed at once.
func (t *Topic[P]) fits(s *Step) error {
	if t.policy.Count > 0 && s.N > t.policy.Count || t.policy.Bytes > 0 && s.Bytes > t.policy.Bytes {
		return fmt.Errorf("%w: %d items of %d bytes are more than the topic keeps", eventlog.ErrInvalid, s.N, s.Bytes)
	}
	return nil
}

// after returns the offset behind top at a time.
func after(top message.Offset, ms uint64) message.Offset {
	if ms > top.Ms {
		return message.Offset{Ms: ms}
	}
	return message.Offset{Ms: top.Ms, Seq: top.Seq + 1}
}

// begin notes what has begun, and how it is undone.
func (t *Topic[P]) begin(key, name string, epoch, seq uint64, s *Step) {
	top, ended := t.next.top, t.next.ended
	undoKey, undoProducer := func() {}, func() {}
	if key != "" {
		undoKey = t.next.keys.put(key, keyed{s.Appended.First, s.Appended.Last}, s.Time)
	}
	if name != "" {
		undoProducer = t.next.producers.put(name, producer{epoch, seq, s.Appended.First, s.Appended.Last}, s.Time)
	}
	if s.N > 0 {
		t.next.top = s.Appended.Last
	}
	t.next.ended = ended || s.End
	s.before = func() {
		t.next.top, t.next.ended = top, ended
		undoProducer()
		undoKey()
	}
}

// Undo takes a step back. Those that have begun after it were taken back before.
func (t *Topic[P]) Undo(s *Step) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.before()
}

// Commit shows a step to readers, and trims what the policy says.
func (t *Topic[P]) Commit(s *Step, at P) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.Appended.Duplicate {
		return
	}
	if s.N > 0 {
		t.add(Span[P]{First: s.Appended.First, Prev: s.Prev, N: s.N, Bytes: s.Bytes, At: at})
	}
	t.bounds.Ended = t.bounds.Ended || s.End
	t.trim(s.Time)
	t.notify()
}

func (t *Topic[P]) add(s Span[P]) {
	t.spans = append(t.spans, s)
	t.bounds.Top = s.Last()
	t.bounds.Count += s.N
	t.bounds.Bytes += int(s.Bytes)
}

func (t *Topic[P]) notify() {
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}

// trim forgets what the policy does not keep at a time.
func (t *Topic[P]) trim(now uint64) {
	n, b := 0, t.bounds
	oldest := uint64(0)
	if age := uint64(t.policy.Age / time.Millisecond); t.policy.Age > 0 && now > age {
		oldest = now - age
	}
	for n < len(t.spans) {
		s := &t.spans[n]
		if !(t.policy.Count > 0 && b.Count > t.policy.Count || t.policy.Bytes > 0 && int64(b.Bytes) > t.policy.Bytes || s.First.Ms < oldest) {
			break
		}
		b.Count -= s.N
		b.Bytes -= int(s.Bytes)
		n++
	}
	t.drop(n)
}

// drop forgets the oldest n spans.
func (t *Topic[P]) drop(n int) {
	for i := range n {
		s := &t.spans[i]
		t.bounds.Floor = s.Last()
		t.bounds.Count -= s.N
		t.bounds.Bytes -= int(s.Bytes)
	}
	if n > 0 {
		clear(t.spans[:n])
		t.spans = t.spans[n:] // append moves them to another array in time
	}
}

// Trim forgets what the policy does not keep any more at the time now, and spans that are up to floor as a whole. It reports
// whether it did.
func (t *Topic[P]) Trim(floor message.Offset, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := len(t.spans)
	n, _ := slices.BinarySearchFunc(t.spans, floor, func(s Span[P], floor message.Offset) int {
		if s.Last().Compare(floor) <= 0 {
			return -1
		}
		return 1
	})
	t.drop(n)
	t.trim(millis(now))
	return len(t.spans) < before
}

// Policy returns what the topic keeps.
func (t *Topic[P]) Policy() eventlog.Policy {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.policy
}

// SetPolicy changes what the topic keeps, at the time now.
func (t *Topic[P]) SetPolicy(p eventlog.Policy, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.policy = p
	t.trim(millis(now))
}

// Bounds returns what the topic covers.
func (t *Topic[P]) Bounds() (eventlog.TopicBounds, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bounds, t.gone
}

// Find returns the spans behind after, at most so many that they have n items or one span more, and how many items of the
// first are not behind it. The spans are a copy.
func (t *Topic[P]) Find(after message.Offset, n int) (spans []Span[P], skip int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gone != nil {
		return nil, 0, t.gone
	}
	if after.IsZero() {
		after = t.bounds.Floor
	}
	if err := t.bounds.Cover(after); err != nil {
		return nil, 0, err
	}
	from, _ := slices.BinarySearchFunc(t.spans, after, func(s Span[P], after message.Offset) int {
		if s.Last().Compare(after) <= 0 {
			return -1
		}
		return 1
	})
	to := from
	for found := 0; to < len(t.spans) && found < n; to++ {
		found += t.spans[to].N
	}
	if from < to {
		if first := t.spans[from].First; after.Ms == first.Ms && after.Seq >= first.Seq {
			skip = int(after.Seq - first.Seq + 1)
		}
	}
	return slices.Clone(t.spans[from:to]), skip, nil
}

// Wait returns when there is something behind after, or there never will be.
func (t *Topic[P]) Wait(ctx context.Context, after message.Offset) error {
	for {
		t.mu.Lock()
		if t.gone != nil || t.bounds.Ended || t.bounds.Top.Compare(after) > 0 {
			defer t.mu.Unlock()
			return t.gone
		}
		if t.changed == nil {
			t.changed = make(chan struct{})
		}
		changed := t.changed
		t.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("eventlog: wait: %w", ctx.Err())
		}
	}
}

// Leave ends all use of the topic: whatever is asked is answered with err.
func (t *Topic[P]) Leave(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gone == nil {
		t.gone = err
	}
	t.notify()
}
