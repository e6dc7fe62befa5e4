package eventlog

import (
	"fmt"
	"sync"
	"weak"

	"github.com/peal-dev/peal/message"
)

// Entry is one message in its place. What it says is immutable. It must not be copied.
type Entry struct {
	Offset message.Offset
	// Data and Attachments are those of the message.
	Data        []byte
	Attachments [][]byte
	// Rooms and Except say who was meant, as in [message.Target]. No rooms mean everyone.
	Rooms, Except []string
	// Private says that only the member is meant whose id is in Rooms.
	Private bool

	came uint64 // when it was appended, in milliseconds since 1970

	mu     sync.Mutex // protects the following
	shared weak.Pointer[message.Message]
}

// Message returns the message as it was, with its offset. Those who ask while it is in use get the same one, with what was
// encoded for the others: members who come back together. The entry does not keep it: the garbage collector takes it, and
// its encodings, when nobody uses it. Safe for concurrent use.
func (e *Entry) Message() *message.Message {
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.shared.Value()
	if m == nil {
		m = &message.Message{Data: e.Data, Attachments: e.Attachments, Offset: e.Offset}
		e.shared = weak.Make(m)
	}
	return m
}

// Size returns about how many bytes e takes in memory.
func (e *Entry) Size() int {
	n := entryCost + cap(e.Data)
	for _, a := range e.Attachments {
		n += attachmentCost + len(a)
	}
	for _, names := range [...][]string{e.Rooms, e.Except} {
		for _, name := range names {
			n += nameCost + len(name)
		}
	}
	return n
}

// Payload returns how many bytes of the message e holds.
func (e *Entry) Payload() int {
	n := len(e.Data)
	for _, a := range e.Attachments {
		n += len(a)
	}
	return n
}

// What an entry takes beside its bytes.
const (
	entryCost      = 160 // an Entry, and its place in the log
	attachmentCost = 24
	nameCost       = 16
)

// Bounds are what a log covers.
type Bounds struct {
	// Floor is the highest offset of which an entry may be missing: readers who stand there or above miss nothing.
	Floor message.Offset
	// Top is the offset of the last entry, or Floor when there was none. Where offsets are given it may be that of a volatile
	// message.
	Top message.Offset
	// Count and Bytes say what is kept.
	Count, Bytes int
}

// Cover returns nil if a reader of everything that has all up to after can be given the rest, and else an [*OffsetError].
func (b Bounds) Cover(after message.Offset) error {
	if after.Compare(b.Floor) < 0 || after.Compare(b.Top) > 0 || lifeOf(after) != lifeOf(b.Top) {
		return &OffsetError{After: after, Bounds: b}
	}
	return nil
}

// OffsetError says that a log does not cover an offset: it is too old, or of another log.
type OffsetError struct {
	After  message.Offset
	Bounds Bounds
}

// Error names the offset and what the log covers.
func (e *OffsetError) Error() string {
	return fmt.Sprintf("eventlog: offset %s is not covered, which is %s to %s", e.After, e.Bounds.Floor, e.Bounds.Top)
}

// Log keeps entries in the order in which they were appended. All methods are safe for concurrent use.
type Log interface {
	// Append keeps a message to the members that to means and returns its offset, which is greater than all before. The
	// log keeps the slices of m and to, which must not change any more. A volatile message is not kept: it gets the
	// offset of the last one that was.
	//
	// A message that has an offset keeps it: the log is the end of a longer one, which others share. Then a volatile message
	// has a place as well. One whose offset is not greater than all before shows that the longer log has begun anew, and
	// this one does too, right before it.
	Append(m *message.Message, to message.Target) message.Offset
	// Read returns the entries behind after, oldest first, or the error of Cover. The slice is the caller's, and may have
	// entries that are not for who reads.
	Read(after message.Offset, in *Interest) ([]*Entry, error)
	// Cover returns nil if a reader that has everything up to after can be given the rest, and else an [*OffsetError]. Nil
	// stands for one that reads everything. Anyone else can be given the rest though some of it was trimmed, if that was not
	// for it as far as rooms say: exceptions do not count.
	Cover(after message.Offset, in *Interest) error
	// Trim forgets the entries up to floor.
	Trim(floor message.Offset)
	// Reset forgets all entries: the log begins at floor, and of what was before nothing is known, not even for whom it was.
	// It is for logs that are the end of a longer one, when some of that has not come.
	Reset(floor message.Offset)
	// Bounds returns what the log covers.
	Bounds() Bounds
	// Close ends what the log does in the background. It may be read and appended to all the same.
	Close()
}
