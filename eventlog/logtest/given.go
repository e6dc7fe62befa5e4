package logtest

import (
	"fmt"
	"testing"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// place appends a message that has its place in a longer log.
func place(t *testing.T, l eventlog.Log, at message.Offset, volatile bool, rooms ...string) {
	t.Helper()
	m := message.New(fmt.Appendf(nil, `["n",%d]`, at.Seq))
	m.Offset, m.Volatile = at, volatile
	if got := l.Append(m, message.Target{Rooms: rooms}); got != at {
		t.Fatalf("a message at %v has got the offset %v", at, got)
	}
	if top := l.Bounds().Top; top != at {
		t.Fatalf("the top is %v behind %v", top, at)
	}
}

// given are offsets that messages have already.
func given(t *testing.T, l eventlog.Log) {
	l.Reset(message.Offset{Ms: 1000, Seq: 5})
	for seq := range uint64(4) {
		place(t, l, message.Offset{Ms: 1001, Seq: seq}, false)
	}
	place(t, l, message.Offset{Ms: 1002}, true)
	got := read(t, l, message.Offset{Ms: 1001, Seq: 1})
	if len(got) != 2 || got[0].Offset.Seq != 2 || got[1].Offset.Seq != 3 {
		t.Fatalf("%d entries behind the second of four, and a volatile one", len(got))
	}
	if got := read(t, l, message.Offset{Ms: 1000, Seq: 7}); len(got) != 4 {
		t.Fatalf("%d entries behind an offset of no entry", len(got))
	}
	refused(t, l, message.Offset{Ms: 1000, Seq: 4})
	refused(t, l, message.Offset{Ms: 1002, Seq: 1})
	for seq := range uint64(20) { // older ones are trimmed
		place(t, l, message.Offset{Ms: 1003, Seq: seq}, false)
	}
	refused(t, l, message.Offset{Ms: 1001, Seq: 1})
	place(t, l, message.Offset{Ms: 900, Seq: 0}, false) // the longer log is another one
	if b := l.Bounds(); b.Count != 1 || b.Floor.Compare(message.Offset{Ms: 900}) >= 0 {
		t.Fatalf("of a log that has begun anew the bounds are %+v", b)
	}
	refused(t, l, message.Offset{Ms: 1003, Seq: 19})
}

// reset has a log forget what it had, and for whom it was.
func reset(t *testing.T, l eventlog.Log) {
	l.Reset(message.Offset{Ms: 1000})
	place(t, l, message.Offset{Ms: 1001}, false, "a")
	floor := message.Offset{Ms: 1002}
	l.Reset(floor)
	if b := l.Bounds(); b.Floor != floor || b.Top != floor || b.Count != 0 || b.Bytes != 0 {
		t.Fatalf("the bounds are %+v", b)
	}
	refused(t, l, message.Offset{Ms: 1001})
	in := &eventlog.Interest{ID: "id", Rooms: map[string]message.Offset{"id": {}, "b": {}}}
	if err := l.Cover(message.Offset{Ms: 1001}, in); err == nil {
		t.Fatal("it is said that somebody has missed nothing of what is not known")
	}
	in.Rooms = map[string]message.Offset{"id": floor, "b": floor}
	if err := l.Cover(message.Offset{Ms: 1001}, in); err != nil {
		t.Fatalf("somebody who was not there yet: %v", err)
	}
	place(t, l, message.Offset{Ms: 1003}, false)
	if got := read(t, l, floor); len(got) != 1 {
		t.Fatalf("%d entries", len(got))
	}
}
