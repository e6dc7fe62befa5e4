package redisx

import (
	"context"
	"errors"
)

// ShardListener is one receiver of [Shards]. It is safe for concurrent use.
type ShardListener struct {
	shards  *Shards
	message func(channel string, payload []byte)

	// The following are protected by the mu of shards.
	channels map[string]*assignment
	nodes    map[*shardNode]*Listener
	closed   bool
}

// assignment is the server on which a channel is subscribed to.
type assignment struct {
	node     *shardNode // nil while it is not known
	change   *Change
	lost     bool          // the server has said that it does not have the channel
	silenced bool          // and ended the subscription that there was
	left     chan struct{} // closed when another assignment has taken its place
}

// wait returns when the server has confirmed or refused the channel, or is not asked for it any more.
func (a *assignment) wait(ctx context.Context) error {
	select {
	case <-a.change.Done():
	case <-a.left:
		return nil
	case <-ctx.Done():
	}
	return a.change.Wait(ctx)
}

// over reports whether another assignment has taken its place.
func (a *assignment) over() bool {
	select {
	case <-a.left:
		return true
	default:
		return false
	}
}

// Listen returns a listener that has subscribed to nothing yet. The function is called as that of [Subscriber.Listen], but
// by one goroutine for each server.
func (s *Shards) Listen(message func(channel string, payload []byte)) *ShardListener {
	l := &ShardListener{shards: s, message: message, channels: make(map[string]*assignment), nodes: make(map[*shardNode]*Listener)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners[l] = struct{}{}
	return l
}

// on returns the listener's part on one server. The caller holds mu.
func (l *ShardListener) on(n *shardNode) *Listener {
	part := l.nodes[n]
	if part == nil {
		part = l.shards.hearing(n).Listen(l.message)
		l.nodes[n] = part
	}
	return part
}

// assign subscribes to a channel on a server. The caller holds mu.
func (l *ShardListener) assign(channel, address string) {
	n := l.shards.node(address)
	l.channels[channel] = &assignment{node: n, change: l.on(n).Add(l.shards.name(channel)), left: make(chan struct{})}
}

// Add subscribes to channels and returns at once; see [Listener.Add].
func (l *ShardListener) Add(channels ...string) *ShardChange {
	s := l.shards
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &ShardChange{l, channels}
	if l.closed || s.closed {
		return c
	}
	for _, channel := range channels {
		if l.channels[channel] != nil {
			continue
		}
		if s.table != nil {
			if address, ok := s.table.addressOf(channel); ok {
				l.assign(channel, address)
				continue
			}
			s.kick()
		}
		l.channels[channel] = &assignment{left: make(chan struct{})}
	}
	return c
}

// Remove ends the subscription to channels and returns at once. Messages that are on their way may still come.
func (l *ShardListener) Remove(channels ...string) {
	s := l.shards
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, channel := range channels {
		l.remove(channel)
	}
}

func (l *ShardListener) remove(channel string) {
	a := l.channels[channel]
	if a == nil {
		return
	}
	delete(l.channels, channel)
	if a.node != nil {
		l.on(a.node).Remove(l.shards.name(channel))
	}
	close(a.left)
}

// Close removes all channels, for good. Messages that are on their way may still come.
func (l *ShardListener) Close() {
	s := l.shards
	s.mu.Lock()
	defer s.mu.Unlock()
	l.closed = true
	for channel := range l.channels {
		l.remove(channel)
	}
	delete(s.listeners, l)
}

// Refusal returns Redis' answer to the first of channels that it refuses now, or nil.
func (l *ShardListener) Refusal(channels ...string) error {
	s := l.shards
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, channel := range channels {
		if a := l.channels[channel]; a != nil && a.node != nil {
			if err := l.on(a.node).Refusal(s.name(channel)); err != nil {
				return err
			}
		}
	}
	return nil
}

// ShardChange is a step of what Redis sends to a [ShardListener].
type ShardChange struct {
	listener *ShardListener
	channels []string
}

// Wait returns as [Change.Wait] does, when the servers that have the channels have confirmed or refused them.
func (c *ShardChange) Wait(ctx context.Context) error {
	for _, channel := range c.channels {
		if err := c.listener.wait(ctx, channel); err != nil {
			return err
		}
	}
	return nil
}

func (l *ShardListener) wait(ctx context.Context, channel string) error {
	s := l.shards
	for {
		s.mu.Lock()
		a, closed, cause := l.channels[channel], l.closed || s.closed, s.cause
		s.mu.Unlock()
		switch {
		case closed:
			return ErrClosed
		case a == nil:
			return nil // removed again
		case a.node != nil:
			if err := a.wait(ctx); !isMoved(err) && !a.over() {
				return err
			} else if err != nil {
				cause = err
			}
			s.kick()
		}
		select {
		case <-a.left:
		case <-s.done:
			return ErrClosed
		case <-ctx.Done():
			return errors.Join(ctx.Err(), cause)
		}
	}
}
