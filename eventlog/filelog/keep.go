package filelog

import (
	"context"
	"time"

	"github.com/peal-dev/peal/eventlog/internal/ledger"
	"github.com/peal-dev/peal/internal/journal"
	"github.com/peal-dev/peal/message"
)

// span is a batch of a topic.
type span = ledger.Span[journal.Position]

// spanCost is about what a batch takes in the journal beside its items.
const spanCost = 128

// keep trims topics that nobody uses, and gives back what the journal does not need, until ctx ends.
func (s *Store) keep(ctx context.Context) {
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-s.full:
		case <-ctx.Done():
			return
		}
		for _, t := range s.all() {
			t.Topic.Trim(message.Offset{}, time.Now())
		}
		s.compact(ctx)
	}
}

// needRoom has what can be deleted be deleted soon.
func (s *Store) needRoom() {
	select {
	case s.full <- struct{}{}:
	default:
	}
}

// compact deletes segments from the front. What is still needed of one is written again before, if that is little enough: the
// journal is at most about twice what the topics keep, and two segments. Errors are left for those who append: the next one
// meets them too.
func (s *Store) compact(ctx context.Context) {
	bases, end := s.journal.Segments()
	for i := 0; i+2 < len(bases) && ctx.Err() == nil; i++ {
		limit := bases[i+1]
		topics := s.all()
		var live, front int64
		for _, t := range topics {
			b, _ := t.Topic.Bounds()
			live += int64(b.Bytes) + int64(t.Len())*spanCost
			for _, sp := range t.before(limit) {
				front += sp.Bytes + spanCost
			}
		}
		tight := s.journal.Stats().Bytes >= s.options.Bytes-s.options.SegmentSize
		worth := int64(end-bases[i]) > 2*live+2*s.options.SegmentSize || tight && front < s.options.SegmentSize/2
		if front > 0 && !worth {
			return
		}
		if !s.rewrite(ctx, topics, limit) {
			return
		}
		if _, err := s.journal.DropBefore(limit); err != nil {
			return
		}
		_, end = s.journal.Segments()
	}
}

// before returns the spans of a topic that lie before a position.
func (t *topic) before(limit journal.Position) []span {
	return t.Where(func(sp span) bool { return sp.At < limit })
}

// rewrite writes again what topics have before limit, and returns when it is on the disk, or false.
func (s *Store) rewrite(ctx context.Context, topics []*topic, limit journal.Position) bool {
	for _, t := range topics {
		for _, sp := range t.before(limit) {
			if s.journal.Submit(ctx, journal.InOS, int(sp.Bytes), &moving{t: t, span: sp}) != nil {
				return false
			}
		}
		if journal.Position(t.stated.Load()) < limit {
			r := &statement{s: s, name: t.name, only: t}
			if err := s.journal.Submit(ctx, journal.InOS, 0, r); err != nil && !t.deleted() {
				return false
			}
		}
	}
	return s.journal.Submit(ctx, journal.OnDisk, 0, nothing{}) == nil
}

func (t *topic) deleted() bool {
	_, err := t.Topic.Bounds()
	return err != nil
}

// moving writes a batch again, behind the end of the journal.
type moving struct {
	t    *topic
	span span
}

// Append implements [journal.Record].
func (m *moving) Append(dst []byte) ([]byte, error) {
	if at, kept := m.t.At(m.span.First); !kept || at != m.span.At || m.t.leaving || m.t.deleted() {
		return dst, nil
	}
	record, err := m.t.s.journal.Read(m.span.At, nil)
	if err != nil {
		return dst, err
	}
	name, e, err := parseEntry(record)
	if err != nil {
		return dst, err
	}
	return appendMoved(dst, name, &e), nil
}

// Done implements [journal.Record].
func (m *moving) Done(at journal.Position, err error) {
	if err == nil && at > 0 {
		m.t.Move(m.span.First, at)
	}
}

// nothing waits until everything before it is on the disk.
type nothing struct{}

// Append implements [journal.Record].
func (nothing) Append(dst []byte) ([]byte, error) { return dst, nil }

// Done implements [journal.Record].
func (nothing) Done(journal.Position, error) {}
