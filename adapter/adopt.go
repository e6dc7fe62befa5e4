package adapter

import (
	"context"
	"fmt"
	"time"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// Adopt makes a member that went away from another node one that is away from this: from then on it is as if it had been
// suspended here. It takes an adapter with a common log. It returns nil if somebody has that id already.
func (a *Adapter) Adopt(s *Session) *Absence {
	o := a.order
	o.mu.Lock()
	defer o.mu.Unlock()
	x := &Absence{adapter: a, id: s.ID, Since: s.Since, At: s.At, known: s.Known}
	names := make([]string, 0, len(s.Rooms))
	for _, m := range s.Rooms {
		names = append(names, m.Room)
		if !m.Since.IsZero() {
			x.recent = append(x.recent, m)
		}
	}
	if added, _ := a.index.admit(x, names, true); !added {
		return nil
	}
	o.joins.set(x.id, x.id, s.Since)
	for _, m := range s.Rooms {
		o.joins.set(x.id, m.Room, m.Since)
	}
	return x
}

// Session returns what other nodes have to know of who is away, without PID and data.
func (x *Absence) Session() *Session {
	s := &Session{ID: x.id, Since: x.Since, At: x.At, Known: x.known}
	for room, since := range x.memberships() {
		if room != x.id {
			s.Rooms = append(s.Rooms, Membership{Room: room, Since: since})
		}
	}
	return s
}

// clockError is by how much the clock of a common log may be behind this node's.
const clockError = 5 * time.Second

// Settle makes sure that Since says something, if that is possible, of a member whose session began then: if nothing that was
// for it has been trimmed since, it is enough to look from there on up to where the log goes back. It takes an adapter with a
// common log.
func (x *Absence) Settle(began time.Time) {
	if !x.Since.IsZero() {
		return
	}
	from := message.Offset{Ms: uint64(max(began.Add(-clockError).UnixMilli(), 0))}
	if x.adapter.order.log.Cover(from, &eventlog.Interest{ID: x.id, Rooms: x.memberships()}) == nil {
		x.Since = x.known
	}
}

// SaveSessions keeps sessions in the common log's store, each for as long as age says, for whichever node the clients come
// to; see [Sequence]. It takes an adapter with a common log.
func (a *Adapter) SaveSessions(ctx context.Context, sessions []*Session, age time.Duration) error {
	if err := a.order.common.sequence.SaveSessions(ctx, sessions, age); err != nil {
		return fmt.Errorf("adapter %s: save %d sessions: %w", a.namespace, len(sessions), err)
	}
	return nil
}

// TakeSession takes the session that a node has saved under pid, and nil if there is none. Nobody else gets it. It takes an
// adapter with a common log.
func (a *Adapter) TakeSession(ctx context.Context, pid string) (*Session, error) {
	s, err := a.order.common.sequence.TakeSession(ctx, pid)
	if err != nil {
		return nil, fmt.Errorf("adapter %s: take a session: %w", a.namespace, err)
	}
	return s, nil
}
