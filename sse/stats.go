package sse

import "github.com/peal-dev/peal/internal/tally"

// Reason says why a stream was closed. Its text is stable: it labels metrics.
type Reason string

// Reasons a stream was closed for.
const (
	ClientLeft     Reason = "client left"          // the client closed the connection or the request's context ended
	SlowConsumer   Reason = "slow consumer"        // more waited for the stream than SendBuffer allows
	WriteTimeout   Reason = "write timeout"        // the client did not read for WriteTimeout
	WriteError     Reason = "write error"          // the connection broke under a write
	Disconnected   Reason = "disconnected"         // the server disconnected the member
	ServerShutdown Reason = "server shutting down" // Shutdown
	Moved          Reason = "moved"                // Shed: the client may come back, to another node
)

func newClosed() tally.Fixed[Reason] {
	return tally.Of(ClientLeft, SlowConsumer, WriteTimeout, WriteError, Disconnected, ServerShutdown, Moved)
}

// Stats are counters since the Handler was created, except Streams.
type Stats struct {
	Streams   int               // open now
	Opened    uint64            // streams ever opened
	Refused   map[string]uint64 // requests answered with an error, by its code
	Resumed   uint64            // streams that went on where their clients were, and were given what they missed
	Reset     uint64            // streams whose clients were told that something is missing
	Delivered uint64            // events written to streams
	Dropped   uint64            // volatile events not written because the stream's queue was full
	Closed    map[Reason]uint64 // streams closed, by reason; holds every reason
}

// Stats returns a snapshot of the counters. They are read one by one, so they need not add up exactly.
func (h *Handler) Stats() Stats {
	h.mu.Lock()
	streams := len(h.streams)
	h.mu.Unlock()
	return Stats{Streams: streams, Opened: h.opened.Load(), Refused: h.refused.Counts(),
		Resumed: h.resumed.Load(), Reset: h.reset.Load(), Delivered: h.delivered.Load(), Dropped: h.dropped.Load(), Closed: h.closed.Counts()}
}
