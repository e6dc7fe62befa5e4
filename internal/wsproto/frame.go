package wsproto

import (
	"crypto/sha1" // RFC 6455 section 1.3 asks for SHA-1; nothing secret depends on it
	"encoding/base64"
	"encoding/binary"
	"fmt"
)

// Opcode says what a frame carries (RFC 6455 section 5.2).
type Opcode byte

// The opcodes of RFC 6455.
const (
	Continuation Opcode = 0x0
	Text         Opcode = 0x1
	Binary       Opcode = 0x2
	Close        Opcode = 0x8
	Ping         Opcode = 0x9
	Pong         Opcode = 0xa
)

// The close codes this package uses (RFC 6455 section 7.4.1).
const (
	CloseProtocolError = 1002
	CloseInvalidData   = 1007
	CloseTooBig        = 1009
)

// ProtocolError says how a client broke the protocol and with which close code to answer it.
type ProtocolError struct {
	Code   uint16 // close code for the answer
	Reason string // for logs and for the close frame
}

// Error returns the reason and the close code.
func (e *ProtocolError) Error() string {
	return fmt.Sprintf("websocket: %s (close code %d)", e.Reason, e.Code)
}

const (
	// MaxHeader is the length of the longest frame header, mask included.
	MaxHeader = 14
	// MaxServerHeader is the length of the longest header of a server's frame, which has no mask.
	MaxServerHeader = 10
)

const (
	finBit  = 0x80
	rsvBits = 0x70
	maskBit = 0x80
)

// AppendHeader appends the header of an unfragmented, unmasked frame with n payload bytes, as a server sends it, to dst
// and returns the extended slice.
func AppendHeader(dst []byte, op Opcode, n int) []byte {
	dst = append(dst, finBit|byte(op))
	switch {
	case n < 126:
		return append(dst, byte(n))
	case n <= 0xffff:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
	}
}

// AppendFrame appends an unfragmented, unmasked frame to dst and returns the extended slice.
func AppendFrame(dst []byte, op Opcode, payload []byte) []byte {
	return append(AppendHeader(dst, op, len(payload)), payload...)
}

// AppendClose appends a close frame to dst and returns the extended slice. Code 0 makes the empty close frame, which the
// peer reports as 1005. A reason longer than a control frame holds is cut.
func AppendClose(dst []byte, code uint16, reason string) []byte {
	if code == 0 {
		return AppendHeader(dst, Close, 0)
	}
	if len(reason) > 123 {
		reason = reason[:123]
	}
	dst = AppendHeader(dst, Close, 2+len(reason))
	dst = binary.BigEndian.AppendUint16(dst, code)
	return append(dst, reason...)
}

// AcceptKey returns the value of Sec-WebSocket-Accept for a client's Sec-WebSocket-Key (RFC 6455 section 4.2.2).
func AcceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// header is a parsed frame header.
type header struct {
	fin    bool
	op     Opcode
	length int
	mask   [4]byte
	size   int // of the header itself
}

// parseHeader reads a client's frame header. It returns size 0 if b does not hold all of it yet.
func parseHeader(b []byte, limit int) (h header, err error) {
	if len(b) < 2 {
		return header{}, nil
	}
	if b[0]&rsvBits != 0 {
		return h, &ProtocolError{CloseProtocolError, "reserved bits are set without a negotiated extension"}
	}
	h.fin, h.op = b[0]&finBit != 0, Opcode(b[0]&0x0f)
	if b[1]&maskBit == 0 {
		return h, &ProtocolError{CloseProtocolError, "a client frame is not masked"}
	}
	length, at := uint64(b[1]&0x7f), 2
	switch length {
	case 126:
		if len(b) < 4 {
			return header{}, nil
		}
		length, at = uint64(binary.BigEndian.Uint16(b[2:])), 4
	case 127:
		if len(b) < 10 {
			return header{}, nil
		}
		length, at = binary.BigEndian.Uint64(b[2:]), 10
	}
	switch h.op {
	case Close, Ping, Pong:
		if length > 125 || !h.fin {
			return h, &ProtocolError{CloseProtocolError, "a control frame is fragmented or longer than 125 bytes"}
		}
	case Continuation, Text, Binary:
		if length > uint64(limit) {
			return h, tooBig(limit)
		}
	default:
		return h, &ProtocolError{CloseProtocolError, fmt.Sprintf("opcode %#x is unknown", byte(h.op))}
	}
	if len(b) < at+4 {
		return header{}, nil
	}
	h.length, h.size = int(length), at+4
	copy(h.mask[:], b[at:])
	return h, nil
}

func tooBig(limit int) *ProtocolError {
	return &ProtocolError{CloseTooBig, fmt.Sprintf("Max payload size exceeded: a message is longer than %d bytes", limit)}
}

// unmask applies the mask to b in place, eight bytes at a time.
func unmask(b []byte, mask [4]byte) {
	m32 := uint64(binary.LittleEndian.Uint32(mask[:]))
	m64 := m32 | m32<<32
	i := 0
	for ; i+8 <= len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], binary.LittleEndian.Uint64(b[i:])^m64)
	}
	for ; i < len(b); i++ {
		b[i] ^= mask[i&3]
	}
}
