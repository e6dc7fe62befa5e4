package wsproto

import (
	"encoding/binary"
	"unicode/utf8"
)

// Reader assembles the frames of one client. Its zero value is ready to use. It is not safe for concurrent use.
type Reader struct {
	pending *pending // nil while the last byte read ended a message
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

// Next reads p, the next bytes of the connection, up to the end of the first message (Text or Binary) or control frame
// (Close, Ping, Pong), and returns that and the bytes behind it. The opcode is Continuation if p is used up and ends
// nothing. Next unmasks p in place; the payload is valid until the caller changes p. Messages longer than limit bytes are
// refused before they are buffered. An error is a *ProtocolError; the Reader must not be used after it.
func (r *Reader) Next(p []byte, limit int) (op Opcode, payload, rest []byte, err error) {
	for len(p) > 0 {
		if r.pending != nil && len(r.pending.frame) > 0 {
			op, payload, p, err = r.completeFrame(p, limit)
		} else {
			h, herr := parseHeader(p, limit)
			if herr != nil {
				return Continuation, nil, nil, herr
			}
			if h.size == 0 || len(p) < h.size+h.length {
				pend := r.pend()
				pend.frame = append(pend.frame, p...)
				return Continuation, nil, nil, nil
			}
			end := h.size + h.length
			op, payload, err = r.frame(h, p[h.size:end:end], limit)
			p = p[end:]
		}
		if op != Continuation || err != nil {
			return op, payload, p, err
		}
	}
	return Continuation, nil, nil, nil
}

// completeFrame moves bytes from p to the incomplete frame until that is whole, and returns what is left of p. It takes
// no byte of the next frame, so what follows is parsed where it lies.
func (r *Reader) completeFrame(p []byte, limit int) (op Opcode, payload, rest []byte, err error) {
	pend := r.pending
	for {
		h, err := parseHeader(pend.frame, limit)
		if err != nil {
			return Continuation, nil, nil, err
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
			return Continuation, nil, nil, nil
		}
		if h.size > 0 {
			frame := pend.frame
			pend.frame = nil
			op, payload, err = r.frame(h, frame[h.size:], limit)
			return op, payload, p, err
		}
	}
}

func (r *Reader) pend() *pending {
	if r.pending == nil {
		r.pending = new(pending)
	}
	return r.pending
}

// frame handles one whole frame and returns what it ends; Continuation if it is a fragment.
func (r *Reader) frame(h header, payload []byte, limit int) (Opcode, []byte, error) {
	unmask(payload, h.mask)
	switch h.op {
	case Close:
		if err := checkClose(payload); err != nil {
			return Continuation, nil, err
		}
		fallthrough
	case Ping, Pong:
		r.release()
		return h.op, payload, nil
	}
	fragmented := r.pending != nil && r.pending.op != Continuation
	switch {
	case h.op == Continuation && !fragmented:
		return Continuation, nil, &ProtocolError{CloseProtocolError, "a continuation frame continues nothing"}
	case h.op != Continuation && fragmented:
		return Continuation, nil, &ProtocolError{CloseProtocolError, "a new message began before the last one ended"}
	case h.fin && !fragmented:
		return r.message(h.op, payload)
	}
	pend := r.pend()
	if !fragmented {
		pend.op = h.op
	}
	if len(pend.message)+len(payload) > limit {
		return Continuation, nil, tooBig(limit)
	}
	pend.message = append(pend.message, payload...)
	if !h.fin {
		return Continuation, nil, nil
	}
	op, message := pend.op, pend.message
	pend.op, pend.message = Continuation, nil
	return r.message(op, message)
}

func (r *Reader) message(op Opcode, payload []byte) (Opcode, []byte, error) {
	r.release()
	if op == Text && !utf8.Valid(payload) {
		return Continuation, nil, &ProtocolError{CloseInvalidData, "a text message is not UTF-8"}
	}
	return op, payload, nil
}

// release gives the buffers back once nothing is incomplete.
func (r *Reader) release() {
	if p := r.pending; p != nil && len(p.frame) == 0 && p.op == Continuation {
		r.pending = nil
	}
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
