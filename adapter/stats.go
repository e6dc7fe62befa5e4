package adapter

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/peal-dev/peal/internal/tally"
)

// Stats counts what an adapter did since it was made. All fields only grow.
type Stats struct {
	Broadcasts   uint64 // messages broadcast by this node
	Deliveries   uint64 // calls of Member.Deliver, for messages of this and of other nodes
	EnvelopesIn  uint64 // envelopes received from other nodes
	EnvelopesOut uint64 // envelopes the driver took
	Resumed      uint64 // members given all that they missed
	NotResumed   uint64 // members that could not be: the log did not go back so far, or it was too much
	Replayed     uint64 // messages given to members that had missed them
	Recalled     uint64 // of the members that resumed, those for which the common log was read
	Late         uint64 // broadcasts that had not come back to this node's members a second after the common log took them

	// PublishErrors counts the envelopes that the driver did not take, by reason: "canceled" (the caller's context
	// ended), "closed", "overloaded", "unavailable", "other". Reasons that did not occur are zero, not missing.
	PublishErrors map[string]uint64
	// JoinErrors counts the joins of which it is not known that they hear other nodes, by the same reasons.
	JoinErrors map[string]uint64

	Calls uint64 // calls of this node
	// CallErrors counts the calls that failed, by the same reasons and "incomplete": answers were missing when the time was
	// over, or a node was gone.
	CallErrors  map[string]uint64
	Unanswered  uint64 // calls and events of other nodes given up because too many waited, or too large ones
	Overdue     uint64 // events of other nodes whose handler took longer than its time
	Undescribed uint64 // members left out of answers because their Snapshot failed
}

// reasons are the words under which errors are counted.
var reasons = []string{tally.Other, "canceled", "closed", "overloaded", "unavailable"}

// Reason returns the word under which [Stats] counts an error of publishing, joining or calling.
func Reason(err error) string {
	switch {
	case errors.Is(err, ErrOverloaded):
		return "overloaded"
	case errors.Is(err, ErrUnavailable):
		return "unavailable"
	case errors.Is(err, ErrClosed):
		return "closed"
	case errors.Is(err, ErrIncomplete):
		return "incomplete"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "canceled"
	}
	return tally.Other
}

type counters struct {
	broadcasts, deliveries, in, out atomic.Uint64
	resumed, lost, replayed         atomic.Uint64
	recalled, late                  atomic.Uint64
	calls, unanswered, undescribed  atomic.Uint64
	overdue                         atomic.Uint64

	publishErrors, joinErrors, callErrors tally.Fixed[string]
}

func newCounters() counters {
	return counters{publishErrors: tally.Of(reasons...), joinErrors: tally.Of(reasons...), callErrors: tally.Of(append([]string{"incomplete"}, reasons...)...)}
}

func (c *counters) snapshot() Stats {
	return Stats{
		Broadcasts:    c.broadcasts.Load(),
		Deliveries:    c.deliveries.Load(),
		EnvelopesIn:   c.in.Load(),
		EnvelopesOut:  c.out.Load(),
		Resumed:       c.resumed.Load(),
		NotResumed:    c.lost.Load(),
		Replayed:      c.replayed.Load(),
		Recalled:      c.recalled.Load(),
		Late:          c.late.Load(),
		PublishErrors: c.publishErrors.Counts(),
		JoinErrors:    c.joinErrors.Counts(),
		Calls:         c.calls.Load(),
		CallErrors:    c.callErrors.Counts(),
		Unanswered:    c.unanswered.Load(),
		Overdue:       c.overdue.Load(),
		Undescribed:   c.undescribed.Load(),
	}
}
