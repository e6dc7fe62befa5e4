package adapter

import "time"

// Member is what a room holds. All methods are called from many goroutines.
type Member interface {
	// ID returns the member's identity, which never changes and is unique within the namespace. It is also the name of
	// a room that holds just this member. In a cluster 20 characters out of A–Z, a–z, 0–9, - and _ serve best, the form
	// of Socket.IO's ids: drivers know them by it, while each other id may cost them a subscription.
	ID() string
	// Deliver hands over a message. It is called under a read lock of the room, so it must neither block nor call the
	// adapter's Add, Remove, Join or Leave on its own goroutine. A call may still arrive just after Remove returned.
	Deliver(m *Message)
	// Disconnect ends the member, and with closeConnection also the connection it shares with other namespaces. It is
	// called without locks and must not block.
	Disconnect(closeConnection bool)
}

// Asker is a Member that can answer a message. A driver asks it when another node broadcasts with acknowledgement;
// members that are no Asker receive such a message through Deliver and are not waited for.
type Asker interface {
	Member
	// Ask delivers m and calls reply at most once, with the JSON of the answer's first argument ("null" when it has
	// none) and the attachments its placeholders name. After timeout an answer is no longer wanted and the member
	// forgets the question; a timeout of zero or less means the asking node gave none. Ask must not block.
	Ask(m *Message, timeout time.Duration, reply func(argument []byte, attachments [][]byte))
}

// Snapshotter is a Member that can describe itself to other nodes.
type Snapshotter interface {
	Member
	// Snapshot returns the JSON object {id, handshake, rooms, data} that a Node.js node expects from fetchSockets().
	Snapshot() ([]byte, error)
}

// Target says who is meant. The zero value means every member of the namespace on every node.
type Target struct {
	// Rooms are the rooms that receive, each member once however many of them it is in. A member's id is a room.
	// None means everyone.
	Rooms []string
	// Except are the rooms whose members do not receive. A member's id is a room.
	Except []string
	// Local keeps it on this node.
	Local bool
}
