package redisx

import (
	"context"
	"time"
)

// refusal is Redis' answer to a name.
type refusal struct {
	err   error
	since time.Time
}

// add subscribes to names and notes which of them Redis refuses.
func (s *Subscriber) add(ctx context.Context, conn *connection, names []Name) error {
	refused, err := conn.subscribe(ctx, names)
	for n, answer := range refused {
		if s.bar(n, answer) {
			s.hooks.Refused(n, answer)
		}
	}
	return err
}

// bar notes that Redis does not want to hear of n. It reports false if nobody wants it any more.
func (s *Subscriber) bar(n Name, answer error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.names[n]
	if sub.status != asked {
		delete(s.names, n) // dropped meanwhile, and Redis has nothing to take back
		return false
	}
	s.names[n] = sub.with(barred)
	s.refused[n] = refusal{answer, time.Now()}
	return true
}

// retry asks again for what was refused, each by itself.
func (s *Subscriber) retry(ctx context.Context, conn *connection) error {
	s.mu.Lock()
	names := make([]Name, 0, len(s.refused))
	for n := range s.refused {
		names = append(names, n)
	}
	s.mu.Unlock()
	refused, err := conn.subscribeSingly(ctx, names)
	if err != nil {
		return err
	}
	for _, n := range names {
		if refused[n] != nil {
			continue
		}
		if since, ok := s.unbar(n); ok {
			s.hooks.Accepted(n, since)
		}
	}
	return nil
}

// unbar notes that Redis has accepted n. It reports false if nobody wants it any more.
func (s *Subscriber) unbar(n Name) (since time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.refused[n]
	if !ok {
		// Let go while it was asked for: what follows is the same as for any name that is not wanted any more. If it is
		// wanted again by now, it is asked for again.
		if _, known := s.names[n]; !known {
			s.names[n] = subscription{status: dropped}
			s.note(n)
		}
		return time.Time{}, false
	}
	delete(s.refused, n)
	s.names[n] = s.names[n].with(asked)
	return r.since, true
}
