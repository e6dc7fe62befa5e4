package adapter

import (
	"bytes"
	"encoding/json"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/peal-dev/peal/socketio/sioproto"
)

// Message is one event on its way to its members. It is immutable once it was broadcast; everything derived from it is
// made at most once and shared. Make one with [NewMessage].
type Message struct {
	// Packet is of type Event with its namespace set. Data is the JSON array [event, args…], in which binary arguments
	// are placeholders into Attachments.
	Packet sioproto.Packet
	// Volatile says that a member which cannot take the message at once may drop it.
	Volatile bool
	// ID is "<ms>-<seq>": milliseconds since 1970 and a counter. Each ID a process makes is greater than the one before.
	ID string

	parse     sync.Once
	event     string
	args      []byte
	encodings [maxFormats]atomic.Pointer[encoding]
}

// NewMessage returns a message with a fresh ID that carries p. It takes ownership of p's slices.
// An empty namespace becomes "/".
func NewMessage(p sioproto.Packet) *Message {
	if p.Namespace == "" {
		p.Namespace = "/"
	}
	return &Message{Packet: p, ID: nextID()}
}

// Event returns the event's name, or "" if Packet.Data is no array that starts with a string. It is parsed at the
// first call; safe for concurrent use.
func (m *Message) Event() string {
	m.parse.Do(m.split)
	return m.event
}

// Args returns the JSON array of the arguments, without the event's name. It is made at the first call and must not be
// changed; safe for concurrent use.
func (m *Message) Args() []byte {
	m.parse.Do(m.split)
	return m.args
}

var noArgs = []byte("[]")

func (m *Message) split() {
	m.args = noArgs
	data := bytes.TrimLeft(m.Packet.Data, jsonSpace)
	if len(data) == 0 || data[0] != '[' {
		return
	}
	data = bytes.TrimLeft(data[1:], jsonSpace)
	end := stringEnd(data)
	if end < 0 {
		return
	}
	name, rest := data[:end], bytes.TrimLeft(data[end:], jsonSpace)
	if bytes.IndexByte(name, '\\') < 0 {
		m.event = string(name[1 : len(name)-1])
	} else if json.Unmarshal(name, &m.event) != nil {
		return
	}
	if len(rest) > 0 && rest[0] == ',' {
		m.args = append(append(make([]byte, 0, len(rest)), '['), rest[1:]...)
	}
}

const jsonSpace = " \t\r\n"

// stringEnd returns the length of the JSON string literal that data starts with, or -1.
func stringEnd(data []byte) int {
	if len(data) == 0 || data[0] != '"' {
		return -1
	}
	for i := 1; i < len(data); i++ {
		switch data[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return -1
}

// lastID packs milliseconds and counter of the newest ID as ms<<idSeqBits | seq.
var lastID atomic.Uint64

const idSeqBits = 20

func nextID() string {
	now := uint64(time.Now().UnixMilli()) << idSeqBits
	for {
		last := lastID.Load()
		// A clock that stands still or goes back only moves the counter, and a counter that overflows borrows a
		// millisecond of the future: IDs never repeat and never go back.
		next := max(now, last+1)
		if lastID.CompareAndSwap(last, next) {
			b := make([]byte, 0, 24)
			b = strconv.AppendUint(b, next>>idSeqBits, 10)
			b = append(b, '-')
			b = strconv.AppendUint(b, next&(1<<idSeqBits-1), 10)
			return string(b)
		}
	}
}
