package adapter_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// What a log costs a member that has been idle for as long as it lasts: nothing.
func TestIdleMembersCostNothing(t *testing.T) {
	const count = 20_000
	members := make([]*reader, count)
	for i := range members {
		members[i] = &reader{id: fmt.Sprintf("member %013d", i)}
	}
	cost := func(opts *adapter.Options, settle func(a *adapter.Adapter)) int {
		var before, joined, after runtime.MemStats
		a, err := adapter.New(t.Context(), "/", nil, opts)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close(t.Context())
		publish(t, a, 0, message.Target{Rooms: []string{"other"}})
		runtime.GC()
		runtime.ReadMemStats(&before)
		for _, m := range members {
			if _, err := a.Add(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&joined)
		settle(a)
		runtime.GC()
		runtime.ReadMemStats(&after)
		t.Logf("%d bytes a member, and when it has been idle %d", (joined.HeapAlloc-before.HeapAlloc)/count, (after.HeapAlloc-before.HeapAlloc)/count)
		runtime.KeepAlive(a)
		return int(after.HeapAlloc-before.HeapAlloc) / count
	}
	plain := cost(nil, func(*adapter.Adapter) {})
	log := eventlog.NewMemory(nil)
	idle := cost(&adapter.Options{Log: log}, func(a *adapter.Adapter) {
		publish(t, a, 1, message.Target{Rooms: []string{"other"}})
		log.Trim(log.Bounds().Top)
		if _, err := a.Add(t.Context(), &reader{id: "one more"}); err != nil {
			t.Fatal(err)
		}
		publish(t, a, 2, message.Target{Rooms: []string{"other"}})
		a.Leave("one more", "nothing")
		a.Remove("one more")
		if _, err := a.Add(t.Context(), &reader{id: "another"}); err != nil {
			t.Fatal(err)
		}
	})
	if idle > plain+8 {
		t.Errorf("an idle member takes %d bytes with a log, %d without", idle, plain)
	}
}

// copies makes a wire format's copy of a message, and counts the messages it was asked to do that for.
var (
	copied atomic.Int64
	copies = message.NewFormat(func(m *message.Message, _ string) *[]byte {
		copied.Add(1)
		b := slices.Clone(m.Data)
		return &b
	})
)

// encoder is a member that encodes what it is given and, if it is told so, keeps it.
type encoder struct {
	id   string
	keep bool
	kept []*message.Message
}

func (e *encoder) ID() string      { return e.id }
func (e *encoder) Disconnect(bool) {}

func (e *encoder) Deliver(m *message.Message) {
	copies.Of(m, message.Namespace{})
	if e.keep {
		e.kept = append(e.kept, m)
	}
}

// Members that come back together are given the same messages, so each is encoded once for all of them.
func TestResumedMembersShareMessages(t *testing.T) {
	a := logged(t, nil)
	after := a.Bounds().Top
	const messages, members = 20, 50
	for n := range messages {
		publish(t, a, n, message.Target{})
	}
	copied.Store(0)
	first := &encoder{id: "first", keep: true}
	for i := range members {
		m := first
		if i > 0 {
			m = &encoder{id: fmt.Sprint("m", i)}
		}
		if _, err := a.Resume(t.Context(), m, adapter.Resumption{After: after}); err != nil {
			t.Fatal(err)
		}
	}
	if got := copied.Load(); got != messages || len(first.kept) != messages {
		t.Errorf("%d messages were encoded %d times for %d members", len(first.kept), got, members)
	}
	runtime.KeepAlive(first)
}

// Members that join and leave all the time do not shorten what the others can be given.
func TestChurnLeavesTheLogAlone(t *testing.T) {
	t.Parallel()
	a := logged(t, nil)
	m, busy := &reader{id: "m"}, &reader{id: "busy"}
	for _, who := range []*reader{m, busy} {
		if _, err := a.Add(t.Context(), who, "room"); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, a, 1, message.Target{Rooms: []string{"room"}})
	s, _ := a.Suspend(m)
	publish(t, a, 2, message.Target{Rooms: []string{"room"}})
	const many = 1<<18 + 1000 // more than are known at a time
	for range many {
		if _, err := a.Join(t.Context(), "busy", "other"); err != nil {
			t.Fatal(err)
		}
		a.Leave("busy", "other")
	}
	back(t, a, s, m, s.At)
	if got := fmt.Sprint(m.got()); got != "[[1] [2]]" {
		t.Errorf("given %s", got)
	}
	// Members who stay in more rooms than can be known do.
	for i := range many {
		if _, err := a.Join(t.Context(), "busy", fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
		if i%1000 == 0 {
			publish(t, a, i, message.Target{Rooms: []string{"elsewhere"}})
		}
	}
	if b := a.Bounds(); b.Floor.Compare(s.At) <= 0 {
		t.Errorf("the log goes back to %v", b.Floor)
	}
}

// A member that is withdrawn while it is suspended is one or the other: no part of its rooms is left.
func TestSuspendedWhileWithdrawn(t *testing.T) {
	t.Parallel()
	a := logged(t, nil)
	for range 20_000 {
		m := &reader{id: "m"}
		if _, err := a.Add(t.Context(), m, "room"); err != nil {
			t.Fatal(err)
		}
		withdrawn := make(chan []string)
		go func() { withdrawn <- a.Withdraw(m) }()
		s, in := a.Suspend(m)
		if rooms := <-withdrawn; s != nil != (len(in) == 1) || s != nil != (len(rooms) == 0) {
			t.Fatalf("suspended: %v in %v, and withdrawn from %v", s != nil, in, rooms)
		}
		if s != nil {
			a.Withdraw(s)
		}
	}
}
