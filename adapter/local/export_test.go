package local

import (
	"bufio"
	"bytes"

	"github.com/peal-dev/peal/adapter/internal/pealwire"
)

// IDSize is the length of what a process says first on its connection.
const IDSize = idSize

// Frame is what a frame says.
type Frame struct {
	Kind           byte
	ID             string
	Number         uint64
	To             string
	Namespace, UID string
	Body           string
}

// Kinds is one more than the last kind, and Direct the one of a frame for one process.
const Kinds, Direct = byte(kinds), byte(direct)

// Append makes the frame.
func (f Frame) Append() []byte {
	rest := append(pealwire.AppendText(pealwire.AppendText(nil, f.Namespace), f.UID), f.Body...)
	return append(header(kind(f.Kind), f.ID, f.Number, f.To, len(rest)), rest...)
}

// ReadFrame reads one.
func ReadFrame(b []byte) (f Frame, err error) {
	frame, start, err := readFrame(bufio.NewReader(bytes.NewReader(b)))
	if err != nil {
		return f, err
	}
	e, err := parse(frame[start:])
	if err != nil {
		return f, err
	}
	namespace, uid, body, err := splitMessage(e.rest)
	return Frame{byte(e.kind), e.id, e.number, e.to, string(namespace), string(uid), string(body)}, err
}

// Cut ends the connection to the host.
func (d *Driver) Cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cut()
}
