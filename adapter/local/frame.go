package local

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/peal-dev/peal/adapter/internal/pealwire"
	"github.com/peal-dev/peal/adapter/nodewire"
)

// maxFrame is the length of the longest frame, far above what clients and the HTTP API may send.
const maxFrame = 256 << 20

// kind says what a frame is.
type kind byte

const (
	numbered kind = iota + 1 // a message for all others
	again                    // one that was sent before, to a host that has ended
	note                     // a message for all others, or none, that is sent once; says the number of the latest numbered one
	direct                   // a message for the process that it names
	probe                    // a message that goes back to its sender
	here                     // the host says that its sender is connected
	gone                     // the host says that its sender is connected no more
	kinds
)

// A frame is its length, a kind, the id of the process that sent it, a number, for a direct one the id of whom it is for, and
// a message: its namespace behind its length, the name of the link that sent it behind its length, and what package nodewire
// makes of it. All lengths and numbers are varints.

// header makes what precedes a message of so many bytes.
func header(k kind, id string, number uint64, to string, size int) []byte {
	b := make([]byte, 0, 2*binary.MaxVarintLen64+1+2*idSize)
	var n [binary.MaxVarintLen64]byte
	digits := binary.PutUvarint(n[:], number)
	b = binary.AppendUvarint(b, uint64(1+idSize+digits+len(to)+size))
	b = append(append(append(b, byte(k)), id...), n[:digits]...)
	return append(b, to...)
}

// envelope is a frame that was taken apart.
type envelope struct {
	kind   kind
	id     string
	number uint64
	to     string // of a direct one
	rest   []byte // the message
}

var errFrame = errors.New("local: malformed frame")

// parse takes a frame apart, without its length.
func parse(b []byte) (e envelope, err error) {
	if len(b) < 1+idSize {
		return e, errFrame
	}
	e.kind, e.id, b = kind(b[0]), string(b[1:1+idSize]), b[1+idSize:]
	number, n := binary.Uvarint(b)
	if e.kind == 0 || e.kind >= kinds || n <= 0 {
		return e, errFrame
	}
	e.number, e.rest = number, b[n:]
	if e.kind == direct {
		if len(e.rest) < idSize {
			return e, errFrame
		}
		e.to, e.rest = string(e.rest[:idSize]), e.rest[idSize:]
	}
	return e, nil
}

// appendMessage makes the message of a frame.
func appendMessage(m *nodewire.Message) ([]byte, error) {
	b := pealwire.AppendText(pealwire.AppendText(make([]byte, 0, len(m.Namespace)+len(m.UID)+len(m.Data)+128), m.Namespace), m.UID)
	b, err := m.Append(b)
	if err == nil && len(b) > maxFrame/2 {
		err = fmt.Errorf("local: a message of %d bytes is longer than the %d that one may have", len(b), maxFrame/2)
	}
	return b, err
}

// splitMessage takes the message of a frame apart.
func splitMessage(b []byte) (namespace, uid, body []byte, err error) {
	if namespace, b, err = pealwire.CutText(b); err == nil {
		uid, body, err = pealwire.CutText(b)
	}
	return namespace, uid, body, err
}

// readFrame reads one frame, and returns it with its length and where that ends.
func readFrame(r *bufio.Reader) (frame []byte, start int, err error) {
	size, err := binary.ReadUvarint(r)
	switch {
	case err != nil:
		return nil, 0, err
	case size > maxFrame:
		return nil, 0, errFrame
	}
	var length [binary.MaxVarintLen64]byte
	start = binary.PutUvarint(length[:], size)
	frame = make([]byte, start+int(size))
	copy(frame, length[:start])
	_, err = io.ReadFull(r, frame[start:])
	return frame, start, err
}
