package redisx

import (
	"context"
	"fmt"
	"slices"
)

// Listener is one receiver of a [Subscriber]. Several may subscribe to the same name. It is safe for concurrent use.
type Listener struct {
	subscriber *Subscriber
	message    func(channel string, payload []byte)
	self       []*Listener // just this one
	closed     bool        // protected by the subscriber's mu
}

// Listen returns a listener that has subscribed to nothing yet. The function is called for each message, one after
// another, and holds up the connection. The payload is its to keep but not to change.
func (s *Subscriber) Listen(message func(channel string, payload []byte)) *Listener {
	l := &Listener{subscriber: s, message: message}
	l.self = []*Listener{l}
	return l
}

// Add subscribes to names and returns at once; the change tells when Redis has confirmed or refused them. A connection
// made anew subscribes to them again, until they are removed. A name that Redis refuses is asked for again from time to
// time; until then whoever adds it is told at once.
func (l *Listener) Add(names ...Name) *Change {
	s := l.subscriber
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &Change{subscriber: s, names: names}
	if l.closed || s.closed {
		c.round = ended(ErrClosed)
		return c
	}
	pending := len(names) == 0
	for _, n := range names {
		sub, known := s.names[n]
		switch {
		case !known:
			sub = s.fresh(l, wanted)
		case sub.status == dropped:
			sub = s.fresh(l, asked)
		case !slices.Contains(sub.owners, l):
			sub.owners = append(slices.Clip(sub.owners), l)
		}
		s.names[n] = sub
		pending = pending || sub.status != barred
	}
	if !pending {
		c.round = ended(nil)
		return c
	}
	// A name that was there already may be under way: the change is over when that is.
	s.note(names...)
	if s.round == nil {
		s.round = &round{done: make(chan struct{})}
	}
	c.round = s.round
	return c
}

// fresh returns the subscription to a name that is added. The caller holds mu.
func (s *Subscriber) fresh(l *Listener, status status) subscription {
	s.added++
	return subscription{l.self, s.added, status}
}

// ended returns a round that nothing is left to do for.
func ended(err error) *round {
	r := &round{done: make(chan struct{}), err: err}
	close(r.done)
	return r
}

// Refusal returns Redis' answer to the first of names that it refuses now, or nil.
func (l *Listener) Refusal(names ...Name) error { return l.subscriber.refusal(names) }

func (s *Subscriber) refusal(names []Name) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.refused) == 0 {
		return nil
	}
	for _, n := range names {
		if r, refused := s.refused[n]; refused {
			return fmt.Errorf("%q: %w", n.text, r.err)
		}
	}
	return nil
}

// subscribed reports whether Redis has been asked for n and has not refused it.
func (l *Listener) subscribed(n Name) bool {
	l.subscriber.mu.Lock()
	defer l.subscriber.mu.Unlock()
	return l.subscriber.names[n].status == asked
}

// Remove ends the subscription to names and returns at once. Messages that are on their way may still come.
func (l *Listener) Remove(names ...Name) {
	s := l.subscriber
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range names {
		s.drop(n, l)
	}
}

// Close removes all names, for good. Messages that are on their way may still come.
func (l *Listener) Close() {
	s := l.subscriber
	s.mu.Lock()
	defer s.mu.Unlock()
	l.closed = true
	for n := range s.names {
		s.drop(n, l)
	}
}

// drop takes l from the owners of n. The caller holds mu.
func (s *Subscriber) drop(n Name, l *Listener) {
	sub, known := s.names[n]
	at := slices.Index(sub.owners, l)
	if !known || at < 0 {
		return
	}
	if len(sub.owners) > 1 {
		sub.owners = slices.Delete(slices.Clone(sub.owners), at, at+1)
		s.names[n] = sub
		return
	}
	if sub.status == wanted || sub.status == barred {
		delete(s.names, n) // Redis has nothing to take back
		delete(s.refused, n)
		return
	}
	s.names[n] = subscription{status: dropped}
	s.note(n)
}

// note has the goroutine look at names. The caller holds mu.
func (s *Subscriber) note(names ...Name) {
	if !s.live {
		return // the next connection gets everything
	}
	s.changed = append(s.changed, names...)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Change is a step of what Redis sends to a [Subscriber].
type Change struct {
	subscriber *Subscriber
	names      []Name
	round      *round // shared with all that ask at the same time
}

// Done is closed when Redis has confirmed the change or refused it.
func (c *Change) Done() <-chan struct{} { return c.round.done }

// Wait returns when Redis has confirmed the change, which may mean waiting for a connection. An error of Redis is about
// a name of this change, or about the connection. The error of a context that ended wraps also the reason for which there
// is no connection, if so; the change may still come true, unless it is taken back.
func (c *Change) Wait(ctx context.Context) error {
	select {
	case <-c.round.done:
		return c.result()
	default:
	}
	select {
	case <-c.round.done:
		return c.result()
	case <-ctx.Done():
		if _, cause := c.subscriber.Away(); cause != nil {
			return fmt.Errorf("%w (%w)", ctx.Err(), cause)
		}
		return ctx.Err()
	}
}

func (c *Change) result() error {
	if c.round.err != nil {
		return c.round.err
	}
	return c.subscriber.refusal(c.names)
}
