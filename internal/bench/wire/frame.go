package wire

import (
	"encoding/binary"
	"errors"
)

// Opcode says what a WebSocket frame carries (RFC 6455 section 5.2).
type Opcode byte

// The opcodes a client meets.
const (
	Text   Opcode = 0x1
	Binary Opcode = 0x2
	Close  Opcode = 0x8
	Ping   Opcode = 0x9
	Pong   Opcode = 0xa
)

// mask is the same in every frame: nothing between a load generator and its server needs unpredictable ones, and a
// server has the same work with it.
var mask = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// AppendFrame appends a client's frame, masked, to dst and returns the extended slice.
func AppendFrame(dst []byte, op Opcode, payload []byte) []byte {
	dst = append(dst, 0x80|byte(op))
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, 0x80|byte(n))
	case n <= 0xffff:
		dst = binary.BigEndian.AppendUint16(append(dst, 0x80|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 0x80|127), uint64(n))
	}
	dst = append(dst, mask[:]...)
	start := len(dst)
	dst = append(dst, payload...)
	for i := start; i < len(dst); i++ {
		dst[i] ^= mask[(i-start)&3]
	}
	return dst
}

// Frame is a server's frame. Its payload points into the bytes it was read from.
type Frame struct {
	Op      Opcode
	Payload []byte
}

// ErrFrame is returned for bytes that no server sends that speaks to this client: fragments, masked or compressed frames.
var ErrFrame = errors.New("not an unfragmented, unmasked WebSocket frame without extensions")

// maxFrame bounds the length of a frame.
const maxFrame = 64 << 20

// DecodeFrame reads the frame at the start of p and returns its length, or 0 if p does not hold all of it yet.
func DecodeFrame(p []byte) (f Frame, size int, err error) {
	if len(p) < 2 {
		return f, 0, nil
	}
	if p[0]&0xf0 != 0x80 || p[1]&0x80 != 0 {
		return f, 0, ErrFrame
	}
	n, at := uint64(p[1]), 2
	switch n {
	case 126:
		if len(p) < 4 {
			return f, 0, nil
		}
		n, at = uint64(binary.BigEndian.Uint16(p[2:])), 4
	case 127:
		if len(p) < 10 {
			return f, 0, nil
		}
		n, at = binary.BigEndian.Uint64(p[2:]), 10
	}
	if n > maxFrame {
		return f, 0, ErrFrame
	}
	end := at + int(n)
	if len(p) < end {
		return f, 0, nil
	}
	return Frame{Op: Opcode(p[0] & 0x0f), Payload: p[at:end:end]}, end, nil
}
