package eventlog

import (
	"container/heap"
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// SessionLimits bound [Sessions]. Zero means that nothing is kept.
type SessionLimits struct {
	Age   time.Duration // of a session
	Count int           // of sessions
	Bytes int           // of sessions together
}

// Sessions keeps what is needed of members that went away, for as long as they may come back. It is bounded in age, number
// and bytes. When it is full, the oldest goes of the address that has the most: one client that comes and goes pushes out
// what it has left itself. Create it with [NewSessions]. All methods are safe for concurrent use.
type Sessions[T comparable] struct {
	limits    SessionLimits
	forgotten func(T)

	mu        sync.Mutex // protects the following
	saved     uint64
	bytes     int
	byID      map[string]*session[T]
	order     list.List // of sessions, oldest first
	addresses map[netip.Addr]*address[T]
	crowd     crowd[T]
	timer     *time.Timer
	closed    bool
}

type session[T comparable] struct {
	id      string
	value   T
	size    int
	gone    time.Time
	number  uint64 // of sessions saved before it
	from    *address[T]
	all, of *list.Element // its places among all and among those of the address
}

// address has the sessions of one address, oldest first.
type address[T comparable] struct {
	addr     netip.Addr
	sessions list.List
	at       int // its place in the crowd
}

func (a *address[T]) oldest() *session[T] { return a.sessions.Front().Value.(*session[T]) }

// crowd is a heap of addresses with the one that has the most on top, and of several the one that has an older one.
type crowd[T comparable] []*address[T]

func (c crowd[T]) Len() int { return len(c) }

func (c crowd[T]) Less(i, j int) bool {
	if n, m := c[i].sessions.Len(), c[j].sessions.Len(); n != m {
		return n > m
	}
	return c[i].oldest().number < c[j].oldest().number
}

func (c crowd[T]) Swap(i, j int) {
	c[i], c[j] = c[j], c[i]
	c[i].at, c[j].at = i, j
}

// Push implements [heap.Interface].
func (c *crowd[T]) Push(x any) {
	a := x.(*address[T])
	a.at = len(*c)
	*c = append(*c, a)
}

// Pop implements [heap.Interface].
func (c *crowd[T]) Pop() any {
	last := len(*c) - 1
	a := (*c)[last]
	(*c)[last] = nil
	*c = (*c)[:last]
	return a
}

// NewSessions returns an empty store. It calls forgotten, which must not call it, with each session whose time is over or
// that has to go for others.
func NewSessions[T comparable](limits SessionLimits, forgotten func(T)) *Sessions[T] {
	return &Sessions[T]{limits: limits, forgotten: forgotten,
		byID: make(map[string]*session[T]), addresses: make(map[netip.Addr]*address[T])}
}

// Save keeps v, which takes size bytes and has come from that address, under id, in place of what was kept there. It returns
// false if another had to go for it, or v itself because it alone is too large.
func (s *Sessions[T]) Save(id string, v T, size int, from netip.Addr) (room bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return true
	}
	if old := s.byID[id]; old != nil {
		s.remove(old)
	}
	if size > s.limits.Bytes || s.limits.Count < 1 {
		s.forgotten(v)
		return false
	}
	a := s.addresses[from]
	fresh := a == nil
	if fresh {
		a = &address[T]{addr: from}
		s.addresses[from] = a
	}
	k := &session[T]{id: id, value: v, size: size, gone: time.Now(), number: s.saved, from: a}
	s.saved++
	k.all, k.of = s.order.PushBack(k), a.sessions.PushBack(k)
	if fresh {
		heap.Push(&s.crowd, a)
	} else {
		heap.Fix(&s.crowd, a.at)
	}
	s.byID[id] = k
	s.bytes += size
	room = true
	for len(s.byID) > s.limits.Count || s.bytes > s.limits.Bytes {
		s.drop(s.crowd[0].oldest())
		room = false
	}
	if s.timer == nil {
		s.timer = time.AfterFunc(s.limits.Age, s.expire)
	}
	return room
}

// Get returns what is kept under id.
func (s *Sessions[T]) Get(id string) (v T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.byID[id]
	if k == nil || time.Since(k.gone) > s.limits.Age {
		return v, false
	}
	return k.value, true
}

// Remove removes v from under id. Something else that is kept there stays.
func (s *Sessions[T]) Remove(id string, v T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.byID[id]; k != nil && k.value == v {
		s.remove(k)
	}
}

// Len returns how many are kept.
func (s *Sessions[T]) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byID)
}

// Most returns how many are kept of the address that has the most.
func (s *Sessions[T]) Most() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.crowd) == 0 {
		return 0
	}
	return s.crowd[0].sessions.Len()
}

// Close removes all, and keeps nothing from now on.
func (s *Sessions[T]) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	clear(s.byID)
	clear(s.addresses)
	s.order.Init()
	s.crowd, s.bytes = nil, 0
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

// drop removes k and says so.
func (s *Sessions[T]) drop(k *session[T]) {
	s.remove(k)
	s.forgotten(k.value)
}

func (s *Sessions[T]) remove(k *session[T]) {
	delete(s.byID, k.id)
	s.bytes -= k.size
	s.order.Remove(k.all)
	a := k.from
	if a.sessions.Len() > 1 {
		a.sessions.Remove(k.of)
		heap.Fix(&s.crowd, a.at)
		return
	}
	heap.Remove(&s.crowd, a.at)
	delete(s.addresses, a.addr)
}

// expire forgets those whose time is over, and comes back for the next, but not for each of many.
func (s *Sessions[T]) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.order.Len() > 0 {
		oldest := s.order.Front().Value.(*session[T])
		left := s.limits.Age - time.Since(oldest.gone)
		if left > 0 && !s.closed {
			s.timer.Reset(max(left, s.limits.Age/16))
			return
		}
		s.drop(oldest)
	}
	s.timer = nil
}
