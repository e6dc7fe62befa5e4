package adaptertest

import (
	"context"
	"fmt"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/message"
)

// NewSequencer is NewDriver for a node whose adapters may follow the cluster's log, which keeps what all its nodes broadcast,
// and sessions, until they are trimmed.
func (c *Cluster) NewSequencer() adapter.Sequencer {
	return &sequencer{&driver{cluster: c, links: make(map[string]*link)}}
}

// Trim has the log of a namespace keep that many messages.
func (c *Cluster) Trim(namespace string, keep int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.log(namespace)
	if n := len(l.kept) - keep; n > 0 {
		l.floor = l.kept[n-1].Message.Offset
		l.kept = l.kept[n:]
	}
}

// Sessions returns how many sessions are kept for clients that may come back.
func (c *Cluster) Sessions() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sessions)
}

// AwaitSession waits until a session is kept under pid, and returns the error of ctx if that ends before.
func (c *Cluster) AwaitSession(ctx context.Context, pid string) error {
	for {
		c.mu.Lock()
		_, there := c.sessions[pid]
		saved := c.saved
		c.mu.Unlock()
		if there {
			return nil
		}
		select {
		case <-saved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// commonLog is that of a namespace.
type commonLog struct {
	top   message.Offset
	kept  []*adapter.Envelope // with their offsets
	floor message.Offset
}

// log returns that of a namespace. c.mu is held.
func (c *Cluster) log(namespace string) *commonLog {
	l := c.logs[namespace]
	if l == nil {
		l = &commonLog{top: message.Offset{Ms: uint64(time.Now().UnixMilli())}}
		l.floor = l.top
		c.logs[namespace] = l
	}
	return l
}

// place gives a broadcast its place. c.mu is held.
func (c *Cluster) place(namespace string, e *adapter.Envelope) message.Offset {
	l := c.log(namespace)
	if now := uint64(time.Now().UnixMilli()); now > l.top.Ms {
		l.top = message.Offset{Ms: now}
	} else {
		l.top.Seq++
	}
	e = clone(e)
	e.Message.Offset = l.top
	l.kept = append(l.kept, e)
	return l.top
}

// covers is [adapter.Sequence].Covers.
func (l *commonLog) covers(after message.Offset) error {
	if after.Compare(l.floor) < 0 || after.Compare(l.top) > 0 {
		return fmt.Errorf("%w: it has %v to %v", adapter.ErrTrimmed, l.floor, l.top)
	}
	return nil
}

type sequencer struct{ *driver }

// Follow implements [adapter.Sequencer].
func (d *sequencer) Follow(ctx context.Context, namespace string, f adapter.Follower) (adapter.Sequence, error) {
	l, err := d.join(ctx, namespace, f, f)
	if err != nil {
		return nil, err
	}
	return &sequence{l}, nil
}

// sequence is a link that follows the log.
type sequence struct{ *link }

// Append implements [adapter.Sequence].
func (s *sequence) Append(ctx context.Context, e *adapter.Envelope) (message.Offset, error) {
	return s.broadcast(ctx, e)
}

// Covers implements [adapter.Sequence].
func (s *sequence) Covers(ctx context.Context, after message.Offset) error {
	var err error
	if failed := s.alone(ctx, func(c *Cluster) { err = c.log(s.namespace).covers(after) }); failed != nil {
		return failed
	}
	return err
}

// Replay implements [adapter.Sequence].
func (s *sequence) Replay(ctx context.Context, after, until message.Offset, each func(*adapter.Envelope) error) error {
	var found []*adapter.Envelope
	var err error
	failed := s.alone(ctx, func(c *Cluster) {
		l := c.log(s.namespace)
		if err = l.covers(after); err != nil {
			return
		}
		for _, e := range l.kept {
			if at := e.Message.Offset; at.Compare(after) > 0 && at.Compare(until) <= 0 {
				found = append(found, clone(e))
				found[len(found)-1].Message.Offset = at
			}
		}
	})
	if failed != nil {
		return failed
	}
	for _, e := range found {
		if err := each(e); err != nil {
			return err
		}
	}
	return err
}

// SaveSessions implements [adapter.Sequence].
func (s *sequence) SaveSessions(ctx context.Context, sessions []*adapter.Session, _ time.Duration) error {
	return s.alone(ctx, func(c *Cluster) {
		for _, session := range sessions {
			kept := *session
			c.sessions[session.PID] = &kept
		}
		close(c.saved)
		c.saved = make(chan struct{})
	})
}

// TakeSession implements [adapter.Sequence].
func (s *sequence) TakeSession(ctx context.Context, pid string) (session *adapter.Session, err error) {
	err = s.alone(ctx, func(c *Cluster) {
		session = c.sessions[pid]
		delete(c.sessions, pid)
	})
	return session, err
}

// alone calls do with the cluster's lock held, unless a fault is switched on.
func (s *sequence) alone(ctx context.Context, do func(c *Cluster)) error {
	return s.cluster.send(ctx, s.link, func(to *link) {
		if to == s.link {
			do(s.cluster)
		}
	})
}
