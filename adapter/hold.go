package adapter

import (
	"context"
	"fmt"
	"time"

	"github.com/peal-dev/peal/message"
)

// Holder is a [Sequence] that can keep the sessions of members while they are there, so that others find them when their node
// is killed. A link may be one and not do it, which Holds says. All methods are safe for concurrent use.
type Holder interface {
	Sequence
	// Holds reports whether the other methods work. It may become true when the link is there, and stays so.
	Holds() bool
	// RenewSessions is SaveSessions for sessions that are kept already: each takes the place of what is kept under its PID if
	// that has the same Mark, in one step, and is not kept otherwise. It says of each what was there. After an error it is not
	// known of any whether it is kept.
	RenewSessions(ctx context.Context, sessions []*Session, age time.Duration) ([]Kept, error)
	// DropSessions removes what is kept under the PIDs of sessions if it has the same Mark.
	DropSessions(ctx context.Context, sessions []*Session) error
}

// Kept is what was found under the PID of a session.
type Kept uint8

const (
	// KeptNone: nothing, for it was taken or is lost.
	KeptNone Kept = iota
	// KeptSame: a session with the same Mark.
	KeptSame
	// KeptOther: a session of another node, which has taken it.
	KeptOther
)

// Holds reports whether sessions can be kept while their members are there.
func (a *Adapter) Holds() bool {
	_, ok := a.holder()
	return ok
}

func (a *Adapter) holder() (Holder, bool) {
	if !a.Shared() {
		return nil, false
	}
	h, ok := a.order.common.sequence.(Holder)
	return h, ok && h.Holds()
}

// AddAt is [Adapter.Add] that returns the place in the common log at which m was registered: what comes behind is delivered
// to it, and nothing before. It is zero as long as the log is not followed yet. It takes an adapter with a common log.
func (a *Adapter) AddAt(ctx context.Context, m Member, rooms ...string) (at message.Offset, err error) {
	at, opening := a.addAt(m, rooms)
	return at, a.wait(ctx, opening)
}

func (a *Adapter) addAt(m Member, rooms []string) (message.Offset, openings) {
	o := a.order
	o.mu.Lock()
	defer o.mu.Unlock()
	_, opening := a.index.add(m, rooms)
	return o.common.read(), opening
}

// read returns up to where this node has delivered everything; zero if it has not begun.
func (c *common) read() message.Offset {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reached
}

// SessionOf returns what other nodes have to know of m while it is there, without PID and data; nil if m is no member. At is
// zero: it has not gone. It takes an adapter with a common log.
func (a *Adapter) SessionOf(m Member) *Session {
	o, id := a.order, m.ID()
	o.mu.Lock()
	defer o.mu.Unlock()
	if e := a.index.entry(id); e == nil || e.member != m {
		return nil
	}
	s := &Session{ID: id, Since: o.joins.of(id, id), Known: o.log.Bounds().Floor}
	for _, room := range a.index.roomsOf(id) {
		s.Rooms = append(s.Rooms, Membership{Room: room, Since: o.joins.of(id, room)})
	}
	return s
}

// Delivered returns up to where members of this node have been given everything, if it is not giving them something just now.
// It takes an adapter with a common log.
func (a *Adapter) Delivered() (at message.Offset, ok bool) {
	o := a.order
	if !o.mu.TryLock() {
		return at, false
	}
	defer o.mu.Unlock()
	at = o.common.read()
	return at, !at.IsZero()
}

// RenewSessions keeps sessions that this node has kept before, each for as long as age says; see [Holder]. It takes an
// adapter that Holds.
func (a *Adapter) RenewSessions(ctx context.Context, sessions []*Session, age time.Duration) ([]Kept, error) {
	h, ok := a.holder()
	if !ok {
		return nil, fmt.Errorf("adapter %s: renew %d sessions: %w", a.namespace, len(sessions), ErrUnavailable)
	}
	kept, err := h.RenewSessions(ctx, sessions, age)
	if err != nil {
		return nil, fmt.Errorf("adapter %s: renew %d sessions: %w", a.namespace, len(sessions), err)
	}
	return kept, nil
}

// DropSessions has nobody find sessions that this node has kept; see [Holder]. It takes an adapter that Holds.
func (a *Adapter) DropSessions(ctx context.Context, sessions []*Session) error {
	h, ok := a.holder()
	if !ok {
		return fmt.Errorf("adapter %s: drop %d sessions: %w", a.namespace, len(sessions), ErrUnavailable)
	}
	if err := h.DropSessions(ctx, sessions); err != nil {
		return fmt.Errorf("adapter %s: drop %d sessions: %w", a.namespace, len(sessions), err)
	}
	return nil
}
