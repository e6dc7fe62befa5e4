package eventlog

import (
	"strings"

	"github.com/peal-dev/peal/message"
)

// Interest is what a reader of a log wants of it.
type Interest struct {
	// ID is the member who reads.
	ID string
	// Rooms are those it is in, with its ID among them, and the offsets since when: what went to a room up to there is not
	// for it. What went to everyone is for it since it has its ID.
	Rooms map[string]message.Offset
}

// trimmed knows of each room the last message that was trimmed, and so whether a reader misses anything that was. It is
// bounded in number and bytes: of what was trimmed up to the horizon only the last to everyone is known.
type trimmed struct {
	limit    Limits // of rooms, and of their bytes
	everyone message.Offset
	horizon  message.Offset
	// What was trimmed behind the horizon is in one of two generations. When the younger is full the older is forgotten.
	young, old map[string]message.Offset
	since      message.Offset // where the younger begins
	last       message.Offset
	bytes      int // of the younger
}

// trimmedCost is what a room takes beside its name.
const trimmedCost = 64

// note notes that e was trimmed.
func (t *trimmed) note(e *Entry) {
	if len(e.Rooms) == 0 {
		t.everyone = e.Offset
	}
	for _, room := range e.Rooms {
		if _, known := t.young[room]; known {
			t.young[room] = e.Offset
			continue
		}
		if t.bytes += trimmedCost + len(room); t.bytes > t.limit.Bytes/2 || len(t.young) >= t.limit.Count/2 {
			t.old, t.young, t.horizon = t.young, nil, t.since
			t.since, t.bytes = t.last, trimmedCost+len(room)
		}
		if t.young == nil {
			t.young = make(map[string]message.Offset)
		}
		t.young[strings.Clone(room)] = e.Offset // not what the name is a part of
	}
	t.last = e.Offset
}

// missing reports whether something may have been trimmed that is for in and behind after.
func (t *trimmed) missing(after message.Offset, in *Interest) bool {
	if behind(t.everyone, after, in.Rooms[in.ID]) {
		return true
	}
	for room, since := range in.Rooms {
		last, known := t.young[room]
		if !known {
			last, known = t.old[room]
		}
		if !known {
			last = t.horizon
		}
		if behind(last, after, since) {
			return true
		}
	}
	return false
}

// behind reports whether o is behind both others.
func behind(o, after, since message.Offset) bool { return o.Compare(after) > 0 && o.Compare(since) > 0 }
