package socketio

import (
	"context"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/message"
)

// member is a socket as the adapter sees it: the same in memory, with the methods that are not for users.
type member Socket

var _ adapter.Asker = (*member)(nil)

// SocketOf returns the socket that a member of a namespace's [adapter.Adapter] is, or nil if it is none: a member may be
// an event stream as well. The socket may be one that is not connected yet. It costs nothing.
func SocketOf(m adapter.Member) *Socket {
	s, _ := m.(*member)
	return (*Socket)(s)
}

// ID implements [adapter.Member].
func (m *member) ID() string { return m.id }

// Disconnect implements [adapter.Member]. Unlike [Socket.Disconnect] it means the client: one that is about to be kept, for
// it has just gone, is not.
func (m *member) Disconnect(closeConnection bool) {
	s := (*Socket)(m)
	if s.namespace.recovery != nil {
		s.mu.Lock()
		s.more().banned = true
		s.mu.Unlock()
	}
	_ = s.Disconnect(context.Background(), closeConnection) // there is no error
}

// Deliver implements [adapter.Member].
func (m *member) Deliver(msg *message.Message) {
	s := (*Socket)(m)
	flags := engineio.Deferred
	if msg.Volatile {
		flags |= engineio.Volatile
	}
	s.note(msg)
	if s.state.Load() != stateConnected {
		if held, _ := s.hold(wire.Of(msg, s.namespace.wire), flags); held {
			return
		}
	}
	// The session closes what cannot be sent to, and it is counted; a broadcast has nobody to tell.
	if err := s.session.Send(wire.Of(msg, s.namespace.wire), flags); err != nil {
		_ = s.client.unsent(err)
	}
}
