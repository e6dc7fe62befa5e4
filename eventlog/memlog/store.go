package memlog

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/eventlog/internal/ledger"
	"github.com/peal-dev/peal/message"
)

// Store is an [eventlog.Store] in memory. An acknowledgement promises nothing beyond the life of the process, whatever its
// durability. Create it with [New].
type Store struct {
	mu     sync.Mutex // protects the following
	topics map[string]*topic
	latest message.Offset // of topics that were deleted
	closed bool
}

var _ eventlog.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store { return &Store{topics: map[string]*topic{}} }

// Topic implements [eventlog.Store].
func (s *Store) Topic(ctx context.Context, name string, p *eventlog.Policy) (eventlog.Topic, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("eventlog: topic %q: %w", name, err)
	}
	if err := eventlog.CheckName("topic", name); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, eventlog.ErrStoreClosed
	}
	t := s.topics[name]
	switch {
	case t == nil:
		t = &topic{Topic: ledger.New[[]eventlog.Item](p.WithDefaults(), s.latest, time.Now())}
		s.topics[name] = t
	case p != nil:
		t.SetPolicy(p.WithDefaults(), time.Now())
	}
	return t, nil
}

// Delete implements [eventlog.Store].
func (s *Store) Delete(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return eventlog.ErrStoreClosed
	}
	if t := s.topics[name]; t != nil {
		if b, _ := t.Topic.Bounds(); b.Top.Compare(s.latest) > 0 {
			s.latest = b.Top
		}
		t.Leave(eventlog.ErrDeleted)
		delete(s.topics, name)
	}
	return nil
}

// Topics implements [eventlog.Store].
func (s *Store) Topics(context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, eventlog.ErrStoreClosed
	}
	return slices.Sorted(maps.Keys(s.topics)), nil
}

// Close implements [eventlog.Store].
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, t := range s.topics {
		t.Leave(eventlog.ErrStoreClosed)
	}
	clear(s.topics)
	return nil
}

// topic is a topic whose spans lie in the ledger itself.
type topic struct {
	*ledger.Topic[[]eventlog.Item]
	mu sync.Mutex // one append at a time
}

// Append implements [eventlog.Topic].
func (t *topic) Append(ctx context.Context, b *eventlog.Batch) (eventlog.Appended, error) {
	if err := ctx.Err(); err != nil {
		return eventlog.Appended{}, fmt.Errorf("eventlog: append: %w", err)
	}
	if err := b.Check(); err != nil {
		return eventlog.Appended{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s, err := t.Begin(b, time.Now())
	if err != nil {
		return eventlog.Appended{}, err
	}
	items := slices.Clone(b.Items)
	s.Place(items)
	t.Commit(s, items)
	return s.Appended, nil
}

// Read implements [eventlog.Topic].
func (t *topic) Read(ctx context.Context, after message.Offset, n int) ([]eventlog.Item, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("eventlog: read: %w", err)
	}
	t.Topic.Trim(message.Offset{}, time.Now())
	spans, skip, err := t.Find(after, n)
	if err != nil {
		return nil, err
	}
	var items []eventlog.Item
	for _, s := range spans {
		items = append(items, s.At...)
	}
	return items[skip:], nil
}

// Bounds implements [eventlog.Topic].
func (t *topic) Bounds(context.Context) (eventlog.TopicBounds, error) {
	t.Topic.Trim(message.Offset{}, time.Now())
	return t.Topic.Bounds()
}

// Trim implements [eventlog.Topic].
func (t *topic) Trim(_ context.Context, floor message.Offset) error {
	t.Topic.Trim(floor, time.Now())
	_, err := t.Topic.Bounds()
	return err
}
