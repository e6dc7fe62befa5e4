package adapter

import (
	"context"
	"errors"
	"github.com/peal-dev/peal/message"
)

// Errors a [Driver] and its links wrap, so that callers and metrics can tell why something did not reach the cluster.
var (
	// ErrClosed means the adapter, link or driver was closed.
	ErrClosed = errors.New("adapter: closed")
	// ErrUnavailable means the cluster could not be reached in time. Whether the envelope arrived is unknown.
	ErrUnavailable = errors.New("adapter: cluster unavailable")
	// ErrOverloaded means that too many envelopes wait to be published already.
	ErrOverloaded = errors.New("adapter: too many envelopes waiting")
	// ErrUnsendable means that the driver's wire has no form for the message, or none that large. Nothing was sent.
	ErrUnsendable = errors.New("adapter: message cannot be sent to other nodes")
	// ErrSubscribed means that the driver has a link of the namespace already.
	ErrSubscribed = errors.New("adapter: namespace subscribed already")
)

// Driver carries envelopes between the nodes of a cluster. One driver serves all namespaces of a node.
// All methods are safe for concurrent use.
type Driver interface {
	// Subscribe joins namespace: from its return on, envelopes of other nodes reach r. A driver has one link for each
	// namespace and refuses a second with [ErrSubscribed]. The context bounds the call only.
	Subscribe(ctx context.Context, namespace string, r Receiver) (Link, error)
	// Close closes all links and frees what the driver holds. Adapters do not call it: the one who made the driver does.
	Close(ctx context.Context) error
}

// Link is one namespace's way to the other nodes. All methods are safe for concurrent use.
type Link interface {
	// Publish returns when the transport has accepted e, or with an error wrapping [ErrUnavailable], [ErrOverloaded],
	// [ErrUnsendable], [ErrClosed] or the context's error. Calls made one after another arrive in that order. The envelope must not
	// change any more.
	Publish(ctx context.Context, e *Envelope) error
	// Ping returns when a probe went through the real path and came back to this link.
	Ping(ctx context.Context) error
	// Close leaves the namespace: when it has returned, the receiver is not called any more.
	// It must not be called from within the receiver, for which it waits.
	Close(ctx context.Context) error
}

// RoomFilter is a [Link] that is told which rooms have members on this node, so that it need not hear of others.
type RoomFilter interface {
	// RoomOpened tells that room has a member on this node and had none before: envelopes for this room alone have to
	// reach it from now on. It returns nil if they do already, and else what to wait for. RoomClosed tells that it has
	// no member any more. The calls for one room alternate. They come under a lock of the adapter, so they return at once
	// and do not call the receiver. A member's id is a room too; those of 20 characters out of A–Z, a–z, 0–9, - and _,
	// as Socket.IO's are, come and go with every connection and should cost nothing.
	RoomOpened(room string) Opening
	RoomClosed(room string)
}

// Receiver is how a driver speaks to the adapter it serves. All methods are safe for concurrent use and do not block.
type Receiver interface {
	// Receive applies another node's envelope to the members of this node. A driver calls it in the order of arrival
	// and never with an envelope of its own link, but for those that a [Follower] gets.
	Receive(e *Envelope)
	// Answer takes another node's call, in the order of arrival among envelopes. It only notes the question, except for
	// CallAsk, whose message goes to the members at once as that of an envelope does. The answer comes through reply,
	// from other goroutines, if it comes at all: too many questions are given up. Reply must not block, and may still be
	// called after the link was closed.
	Answer(c *Call, reply func(Answer))
	// HasRoom reports whether a member of this node, though it be away, is in room, so that a driver can drop a message
	// before decoding it.
	HasRoom(room string) bool
}

// Kind says what an [Envelope] asks of the receiving nodes.
type Kind uint8

// The kinds of envelope.
const (
	KindBroadcast  Kind = iota + 1 // deliver Message
	KindJoin                       // put the meant members into ChangeRooms
	KindLeave                      // take the meant members out of ChangeRooms
	KindDisconnect                 // disconnect the meant members
	KindEvent                      // handle Message as a node; nobody waits for an answer
)

// String returns the kind's name in lower case.
func (k Kind) String() string {
	switch k {
	case KindBroadcast:
		return "broadcast"
	case KindJoin:
		return "join"
	case KindLeave:
		return "leave"
	case KindDisconnect:
		return "disconnect"
	case KindEvent:
		return "event"
	}
	return "unknown"
}

// Envelope is what nodes send each other. It is immutable once published or received.
type Envelope struct {
	Kind Kind
	// Message is set for KindBroadcast and KindEvent only.
	Message *message.Message
	// Rooms and Except say who is meant, as in [message.Target].
	Rooms, Except []string
	// ChangeRooms are the rooms to join or leave.
	ChangeRooms []string
	// Private is for KindBroadcast: only the member is meant whose id is in Rooms, and nobody in a room of that name. A node
	// that does not know the difference takes it for a room.
	Private bool
	// CloseConnection is for KindDisconnect: close the whole connection too.
	CloseConnection bool
}
