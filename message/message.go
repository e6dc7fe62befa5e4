package message

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

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
	// ID is "<ms>-<seq>": milliseconds since 1970 and a counter. Each ID a process makes is greater than the one before.
	ID string
	// Offset is the place of the message in the log of its namespace. Zero means that there is no log, or none yet.
	Offset Offset

	parse     sync.Once
	event     string
	args      []byte
	encodings [maxFormats]atomic.Pointer[encoding]
}

// New returns a message with a fresh ID of an event as [Check] takes it, which is the caller's word: for bytes from
// elsewhere use [Parse]. It takes ownership of the slices.
func New(data []byte, attachments ...[]byte) *Message {
	return &Message{Data: data, Attachments: attachments, ID: nextID()}
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
