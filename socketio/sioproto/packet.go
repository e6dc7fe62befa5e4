package sioproto

import (
	"strconv"

	"github.com/peal-dev/peal/message"
)

// Type is the kind of a packet; its decimal digit is the first byte on the wire.
type Type byte

// The packet types of the protocol. BinaryEvent and BinaryAck exist only on the wire: in memory an event with
// attachments is an Event, an acknowledgement with attachments is an Ack.
const (
	Connect Type = iota
	Disconnect
	Event
	Ack
	ConnectError
	BinaryEvent
	BinaryAck
)

// String returns the name the protocol gives to t.
func (t Type) String() string {
	switch t {
	case Connect:
		return "CONNECT"
	case Disconnect:
		return "DISCONNECT"
	case Event:
		return "EVENT"
	case Ack:
		return "ACK"
	case ConnectError:
		return "CONNECT_ERROR"
	case BinaryEvent:
		return "BINARY_EVENT"
	case BinaryAck:
		return "BINARY_ACK"
	}
	return "unknown packet type " + strconv.Itoa(int(t))
}

// MaxID is the largest packet id: the largest integer that a JavaScript number holds exactly.
const MaxID = 1<<53 - 1

// DefaultMaxAttachments is the number of attachments official clients accept in one packet. They close the
// connection when a packet announces more.
const DefaultMaxAttachments = message.DefaultMaxAttachments

// Packet is one Socket.IO packet. The zero value is a CONNECT without payload for the root namespace.
type Packet struct {
	// Namespace is the full name with its leading slash. Both "/" and "" mean the root namespace; the decoder
	// always sets "/".
	Namespace string
	// Data is the raw JSON payload: an array for Event and Ack, an object (or nothing) for Connect and
	// ConnectError. Nil means that the packet has no payload.
	Data []byte
	// Attachments are the binary parts that the placeholders in Data refer to by index.
	Attachments [][]byte
	// ID ties an Ack to its Event. It counts only with HasID.
	ID uint64
	// Type is the kind of the packet, never BinaryEvent or BinaryAck.
	Type Type
	// HasID reports whether the packet carries ID. An Event with an ID asks for an Ack.
	HasID bool
}

// AppendText appends the text packet for p, without an Engine.IO prefix, to dst. The attachments of p are to follow
// as binary messages of their own, in order, with nothing between. AppendText does not check p.
func AppendText(dst []byte, p *Packet) []byte {
	t := p.Type
	if len(p.Attachments) > 0 {
		switch t {
		case Event:
			t = BinaryEvent
		case Ack:
			t = BinaryAck
		}
	}
	dst = append(dst, '0'+byte(t))
	if t == BinaryEvent || t == BinaryAck {
		dst = strconv.AppendInt(dst, int64(len(p.Attachments)), 10)
		dst = append(dst, '-')
	}
	if p.Namespace != "" && p.Namespace != "/" {
		dst = append(dst, p.Namespace...)
		dst = append(dst, ',')
	}
	if p.HasID {
		dst = strconv.AppendUint(dst, p.ID, 10)
	}
	return append(dst, p.Data...)
}
