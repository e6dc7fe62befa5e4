package wsproto

import (
	"encoding/binary"
	"unicode/utf8"
)

// Sink takes what a Reader finds. An error stops the Reader, which returns it.
type Sink interface {
	// Frame is called for each complete message (Text or Binary) and each control frame (Close, Ping, Pong), in order.
	// The payload is valid only during the call.
	Frame(op Opcode, payload []byte) error
}

// Reader assembles the frames of one client. Its zero value is ready to use. It is not safe for concurrent use.
type Reader struct {
	pending *pending // nil while the last byte fed ended a message
}

type pending struct {
	frame   []byte // bytes of an incomplete frame, header included
	message []byte // payload of the fragments so far
	op      Opcode // of the fragmented message; Continuation if there is none
}

// Buffered returns how many bytes the Reader holds of incomplete frames and messages.
func (r *Reader) Buffered() int {
	if r.pending == nil {
		return 0
	}
	return len(r.pending.frame) + len(r.pending.message)
}

// Feed parses the next bytes of the connection and hands what they complete to sink. It unmasks p in place. Messages
// longer than limit bytes are refused before they are buffered. An error is a *ProtocolError or came from sink; the
// Reader must not be fed after it.
func (r *Reader) Feed(p []byte, limit int, sink Sink) error {
	for len(p) > 0 {
		if r.pending != nil && len(r.pending.frame) > 0 {
			rest, err := r.completeFrame(p, limit, sink)
			if err != nil {
				return err
			}
			p = rest
			continue
		}
		h, err := parseHeader(p, limit)
		if err != nil {
			return err
		}
		if h.size == 0 || len(p) < h.size+h.length {
			pend := r.pend()
			pend.frame = append(pend.frame, p...)
			return nil
		}
		if err := r.frame(h, p[h.size:h.size+h.length], limit, sink); err != nil {
			return err
		}
		p = p[h.size+h.length:]
	}
	return nil
}

// completeFrame moves bytes from p to the incomplete frame until that is whole, and returns what is left of p. It takes
// no byte of the next frame, so what follows is parsed where it lies.
func (r *Reader) completeFrame(p []byte, limit int, sink Sink) (rest []byte, err error) {
	pend := r.pending
	for {
		h, err := parseHeader(pend.frame, limit)
		if err != nil {
			return nil, err
		}
		want := len(pend.frame) + 1 // one more byte of the header
		if h.size > 0 {
			want = h.size + h.length
		}
		if n := min(want-len(pend.frame), len(p)); n > 0 {
			pend.frame = append(pend.frame, p[:n]...)
			p = p[n:]
		}
		if len(pend.frame) < want {
			return nil, nil
		}
		if h.size > 0 {
			frame := pend.frame
			pend.frame = nil
			return p, r.frame(h, frame[h.size:], limit, sink)
		}
	}
}

func (r *Reader) pend() *pending {
	if r.pending == nil {
		r.pending = new(pending)
	}
	return r.pending
}

// frame handles one whole frame.
func (r *Reader) frame(h header, payload []byte, limit int, sink Sink) error {
	unmask(payload, h.mask)
	switch h.op {
	case Ping, Pong:
		return r.release(sink.Frame(h.op, payload))
	case Close:
		if err := checkClose(payload); err != nil {
			return err
		}
		return r.release(sink.Frame(Close, payload))
	}
	fragmented := r.pending != nil && r.pending.op != Continuation
	switch {
	case h.op == Continuation && !fragmented:
		return &ProtocolError{CloseProtocolError, "a continuation frame continues nothing"}
	case h.op != Continuation && fragmented:
		return &ProtocolError{CloseProtocolError, "a new message began before the last one ended"}
	case h.fin && !fragmented:
		return r.release(r.message(h.op, payload, sink))
	}
	pend := r.pend()
	if !fragmented {
		pend.op = h.op
	}
	if len(pend.message)+len(payload) > limit {
		return tooBig(limit)
	}
	pend.message = append(pend.message, payload...)
	if !h.fin {
		return nil
	}
	op, message := pend.op, pend.message
	pend.op, pend.message = Continuation, nil
	return r.release(r.message(op, message, sink))
}

func (r *Reader) message(op Opcode, payload []byte, sink Sink) error {
	if op == Text && !utf8.Valid(payload) {
		return &ProtocolError{CloseInvalidData, "a text message is not UTF-8"}
	}
	return sink.Frame(op, payload)
}

// release gives the buffers back once nothing is incomplete.
func (r *Reader) release(err error) error {
	if p := r.pending; p != nil && len(p.frame) == 0 && p.op == Continuation {
		r.pending = nil
	}
	return err
}

func checkClose(payload []byte) error {
	if len(payload) == 0 {
		return nil
	}
	if len(payload) == 1 {
		return &ProtocolError{CloseProtocolError, "a close frame has half a code"}
	}
	code := binary.BigEndian.Uint16(payload)
	if code < 1000 || code >= 5000 || (code >= 1004 && code <= 1006) || (code >= 1015 && code < 3000) {
		return &ProtocolError{CloseProtocolError, "a close frame has an invalid code"}
	}
	if !utf8.Valid(payload[2:]) {
		return &ProtocolError{CloseInvalidData, "a close reason is not UTF-8"}
	}
	return nil
}
