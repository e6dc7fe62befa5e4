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

// Sessions returns how many sessions are kept for clients that have gone and may come back.
func (c *Cluster) Sessions() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sessions {
		if !s.At.IsZero() {
			n++
		}
	}
	return n
}

// ForgetSession removes the session that is kept under pid, as a broker does that loses it.
func (c *Cluster) ForgetSession(pid string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.sessions, pid)
}

// AwaitSession waits until the session of a client that has gone is kept under pid, and returns the error of ctx if that ends
// before.
func (c *Cluster) AwaitSession(ctx context.Context, pid string) error {
	return c.AwaitRecord(ctx, pid, func(s *adapter.Session) bool { return !s.At.IsZero() })
}

// AwaitRecord waits until what is kept under pid is as wanted, and returns the error of ctx if that ends before.
func (c *Cluster) AwaitRecord(ctx context.Context, pid string, wanted func(*adapter.Session) bool) error {
	return c.await(ctx, func() bool {
		kept, there := c.sessions[pid]
		return there && wanted(kept)
	})
}

// AwaitNoRecord waits until nothing is kept under pid, and returns the error of ctx if that ends before.
func (c *Cluster) AwaitNoRecord(ctx context.Context, pid string) error {
	return c.await(ctx, func() bool { return c.sessions[pid] == nil })
}

// await waits until what is kept is as wanted, which is called with c.mu held.
func (c *Cluster) await(ctx context.Context, wanted func() bool) error {
	for {
		c.mu.Lock()
		there := wanted()
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

var _ adapter.Holder = (*sequence)(nil)

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

// Holds implements [adapter.Holder].
func (s *sequence) Holds() bool { return true }

// RenewSessions implements [adapter.Holder].
func (s *sequence) RenewSessions(ctx context.Context, sessions []*adapter.Session, _ time.Duration) (kept []adapter.Kept, err error) {
	kept = make([]adapter.Kept, len(sessions))
	err = s.alone(ctx, func(c *Cluster) {
		for i, session := range sessions {
			was := c.sessions[session.PID]
			switch {
			case was == nil:
			case was.Mark != session.Mark:
				kept[i] = adapter.KeptOther
			default:
				kept[i] = adapter.KeptSame
				renewed := *session
				c.sessions[session.PID] = &renewed
			}
		}
		close(c.saved)
		c.saved = make(chan struct{})
	})
	return kept, err
}

// DropSessions implements [adapter.Holder].
func (s *sequence) DropSessions(ctx context.Context, sessions []*adapter.Session) error {
	return s.alone(ctx, func(c *Cluster) {
		for _, session := range sessions {
			if was := c.sessions[session.PID]; was != nil && was.Mark == session.Mark {
				delete(c.sessions, session.PID)
			}
		}
		close(c.saved)
		c.saved = make(chan struct{})
	})
}

// alone calls do with the cluster's lock held, unless a fault is switched on.
func (s *sequence) alone(ctx context.Context, do func(c *Cluster)) error {
	return s.cluster.send(ctx, s.link, func(to *link) {
		if to == s.link {
			do(s.cluster)
		}
	})
}
