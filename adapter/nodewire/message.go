package nodewire

import (
	"strconv"
	"time"
)

// Type says what a [Message] is: socket.io-adapter's MessageType.
type Type uint8

// The types of message.
const (
	InitialHeartbeat       Type = iota + 1 // somebody is new: answer with a Heartbeat
	Heartbeat                              // the sender is there
	Broadcast                              // deliver; with a RequestID, answer with a BroadcastClientCount and a BroadcastAck of each client
	SocketsJoin                            // put sockets into ChangeRooms
	SocketsLeave                           // take them out
	DisconnectSockets                      // disconnect them
	FetchSockets                           // answer with a FetchSocketsResponse
	FetchSocketsResponse                   //
	ServerSideEmit                         // an event for the nodes; with a RequestID, answer with a ServerSideEmitResponse
	ServerSideEmitResponse                 //
	BroadcastClientCount                   // how many clients the sender asks
	BroadcastAck                           // what one of them answers
	AdapterClose                           // the sender leaves
)

// String returns the name of the type, or its number.
func (t Type) String() string {
	if t < InitialHeartbeat || t > AdapterClose {
		return "type " + strconv.Itoa(int(t))
	}
	return [...]string{"initial heartbeat", "heartbeat", "broadcast", "join", "leave", "disconnect", "fetch", "fetch response",
		"event", "event response", "client count", "ack", "close"}[t-1]
}

// Response reports whether the message answers a question of one node, which is all that wants it.
func (t Type) Response() bool {
	switch t {
	case FetchSocketsResponse, ServerSideEmitResponse, BroadcastClientCount, BroadcastAck:
		return true
	}
	return false
}

// Emitter is the UID of what emitters send, which are no nodes.
const Emitter = "emitter"

// Message is one message between adapters. The fields that have no meaning for its Type are zero.
type Message struct {
	Type Type
	// UID is the name of who sent it: a node, in one namespace; or [Emitter].
	UID string
	// Namespace is "" where the sender left it out, as PostgreSQL's emitter does: the channel says it then.
	Namespace string
	// RequestID is what answers are known by. A Broadcast or ServerSideEmit without one wants none.
	RequestID string

	// Rooms and Except say which sockets are meant, as in [message.Target].
	Rooms, Except []string
	// Volatile is a flag of a Broadcast.
	Volatile bool
	// Timeout is how long answers are wanted. 0 means that the sender does not say.
	Timeout time.Duration
	// ChangeRooms are the rooms to join or leave.
	ChangeRooms []string
	// Close is for DisconnectSockets: close the whole connection too.
	Close bool

	// Data is JSON, with placeholders into Attachments: the array [event, args…] of a Broadcast or ServerSideEmit, the
	// one value of a BroadcastAck or ServerSideEmitResponse. It is not checked to be an event that clients take.
	Data        []byte
	Attachments [][]byte
	// Sockets are the JSON objects of a FetchSocketsResponse.
	Sockets [][]byte
	// ClientCount is of a BroadcastClientCount.
	ClientCount int

	// What follows is between Peal nodes. Peal says that the sender is one, and reads it.
	Peal bool
	// Private is of a Broadcast: it is for the socket whose id is in Rooms, and not for a room of that name.
	Private bool
	// Want is of a FetchSockets that wants Names in the answer instead of sockets. Node.js nodes send sockets.
	Want Want
	// Names are of a FetchSocketsResponse.
	Names []string
	// Member is who answers with a BroadcastAck; Gone says that it does not because it went away.
	Member string
	Gone   bool
	// Nodes are of a Heartbeat: the nodes the sender knows.
	Nodes []string
	// Probe is a number in a Heartbeat that a node sends to itself.
	Probe uint64
	// Home is the name of the process that the sender is in, in heartbeats: with it, one stands for all namespaces.
	Home string
	// Beat is in a Heartbeat what the sender has published, in the form of package numbers.
	Beat []byte
	// First and Last are in a Heartbeat to one node the numbers of the beats that it is to say again.
	First, Last uint64
}

// Want is what a FetchSockets wants instead of whole sockets.
type Want string

// What a FetchSockets may want.
const (
	WantSockets Want = ""
	WantIDs     Want = "ids"   // the ids of the meant sockets
	WantRooms   Want = "rooms" // the names of all rooms
)
