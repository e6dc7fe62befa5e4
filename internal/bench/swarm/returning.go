package swarm

import (
	"container/heap"
	"time"
)

// absence is a client that will connect again.
type absence struct {
	until  time.Time
	client int
	failed int // attempts since it was ready last, the next included
}

// absences is a heap: who comes back first is first.
type absences []absence

// Len implements heap.Interface.
func (a absences) Len() int { return len(a) }

// Less implements heap.Interface.
func (a absences) Less(i, j int) bool { return a[i].until.Before(a[j].until) }

// Swap implements heap.Interface.
func (a absences) Swap(i, j int) { a[i], a[j] = a[j], a[i] }

// Push implements heap.Interface.
func (a *absences) Push(x any) { *a = append(*a, x.(absence)) }

// Pop implements heap.Interface.
func (a *absences) Pop() any {
	last := len(*a) - 1
	x := (*a)[last]
	*a = (*a)[:last]
	return x
}

// Present returns how many clients are ready now.
func (s *Swarm) Present() int { return s.ready }

// leave notes that a client was lost, and when it comes back.
func (s *Swarm) leave(c *Client) {
	if c.state == ready {
		s.ready--
	}
	failed := c.failed + 1
	heap.Push(&s.away, absence{time.Now().Add(s.cfg.Return(c.Index, failed)), c.Index, failed})
}

// returning has those connect again whose time has come, and returns how long the next one has.
func (s *Swarm) returning(now time.Time) (next time.Duration, err error) {
	for len(s.away) > 0 {
		if next := s.away[0].until.Sub(now); next > 0 {
			return next, nil
		}
		a := heap.Pop(&s.away).(absence)
		fresh, err := s.connect(a.client)
		if err != nil {
			return 0, err
		}
		fresh.again = true
		fresh.failed = a.failed
		s.clients[a.client] = fresh
	}
	return slice, nil
}
