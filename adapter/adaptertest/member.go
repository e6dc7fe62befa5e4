package adaptertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/peal-dev/peal/message"
)

// patience is how long the suite waits for what must come. What must not come is never waited for: a later message
// or a ping proves that it did not.
const patience = 20 * time.Second

// Member is an [adapter.Member] that keeps what reaches it until a test asks.
type Member struct {
	id           string
	messages     chan *message.Message
	disconnected chan bool
}

// NewMember returns a member that can hold ten thousand messages. Beyond, Deliver panics.
func NewMember(id string) *Member {
	return &Member{id: id, messages: make(chan *message.Message, 10_000), disconnected: make(chan bool, 100)}
}

// ID implements [adapter.Member].
func (m *Member) ID() string { return m.id }

// Deliver implements [adapter.Member].
func (m *Member) Deliver(msg *message.Message) {
	select {
	case m.messages <- msg:
	default:
		panic("adaptertest: a member holds too many messages")
	}
}

// Disconnect implements [adapter.Member].
func (m *Member) Disconnect(closeConnection bool) { m.disconnected <- closeConnection }

// Next waits for the next message. It fails the test when none comes.
func (m *Member) Next(t testing.TB) *message.Message {
	t.Helper()
	msg, err := m.next(t.Context())
	if err != nil {
		t.Fatalf("member %s: no message: %v", m.id, err)
	}
	return msg
}

// Until returns the events that come before the one called event, for which it waits.
func (m *Member) Until(t testing.TB, event string) []string {
	t.Helper()
	var before []string
	for {
		msg, err := m.next(t.Context())
		if err != nil {
			t.Fatalf("member %s: %q does not come, only %q: %v", m.id, event, before, err)
		}
		if msg.Event() == event {
			return before
		}
		before = append(before, msg.Event())
	}
}

// Disconnected waits for a call of Disconnect and returns its argument.
func (m *Member) Disconnected(t testing.TB) (closeConnection bool) {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case closeConnection = <-m.disconnected:
	case <-timer.C:
		t.Fatalf("member %s: not disconnected", m.id)
	}
	return closeConnection
}

// Empty reports whether nothing waits to be read.
func (m *Member) Empty() bool { return len(m.messages) == 0 && len(m.disconnected) == 0 }

func (m *Member) next(ctx context.Context) (*message.Message, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case msg := <-m.messages:
		return msg, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
		return nil, errors.New("waited in vain")
	}
}
