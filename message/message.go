package message

import (
	"sync"
	"sync/atomic"

	"github.com/peal-dev/peal/internal/jsonscan"
	"github.com/peal-dev/peal/internal/utf8text"
)

// Message is one event on its way to its members. It is immutable once it was broadcast; everything derived from it is
// made at most once and shared. Make one with [New] or [Parse].
type Message struct {
	// Data is the JSON array [event, args…], in which binary arguments are placeholders into Attachments.
	Data []byte
	// Attachments are the binary arguments.
	Attachments [][]byte
	// Volatile says that a member which cannot take the message at once may drop it.
	Volatile bool
	// Offset is the message's place in the log of its namespace, the same on every node: the log sets it before anybody
	// sees the message. It is zero where there is no log. Nothing else numbers messages.
	Offset Offset

	parse     sync.Once
	event     string
	args      []byte
	encodings [maxFormats]atomic.Pointer[encoding]
}

// New returns the message of an event as [Check] takes it, which is the caller's word: for bytes from elsewhere use
// [Parse]. It takes ownership of the slices.
func New(data []byte, attachments ...[]byte) *Message {
	return &Message{Data: data, Attachments: attachments}
}

// Parse is [New] for an event that comes from outside: another node, a request. It is refused unless [Check] finds that
// clients take it, with the error of that, and what in it is no UTF-8 becomes U+FFFD.
func Parse(data []byte, attachments [][]byte, maxAttachments int) (*Message, error) {
	if err := Check(data, len(attachments), maxAttachments); err != nil {
		return nil, err
	}
	return New(utf8text.Bytes(data), attachments...), nil
}

// Event returns the event's name, which for a number is its decimal text, or "" if Data is no event. It is parsed at the
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

// Size returns how many bytes the event has, with its attachments.
func (m *Message) Size() int {
	n := len(m.Data)
	for _, a := range m.Attachments {
		n += len(a)
	}
	return n
}

func (m *Message) split() {
	m.args = noArgs
	data := m.Data
	start := jsonscan.Space(data, 0)
	if start == len(data) || data[start] != '[' {
		return
	}
	start = jsonscan.Space(data, start+1)
	end := jsonscan.Value(data, start, 1)
	if end < 0 {
		return
	}
	name, err := EventName(data[start:end])
	if err != nil {
		return
	}
	m.event = name
	if rest := jsonscan.Space(data, end); rest < len(data) && data[rest] == ',' {
		m.args = append(append(make([]byte, 0, len(data)-rest), '['), data[rest+1:]...)
	}
}
