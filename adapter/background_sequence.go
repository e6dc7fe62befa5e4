package adapter

import (
	"context"
	"time"

	"github.com/peal-dev/peal/message"
)

// backgroundSequencer is [Background] for a driver that has a common log.
type backgroundSequencer struct {
	*background
	sequencer Sequencer
}

var _ Sequencer = (*backgroundSequencer)(nil)

// Follow implements [Sequencer].
func (b *backgroundSequencer) Follow(_ context.Context, namespace string, f Follower) (Sequence, error) {
	return &lateSequence{b.start(namespace, func(ctx context.Context) (Link, error) {
		s, err := b.sequencer.Follow(ctx, namespace, f)
		if err != nil {
			return nil, err // a nil Sequence in the interface would be a Link
		}
		return s, nil
	})}, nil
}

// lateSequence is a [Sequence] that may still be on its way, and waited for as with Publish.
type lateSequence struct{ *lateLink }

var _ Holder = (*lateSequence)(nil)

func (l *lateSequence) sequence(ctx context.Context) (Sequence, error) {
	link, err := l.wait(ctx)
	if err != nil {
		return nil, err
	}
	return link.(Sequence), nil
}

// Append implements [Sequence].
func (l *lateSequence) Append(ctx context.Context, e *Envelope) (message.Offset, error) {
	s, err := l.sequence(ctx)
	if err != nil {
		return message.Offset{}, err
	}
	return s.Append(ctx, e)
}

// Covers implements [Sequence].
func (l *lateSequence) Covers(ctx context.Context, after message.Offset) error {
	s, err := l.sequence(ctx)
	if err != nil {
		return err
	}
	return s.Covers(ctx, after)
}

// Replay implements [Sequence].
func (l *lateSequence) Replay(ctx context.Context, after, until message.Offset, each func(*Envelope) error) error {
	s, err := l.sequence(ctx)
	if err != nil {
		return err
	}
	return s.Replay(ctx, after, until, each)
}

// SaveSessions implements [Sequence].
func (l *lateSequence) SaveSessions(ctx context.Context, sessions []*Session, age time.Duration) error {
	s, err := l.sequence(ctx)
	if err != nil {
		return err
	}
	return s.SaveSessions(ctx, sessions, age)
}

// TakeSession implements [Sequence].
func (l *lateSequence) TakeSession(ctx context.Context, pid string) (*Session, error) {
	s, err := l.sequence(ctx)
	if err != nil {
		return nil, err
	}
	return s.TakeSession(ctx, pid)
}

// Holds implements [Holder].
func (l *lateSequence) Holds() bool {
	select {
	case <-l.ready:
	default:
		return false
	}
	h, ok := l.link.(Holder)
	return ok && h.Holds()
}

// holder returns the link, as one that Holds.
func (l *lateSequence) holder(ctx context.Context) (Holder, error) {
	link, err := l.wait(ctx)
	if err != nil {
		return nil, err
	}
	h, ok := link.(Holder)
	if !ok {
		return nil, ErrUnavailable
	}
	return h, nil
}

// RenewSessions implements [Holder].
func (l *lateSequence) RenewSessions(ctx context.Context, sessions []*Session, age time.Duration) ([]Kept, error) {
	h, err := l.holder(ctx)
	if err != nil {
		return nil, err
	}
	return h.RenewSessions(ctx, sessions, age)
}

// DropSessions implements [Holder].
func (l *lateSequence) DropSessions(ctx context.Context, sessions []*Session) error {
	h, err := l.holder(ctx)
	if err != nil {
		return err
	}
	return h.DropSessions(ctx, sessions)
}
