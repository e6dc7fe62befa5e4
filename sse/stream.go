package sse

import (
	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/message"
)

// outlet is where a stream's bytes go: the seam between what a stream says and how its connection is written to.
type outlet interface {
	// post hands over one whole event. It never blocks; b is shared and must not be changed. It is called in the order
	// of the messages.
	post(b []byte, volatile bool)
	// close ends the stream for the given reason once what waits has been written. Of several calls the first counts, which
	// returns true. It never blocks.
	close(reason Reason) bool
	// abort ends the stream at once and drops what waits. The reason of an earlier close counts. It never blocks.
	abort(reason Reason)
}

// stream is one client in its rooms.
type stream struct {
	id     string
	out    outlet
	remote string // the client's address, if addresses are counted
}

var _ adapter.Member = (*stream)(nil)

// ID returns the stream's unguessable id, which is also the name of its own room.
func (s *stream) ID() string { return s.id }

// Deliver queues the message's event.
func (s *stream) Deliver(m *message.Message) {
	s.out.post(format.Of(m, message.Namespace{}).bytes, m.Volatile)
}

// Disconnect ends the stream. A stream is its connection, so closeConnection makes no difference.
func (s *stream) Disconnect(bool) { s.out.close(Disconnected) }
