package adaptertest

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/message"
)

// held are sessions that are kept while their clients are there. It asks nothing of a driver that does not do that.
func (s suite) held(t *testing.T) {
	nodes := s.follow(t, 2, "/")
	a, b := nodes[0], nodes[1]
	if !a.Holds() {
		t.Log("the driver keeps no sessions of clients that are there")
		return
	}
	a.emit(t, "before", message.Target{})
	m := NewMember("m")
	at, err := a.AddAt(t.Context(), m, "r")
	check(t, err)
	a.emit(t, "one", message.Target{Rooms: []string{"r"}})
	if got := m.Next(t); got.Offset.Compare(at) <= 0 || at.IsZero() {
		t.Fatalf("it is registered at %v and then given what is at %v", at, got.Offset)
	}
	a.join(t, m, "late")
	live := a.SessionOf(m)
	if live == nil || a.SessionOf(NewMember("m")) != nil || !live.At.IsZero() || len(live.Rooms) != 2 {
		t.Fatalf("it is %+v", live)
	}
	live.PID, live.Mark, live.Data, live.Has = "pid", rand.Text(), json.RawMessage(`{}`), at
	renew := func(n *node, s *adapter.Session, want adapter.Kept) {
		t.Helper()
		got, err := n.RenewSessions(t.Context(), []*adapter.Session{s}, time.Minute)
		check(t, err)
		if len(got) != 1 || got[0] != want {
			t.Fatalf("%v, want %v", got, want)
		}
	}
	renew(a, live, adapter.KeptNone)
	if got, err := b.TakeSession(t.Context(), "pid"); got != nil || err != nil {
		t.Fatalf("what was not kept before is kept: %+v, %v", got, err)
	}
	check(t, a.SaveSessions(t.Context(), []*adapter.Session{live}, time.Minute))
	live.Data = json.RawMessage(`{"n":1}`)
	renew(a, live, adapter.KeptSame)
	taken, err := b.TakeSession(t.Context(), "pid")
	if err != nil || fmt.Sprintf("%+v", taken) != fmt.Sprintf("%+v", live) {
		t.Fatalf("%+v, %v; want %+v", taken, err, live)
	}
	renew(a, live, adapter.KeptNone)
	// Its node was killed: it goes on at the other.
	b.emit(t, "two", message.Target{Rooms: []string{"late"}})
	x := b.Adopt(taken)
	back := NewMember("m")
	if _, away := b.Claim(x, back); !away {
		t.Fatal("nobody is away")
	}
	_, err = b.Resume(t.Context(), back, adapter.Resumption{Absence: x, After: at})
	check(t, err)
	b.emit(t, "three", message.Target{Rooms: []string{"r"}})
	if got := back.Until(t, "three"); !slices.Equal(got, []string{"one", "two"}) {
		t.Fatalf("it is given %q", got)
	}
	theirs := b.SessionOf(back)
	theirs.PID, theirs.Mark, theirs.Data = "pid", rand.Text(), live.Data
	check(t, b.SaveSessions(t.Context(), []*adapter.Session{theirs}, time.Minute))
	renew(a, live, adapter.KeptOther)
	check(t, a.DropSessions(t.Context(), []*adapter.Session{live}))
	renew(b, theirs, adapter.KeptSame)
	check(t, b.DropSessions(t.Context(), []*adapter.Session{theirs, {PID: "unknown", Mark: theirs.Mark}}))
	renew(b, theirs, adapter.KeptNone)
}
