package adapter

import (
	"github.com/peal-dev/peal/message"
	"sync"
	"time"
)

// Member is what a room holds. All methods are called from many goroutines.
type Member interface {
	// ID returns the member's identity, which never changes and is unique within the namespace. It is also the name of
	// a room that holds just this member. In a cluster 20 characters out of A–Z, a–z, 0–9, - and _ serve best, the form
	// of Socket.IO's ids: drivers know them by it, while each other id may cost them a subscription.
	ID() string
	// Deliver hands over a message. It is called under a read lock of the room, so it must neither block nor call the
	// adapter's Add, Remove, Join or Leave on its own goroutine. A call may still arrive just after Remove returned.
	Deliver(m *message.Message)
	// Disconnect ends the member, and with closeConnection also the connection it shares with other namespaces. It is
	// called without locks and must not block.
	Disconnect(closeConnection bool)
}

// Asker is a Member that can answer a message. A driver asks it when another node broadcasts with acknowledgement;
// members that are no Asker receive such a message through Deliver and are not waited for.
type Asker interface {
	Member
	// Ask delivers the question's message and calls its Reply at most once. After its Timeout an answer is no longer
	// wanted and the member forgets the question. Ask must not block.
	Ask(q *Question)
}

// Question is a message that wants answers. All members of a node who are asked share one. Its fields must not change
// once somebody is asked.
type Question struct {
	// Message is what is asked.
	Message *message.Message
	// Timeout is how long answers are wanted. Zero or less means that the asking node did not say.
	Timeout time.Duration
	// Reply takes a member's answer: the JSON of its first argument ("null" when it has none) and the attachments its
	// placeholders name. It is called for each member once at most, from many goroutines, and must not block.
	Reply func(member string, argument []byte, attachments [][]byte)
	// Gone is called instead of Reply when the member went away and will not answer. It may be nil.
	Gone func(member string)

	once     sync.Once
	prepared any
}

// Prepared returns what prepare returned at the first call: the members that are asked share what they have to make of a
// question, such as its bytes on the wire. Safe for concurrent use.
func (q *Question) Prepared(prepare func() any) any {
	q.once.Do(func() { q.prepared = prepare() })
	return q.prepared
}

// Snapshotter is a Member that can describe itself to other nodes, which take it for a socket. Members that are none, such
// as event streams, are not among those that calls describe, name or count.
type Snapshotter interface {
	Member
	// Snapshot returns the JSON object {id, handshake, rooms, data} that a Node.js node expects from fetchSockets().
	Snapshot() ([]byte, error)
}
