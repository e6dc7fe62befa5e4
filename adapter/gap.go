package adapter

import "time"

// GapCause says why messages of other nodes may be missing on this one.
type GapCause string

// The causes of a [Gap].
const (
	// GapReconnect: the broker could not be reached for a while.
	GapReconnect GapCause = "reconnect"
	// GapKilled: the connection ended although the broker could be reached. It ends one when too much waits to be sent on
	// it, because this node did not read for a while, or because an operator said so.
	GapKilled GapCause = "killed"
	// GapOverflow: messages came faster than this node handles them, and its inbox was full.
	GapOverflow GapCause = "overflow"
	// GapStall: the broker took a probe and did not send it back in time.
	GapStall GapCause = "stall"
	// GapRefused: the broker refused a channel of a namespace that had been subscribed to before.
	GapRefused GapCause = "refused"
	// GapLost: another node has published more than came, so many as Dropped says. Whatever the reason was, it is known
	// exactly; 0 means that it cannot be found out any more how many.
	GapLost GapCause = "lost"
	// GapMoved: the broker moved a channel from one of its servers to another.
	GapMoved GapCause = "moved"
	// GapExpired: the broker does not keep any more what comes next after what this node has received. On Redis Streams
	// Dropped says exactly how many entries that is.
	GapExpired GapCause = "expired"
)

// GapCauses are all causes there are.
func GapCauses() []GapCause {
	return []GapCause{GapReconnect, GapKilled, GapOverflow, GapStall, GapRefused, GapLost, GapMoved, GapExpired}
}

// Gap is a time in which messages of other nodes may not have reached this one. A driver that delivers at most once
// cannot tell whether there were any.
type Gap struct {
	Cause     GapCause
	Namespace string    // "" means all
	From      time.Time // what was published before was received
	To        time.Time // zero while it lasts
	Dropped   uint64    // how many messages are known to be missing
}

// DriverStats counts what a [Driver] did since it was made. Those of now aside, all only grow.
type DriverStats struct {
	Connected  bool   // whether the connection that receives is there now
	Reconnects uint64 // how often it was made again
	Received   uint64 // messages that the broker sent, without this node's own probes
	Waiting    int    // messages that wait to be handled now
	Dropped    uint64 // messages dropped because too many waited
	Unanswered uint64 // answers to other nodes not sent: too much waited to be published
	Lost       uint64 // messages of other nodes that are known not to have come, whatever the reason was
	Late       uint64 // answers of other nodes that nobody waited for any more
	Refused    int    // channels of which the broker lets this node hear nothing now
	Mixed      int    // namespaces in which there may be nodes of another make, so that messages are more than the nodes need

	// Malformed counts the messages that were ignored because they are not what they should be, by reason: for an event
	// that clients would not take "invalid payload", "illegal attachments" or "too many attachments", for bytes that are in
	// no form that is known "encoding", and "form" for anything else.
	Malformed map[string]uint64

	// Gaps counts the times in which messages of other nodes may not have reached this one, by cause. Causes that did not
	// occur are zero, not missing. LastGap is the latest that was noticed.
	Gaps    map[GapCause]uint64
	LastGap Gap
}
