package eioproto

import (
	"encoding/base64"
	"errors"
	"fmt"
)

// PacketType says what a packet is for. Its zero value is Open.
type PacketType byte

// The packet types of the protocol, by their digit on the wire.
const (
	Open    PacketType = iota // sent by the server to open a session
	Close                     // asks the other side to close the session
	Ping                      // heartbeat, from the server; or the probe of an upgrade, from the client
	Pong                      // answer to a ping
	Message                   // a message of the layer above
	Upgrade                   // completes an upgrade
	Noop                      // does nothing; ends a poll
)

// String returns the name of the type in lower case.
func (t PacketType) String() string {
	names := [...]string{"open", "close", "ping", "pong", "message", "upgrade", "noop"}
	if int(t) < len(names) {
		return names[t]
	}
	return fmt.Sprintf("PacketType(%d)", byte(t))
}

// Separator stands between the packets of a payload (the record separator, 0x1e).
const Separator = 0x1e

// ErrPacket is wrapped by every error of this package: bytes that are not an Engine.IO packet. A session that
// receives such bytes is closed with the reason "parse error".
var ErrPacket = errors.New("not an Engine.IO packet")

// Packet is one Engine.IO packet. Its zero value is an Open packet without data.
type Packet struct {
	Type   PacketType
	Binary bool   // only a Message can be binary
	Data   []byte // without the type digit; aliases the input after Decode, except for decoded base64
}

// AppendText appends p in its text form to dst and returns the extended slice.
func AppendText(dst []byte, p Packet) []byte {
	if p.Binary {
		dst = append(dst, 'b')
		return base64.StdEncoding.AppendEncode(dst, p.Data)
	}
	dst = append(dst, '0'+byte(p.Type))
	return append(dst, p.Data...)
}

// Decode reads one packet in its text form. Data of the result aliases b unless it was base64.
func Decode(b []byte) (Packet, error) {
	if len(b) == 0 {
		return Packet{}, fmt.Errorf("%w: it is empty", ErrPacket)
	}
	switch c := b[0]; {
	case c >= '0' && c <= '6':
		return Packet{Type: PacketType(c - '0'), Data: b[1:]}, nil
	case c == 'b':
		data, err := decodeBase64(b[1:])
		if err != nil {
			return Packet{}, err
		}
		return Packet{Type: Message, Binary: true, Data: data}, nil
	default:
		return Packet{}, fmt.Errorf("%w: unknown type %q", ErrPacket, c)
	}
}

// decodeBase64 accepts the standard and the URL-safe alphabet, with or without padding, because clients send both.
func decodeBase64(b []byte) ([]byte, error) {
	for len(b) > 0 && b[len(b)-1] == '=' {
		b = b[:len(b)-1]
	}
	std := make([]byte, len(b))
	for i, c := range b {
		switch c {
		case '-':
			c = '+'
		case '_':
			c = '/'
		}
		std[i] = c
	}
	n, err := base64.RawStdEncoding.Decode(std, std)
	if err != nil {
		return nil, fmt.Errorf("%w: base64: %w", ErrPacket, err)
	}
	return std[:n], nil
}
