package nodecluster

import (
	"context"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/numbers"
	"github.com/peal-dev/peal/adapter/nodewire"
	"github.com/peal-dev/peal/message"
)

// Transport is how the messages of one namespace travel. All methods are safe for concurrent use. The messages must not be
// changed.
type Transport interface {
	// Send sends m to the nodes of the namespace; that it comes back to this one does no harm. It returns when the broker
	// has accepted it, or with an error, as [adapter.Link]'s Publish does. Calls made one after another arrive in that
	// order.
	Send(ctx context.Context, m *nodewire.Message) error
	// Post sends m to the node called to, others may get it too; "" means all nodes. It does not wait. An error means that
	// it was not sent.
	Post(to string, m *nodewire.Message) error
	// Probe sends m on the way that messages of other nodes take, so that it comes back to this one; others may get it too.
	// It returns as Send does, and fails also if it knows that messages of other nodes do not arrive although m would.
	Probe(ctx context.Context, m *nodewire.Message) error
	// Close stops receiving: when it has returned, Receive is not called any more. Nothing is sent afterwards.
	Close(ctx context.Context) error
}

// Counter is a [Transport] that can count the nodes itself. Node.js nodes send no heartbeats then, and have no names.
type Counter interface {
	// Nodes returns how many nodes are in the namespace, with this one, as Node.js nodes count them.
	Nodes(ctx context.Context) (int, error)
	// Counts reports whether the node called uid is among them.
	Counts(ctx context.Context, uid string) (bool, error)
}

// Keeper is a [Transport] whose broker keeps what is sent in one order: a common log. It hands over what this node has sent
// too, with Incoming.Offset, and says with [Link.Begin] from where on. See [adapter.Sequence] for the methods.
type Keeper interface {
	Append(ctx context.Context, m *nodewire.Message) (message.Offset, error)
	Covers(ctx context.Context, after message.Offset) error
	// Replay calls each with what is of the namespace and of the type Broadcast, with its Offset.
	Replay(ctx context.Context, after, until message.Offset, each func(Incoming) error) error
	SaveSessions(ctx context.Context, sessions []*adapter.Session, age time.Duration) error
	TakeSession(ctx context.Context, pid string) (*adapter.Session, error)
}

// Holder is a [Keeper] that can keep sessions while their members are there, as [adapter.Holder] says.
type Holder interface {
	RenewSessions(ctx context.Context, sessions []*adapter.Session, age time.Duration) ([]adapter.Kept, error)
	DropSessions(ctx context.Context, sessions []*adapter.Session) error
}

// Incoming is a message that has come and is not decoded yet.
type Incoming struct {
	// Channel is where it came from, for the log.
	Channel string
	// Type is the message's, by which it is sorted; see [nodewire.TypeOf]. 0 means that it is not known: then the message
	// waits among all others.
	Type nodewire.Type
	// Offset is its place in the log of a [Keeper]; zero if it has none.
	Offset message.Offset
	// Size is how many bytes of memory it holds.
	Size int
	// Decode reads it. It is called once at most, perhaps later and from another goroutine; no message and no error mean
	// that there is nothing to do.
	Decode func() (*nodewire.Message, error)
	// Body is what was sent, byte by byte, and Audience who hears it; of a [Beater], which counts.
	Body     []byte
	Audience numbers.Audience

	beat *nodewire.Message // what is not decoded but done
	gone string
}
