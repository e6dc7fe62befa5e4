package adapter

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/peal-dev/peal/message"
)

// ErrTrimmed means that a common log does not have all any more that comes behind an offset.
var ErrTrimmed = errors.New("adapter: the log does not go back so far")

// Sequencer is a [Driver] with a common log: its broker keeps the broadcasts of a namespace in one order, the same for all
// nodes, and for a while. An adapter with [Options].Log follows it: what it broadcasts comes back to its own members from
// there, as to everybody's. An adapter without subscribes as to any driver.
type Sequencer interface {
	Driver
	// Follow is Subscribe for an adapter with a log.
	Follow(ctx context.Context, namespace string, f Follower) (Sequence, error)
}

// Follower is the [Receiver] of an adapter that follows a common log. Its Receive gets also the broadcasts of its own link,
// and each broadcast has its Offset. One without an offset has reached this node and has no place: it cannot be given again.
type Follower interface {
	Receiver
	// Begin says that this node follows from floor on, or follows on from there: of what came up to then it may not have
	// got everything. It comes ahead of all broadcasts, and in its place among them.
	Begin(floor message.Offset)
}

// Sequence is a [Link] into a common log. All methods are safe for concurrent use.
type Sequence interface {
	Link
	// Append publishes a broadcast and returns its place. Otherwise it is Publish.
	Append(ctx context.Context, e *Envelope) (message.Offset, error)
	// Covers returns nil if the log has everything that came behind after, and an error wrapping [ErrTrimmed] if not.
	Covers(ctx context.Context, after message.Offset) error
	// Replay calls each with the broadcasts behind after, up to and with until, in order, and ends with its error. The error
	// wraps [ErrTrimmed] if some of them are not there any more, and then each was called in vain.
	Replay(ctx context.Context, after, until message.Offset, each func(*Envelope) error) error
	// SaveSessions keeps the sessions, each for as long as age says, for whoever takes it first. After an error it is not
	// known of any whether it is kept.
	SaveSessions(ctx context.Context, sessions []*Session, age time.Duration) error
	// TakeSession returns the session that is kept under pid and removes it, in one step: nobody else gets it. Nil means that
	// there is none.
	TakeSession(ctx context.Context, pid string) (*Session, error)
}

// Session is what a node has to know of a client that was on another, for it to go on.
type Session struct {
	// PID is the secret by which the client asks for it.
	PID string
	// ID is the member's, and Rooms those it was in, without the one that is its ID.
	ID    string
	Rooms []Membership
	// Data is the JSON object of what the program kept with it; bytes are texts in base64.
	Data json.RawMessage
	// Since and At are the places in the log at which the member was registered and at which it went. Node.js nodes do not
	// say: then both are zero. At is also zero while the member is there.
	Since, At message.Offset
	// Has is up to where the member is known to have received all that was for it, zero if it is not known: for one that has
	// been idle since, though what it says it has is not in the log any more.
	Has message.Offset
	// Known is up to where it is not known since when the member was in its rooms: a membership with a zero Since began
	// there or before.
	Known message.Offset
	// Mark tells sessions of one client apart. Node.js nodes set none.
	Mark string
}
