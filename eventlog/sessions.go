package eventlog

import (
	"sync"
	"time"
)

// Sessions keeps what is needed of members that went away, for as long as they may come back. Each can be taken once.
// It is bounded in age, number and bytes; the oldest goes first. Create it with [NewSessions]. All methods are safe for
// concurrent use.
type Sessions[T any] struct {
	age   time.Duration
	count int
	limit int // of bytes

	mu     sync.Mutex // protects the following
	bytes  int
	byID   map[string]session[T]
	order  []departure // oldest first; of those that were taken too, until their time is over
	timer  *time.Timer
	closed bool
}

type session[T any] struct {
	value T
	size  int
	gone  time.Time
}

type departure struct {
	id   string
	gone time.Time
}

// NewSessions returns an empty store for count sessions of so many bytes together, which forgets each when it is older than
// age.
func NewSessions[T any](age time.Duration, count, bytes int) *Sessions[T] {
	return &Sessions[T]{age: age, count: count, limit: bytes, byID: make(map[string]session[T])}
}

// Save keeps v, which takes size bytes, under id, in place of what was kept there. It returns false if another had to go for
// it, or v itself because it alone is too large.
func (s *Sessions[T]) Save(id string, v T, size int) (room bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return true
	}
	now := time.Now()
	s.forget(id)
	s.byID[id] = session[T]{v, size, now}
	s.bytes += size
	s.order = append(s.order, departure{id, now})
	room = true
	for len(s.byID) > s.count || s.bytes > s.limit {
		s.drop()
		room = false
	}
	if len(s.order) > 2*s.count { // most were taken
		s.compact()
	}
	if s.timer == nil {
		s.timer = time.AfterFunc(s.age, s.expire)
	}
	return room
}

// Take returns what is kept under id and forgets it.
func (s *Sessions[T]) Take(id string) (v T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, ok := s.byID[id]
	s.forget(id)
	if !ok || time.Since(kept.gone) > s.age {
		return v, false
	}
	return kept.value, true
}

// Len returns how many are kept.
func (s *Sessions[T]) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byID)
}

// Close forgets all, and keeps nothing from now on.
func (s *Sessions[T]) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	clear(s.byID)
	s.order, s.bytes = nil, 0
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

// drop forgets the first in the order.
func (s *Sessions[T]) drop() {
	d := s.order[0]
	s.order[0] = departure{}
	s.order = s.order[1:]
	if s.current(d) {
		s.forget(d.id)
	}
}

// forget forgets what is kept under id, if there is anything.
func (s *Sessions[T]) forget(id string) {
	s.bytes -= s.byID[id].size
	delete(s.byID, id)
}

// current reports whether d is of what is kept, and not of what was there before under the same id.
func (s *Sessions[T]) current(d departure) bool {
	kept, ok := s.byID[d.id]
	return ok && kept.gone.Equal(d.gone)
}

func (s *Sessions[T]) compact() {
	left := make([]departure, 0, len(s.byID))
	for _, d := range s.order {
		if s.current(d) {
			left = append(left, d)
		}
	}
	s.order = left
}

// expire forgets those whose time is over, and comes back for the next, but not for each of many.
func (s *Sessions[T]) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.order) > 0 && time.Since(s.order[0].gone) >= s.age {
		s.drop()
	}
	if s.closed || len(s.order) == 0 {
		s.timer = nil
		return
	}
	s.timer.Reset(max(s.age-time.Since(s.order[0].gone), s.age/16))
}
