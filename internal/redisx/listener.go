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

// Add subscribes to names and returns at once; the change tells when Redis has confirmed it. A connection made anew
// subscribes to them again, until they are removed.
func (l *Listener) Add(names ...Name) *Change {
	s := l.subscriber
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.closed || s.closed {
		c := &Change{subscriber: s, done: make(chan struct{}), err: ErrClosed}
		close(c.done)
		return c
	}
	for _, n := range names {
		sub, known := s.names[n]
		switch {
		case !known:
			sub = subscription{l.self, wanted}
		case sub.status == dropped:
			sub = subscription{l.self, asked}
		case !slices.Contains(sub.owners, l):
			sub.owners = append(slices.Clip(sub.owners), l)
		}
		s.names[n] = sub
	}
	// A name that was there already may be under way: the change is over when that is.
	s.note(names...)
	if s.change == nil {
		s.change = &Change{subscriber: s, done: make(chan struct{})}
	}
	return s.change
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
	if sub.status == wanted {
		delete(s.names, n) // Redis has never heard of it
		return
	}
	s.names[n] = subscription{nil, dropped}
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

// Change is a step of what Redis sends to a [Subscriber]. All that ask for one at the same time share it.
type Change struct {
	subscriber *Subscriber
	done       chan struct{}
	err        error // set before done is closed
}

// Done is closed when Redis has confirmed the change or refused it.
func (c *Change) Done() <-chan struct{} { return c.done }

// Wait returns when Redis has confirmed the change, which may mean waiting for a connection. An error of Redis is about
// all that was asked for at the same time. The error of a context that ended wraps also the reason for which there is no
// connection, if so; the change may still come true, unless it is taken back.
func (c *Change) Wait(ctx context.Context) error {
	select {
	case <-c.done:
		return c.err
	default:
	}
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		if _, cause := c.subscriber.Away(); cause != nil {
			return fmt.Errorf("%w (%w)", ctx.Err(), cause)
		}
		return ctx.Err()
	}
}
