package nodecluster

import (
	"context"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/nodewire"
	"github.com/peal-dev/peal/message"
)

// Sequence is a [Link] that follows a common log.
type Sequence struct {
	*Link
	keeper Keeper
}

var (
	_ adapter.Holder = (*Sequence)(nil)
	_ adapter.Caller = (*Sequence)(nil)
)

// Follows reports whether the link follows a common log: then it is handed what this node has sent, too.
func (l *Link) Follows() bool { return l.follower != nil }

// Begin is told by a [Keeper] that the link gets everything behind floor, in its place among what it receives. It is told
// anew when some of it may not come.
func (l *Link) Begin(floor message.Offset) {
	l.inbox.Put(Incoming{Decode: func() (*nodewire.Message, error) {
		l.follower.Begin(floor)
		l.beginning.Do(func() { close(l.begun) })
		return nil, nil
	}}, 0, true)
}

// Append implements [adapter.Sequence].
func (s *Sequence) Append(ctx context.Context, e *adapter.Envelope) (message.Offset, error) {
	if err := s.open(ctx); err != nil {
		return message.Offset{}, err
	}
	m, err := nodewire.Publishing(e)
	if err != nil {
		return message.Offset{}, err
	}
	at, err := s.keeper.Append(ctx, s.own(m))
	if err != nil {
		return message.Offset{}, unavailable(ctx, err)
	}
	s.spoke.Store(time.Now().UnixNano())
	return at, nil
}

// Covers implements [adapter.Sequence].
func (s *Sequence) Covers(ctx context.Context, after message.Offset) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	return s.keeper.Covers(ctx, after)
}

// Replay implements [adapter.Sequence]. What cannot be read is left out, as it is by those who are there.
func (s *Sequence) Replay(ctx context.Context, after, until message.Offset, each func(*adapter.Envelope) error) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	return s.keeper.Replay(ctx, after, until, func(in Incoming) error {
		m, err := in.Decode()
		if err != nil || m == nil {
			return nil
		}
		e, err := s.envelope(m, in.Offset)
		if err != nil || e == nil || e.Kind != adapter.KindBroadcast {
			return nil
		}
		return each(e)
	})
}

// SaveSessions implements [adapter.Sequence].
func (s *Sequence) SaveSessions(ctx context.Context, sessions []*adapter.Session, age time.Duration) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	return s.keeper.SaveSessions(ctx, sessions, age)
}

// TakeSession implements [adapter.Sequence].
func (s *Sequence) TakeSession(ctx context.Context, pid string) (*adapter.Session, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	return s.keeper.TakeSession(ctx, pid)
}

// Holds implements [adapter.Holder].
func (s *Sequence) Holds() bool {
	_, ok := s.keeper.(Holder)
	return ok
}

// holder returns the keeper, as one that holds sessions.
func (s *Sequence) holder(ctx context.Context) (Holder, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	h, ok := s.keeper.(Holder)
	if !ok {
		return nil, adapter.ErrUnavailable
	}
	return h, nil
}

// RenewSessions implements [adapter.Holder].
func (s *Sequence) RenewSessions(ctx context.Context, sessions []*adapter.Session, age time.Duration) ([]adapter.Kept, error) {
	h, err := s.holder(ctx)
	if err != nil {
		return nil, err
	}
	return h.RenewSessions(ctx, sessions, age)
}

// DropSessions implements [adapter.Holder].
func (s *Sequence) DropSessions(ctx context.Context, sessions []*adapter.Session) error {
	h, err := s.holder(ctx)
	if err != nil {
		return err
	}
	return h.DropSessions(ctx, sessions)
}
