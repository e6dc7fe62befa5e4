package netconn

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"time"
)

const (
	// RelayLimit is a limit for the queue of a connection that is relayed: what one read may bring beyond relayWindow.
	RelayLimit = 4 * relayWindow
	// relayWindow is how many bytes wait for one side of a relay before the other is not read any more. It is less than
	// what makes a writer wait.
	relayWindow = soft / 2
	// relayLinger is how long a relay goes on when one side has ended: what is on its way to the other takes less.
	relayLinger = 30 * time.Second
)

// halfCloser is a Handler to whom the end of what the peer sends is not the end of the connection.
type halfCloser interface {
	// Ended is called once, after the last Data, if the peer shut its sending side and ours is open.
	Ended(c *Conn)
}

// roomGiver is a Handler that is told when a queue has room that somebody awaits.
type roomGiver interface{ room() }

// Relay passes on to each of two connections what arrives on the other, those bytes first that were read of it before,
// until both have ended. It takes no goroutine and no memory while nothing arrives. While one side does not take its
// bytes the other is not read. The end of what one side sends is passed on as that, a broken connection as an end once
// what came of it has left; the rest then has 30 seconds. Done is called once, when both are closed, with the first
// cause. The connections may not have been started, and nobody else may write to them.
func Relay(a, b *Conn, readA, readB []byte, done func(cause error)) {
	r := &relay{open: 2, done: done}
	r.sides[0], r.sides[1] = relaySide{r, b}, relaySide{r, a}
	a.handler, b.handler = &r.sides[0], &r.sides[1] // both before either is used
	a.begin(readA)
	b.begin(readB)
}

// relay is two connections that are each other's peer.
type relay struct {
	sides [2]relaySide
	done  func(error)

	mu     sync.Mutex // protects the following
	open   int        // connections that are
	linger *time.Timer
	cause  error
}

// relaySide is the handler of one connection of a relay.
type relaySide struct {
	relay *relay
	to    *Conn // the other
}

// Data passes bytes on.
func (s *relaySide) Data(c *Conn, p []byte, _ *Turn) ([]byte, error) {
	switch err := s.to.Write(bytes.Clone(p), 0); {
	case errors.Is(err, ErrClosed): // there is nobody to pass anything on to, and that one's end is on its way here
		return nil, nil
	case err != nil:
		return nil, err
	}
	if s.to.Queued() <= relayWindow {
		return nil, nil
	}
	c.hold()
	if !s.to.awaitRoom() {
		c.Resume()
	}
	return nil, nil
}

// room has the side read on whose bytes there is room for.
func (s *relaySide) room() { s.to.Resume() }

// Ended passes the end of one direction on.
func (s *relaySide) Ended(*Conn) {
	s.relay.ending(nil)
	s.to.Finish(nil)
}

// Closed ends the other connection when it has got all.
func (s *relaySide) Closed(_ *Conn, cause error) {
	s.relay.ending(cause)
	s.to.Resume()
	s.to.HangUp()
	if first, last := s.relay.leave(); last {
		s.relay.done(first)
	}
}

// ending gives what is left of the relay its time.
func (r *relay) ending(cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cause == nil {
		r.cause = cause
	}
	if r.linger == nil && r.open == 2 {
		r.linger = time.AfterFunc(relayLinger, func() {
			for _, s := range &r.sides {
				s.to.Close(ErrSlow)
			}
		})
	}
}

// leave notes that one connection is closed.
func (r *relay) leave() (first error, last bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open--; r.open > 0 {
		return nil, false
	}
	r.linger.Stop()
	if errors.Is(r.cause, io.EOF) {
		r.cause = nil
	}
	return r.cause, true
}

// hold is Pause, also for a connection that is to finish: a relay sees to it that its peer's end is found.
func (c *Conn) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.is(closed) {
		c.status |= paused
	}
}

// awaitRoom has the handler be told when half of relayWindow is free, or reports that there is room already.
func (c *Conn) awaitRoom() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.is(closed) || c.queue.bytes <= relayWindow/2 {
		return false
	}
	c.status |= awaited
	return true
}

// endInput notes that the peer sends no more. It reports whether the connection lives on for what it is still sent.
func (c *Conn) endInput() bool {
	h, ok := c.handler.(halfCloser)
	if !ok {
		return false
	}
	c.mu.Lock()
	again, over := c.is(inputEnded), c.is(finished|closed)
	c.status |= inputEnded
	c.mu.Unlock()
	switch {
	case over:
		return false
	case !again:
		h.Ended(c)
	}
	return true
}
