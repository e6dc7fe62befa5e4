package adaptertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// RunSequencer holds drivers with a common log to what package adapter asks of an [adapter.Sequencer], beside what [Run]
// does. The drivers are as those for Run.
func RunSequencer(t *testing.T, drivers Drivers) {
	s := suite{drivers}
	t.Run("OneOrder", s.oneOrder)
	t.Run("OwnMembers", s.ownMembers)
	t.Run("NotKept", s.notKept)
	t.Run("Private", s.private)
	t.Run("Recall", s.recall)
	t.Run("Adopt", s.adopt)
	t.Run("Sessions", s.sessions)
	t.Run("Held", s.held)
	t.Run("Closed", s.closedSequence)
	t.Run("Following", func(t *testing.T) {
		before := goleak.IgnoreCurrent()
		t.Run("cluster", func(t *testing.T) { s.follow(t, 2, "/")[0].emit(t, "x", message.Target{}) })
		goleak.VerifyNone(t, before)
	})
}

// follow makes a cluster with an adapter of namespace on each node, which follows the common log.
func (s suite) follow(t *testing.T, nodes int, namespace string) []*node {
	t.Helper()
	started := make([]*node, nodes)
	for i, d := range s.drivers(t, nodes) {
		started[i] = followed(t, d, namespace, fmt.Sprint("all", i))
	}
	return started
}

// followed adds an adapter of namespace with one member to a driver.
func followed(t *testing.T, d adapter.Driver, namespace, id string) *node {
	t.Helper()
	a, err := adapter.New(t.Context(), namespace, d, &adapter.Options{Log: eventlog.NewMemory(nil)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if !a.Shared() {
		t.Fatalf("the driver %T has no common log", d)
	}
	n := &node{Adapter: a, all: NewMember(id), driver: d}
	n.add(t, n.all)
	return n
}

// placed is a message as a member got it.
type placed struct {
	event string
	at    message.Offset
}

// until returns what m gets up to the event.
func until(t *testing.T, m *Member, event string) (got []placed) {
	t.Helper()
	for {
		msg := m.Next(t)
		got = append(got, placed{msg.Event(), msg.Offset})
		if msg.Event() == event {
			return got
		}
	}
}

// oneOrder has several publishers on each node. All nodes see one order, with the same offsets, in which each publisher's own
// is kept; and whoever comes to any node with one of the offsets is given what is behind it.
func (s suite) oneOrder(t *testing.T) {
	const publishers, messages = 3, 40
	nodes := s.follow(t, 3, "/")
	var wg sync.WaitGroup
	for i, n := range nodes {
		for p := range publishers {
			wg.Go(func() {
				for k := range messages {
					to := message.Target{}
					if k%2 == 1 {
						to.Rooms = []string{fmt.Sprint("all", (i+k)%len(nodes)), "odd"}
					}
					m := message.New(fmt.Appendf(nil, `["%d %d",%d]`, i, p, k))
					if err := n.Broadcast(t.Context(), m, to); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	for _, n := range nodes {
		n.join(t, n.all, "odd")
	}
	wg.Wait()
	nodes[0].emit(t, "last", message.Target{})
	var order [][]placed
	for i, n := range nodes {
		got := until(t, n.all, "last")
		for k := 1; k < len(got); k++ {
			if got[k].at.Compare(got[k-1].at) <= 0 {
				t.Fatalf("node %d: %v follows %v", i, got[k], got[k-1])
			}
		}
		order = append(order, got)
	}
	// Who joined the room later than others has missed some of what went there, but not of what went to everyone.
	at := make(map[message.Offset]string)
	for i, got := range order {
		for _, g := range got {
			if event, known := at[g.at]; known && event != g.event {
				t.Fatalf("node %d has %q at %v, another %q", i, g.event, g.at, event)
			}
			at[g.at] = g.event
		}
	}
	s.behindAny(t, nodes, order[0][0].at)
}

// behindAny has members come to any node with any offset behind the first.
func (s suite) behindAny(t *testing.T, nodes []*node, first message.Offset) {
	t.Helper()
	whole := NewMember("whole")
	if _, err := nodes[1].Resume(t.Context(), whole, adapter.Resumption{Rooms: []adapter.Membership{{Room: "odd"}}, After: first}); err != nil {
		t.Fatal(err)
	}
	all := until(t, whole, "last")
	rng := rand.New(rand.NewPCG(1, 2))
	for try := range 20 {
		i, n := rng.IntN(len(all)), nodes[rng.IntN(len(nodes))]
		m := NewMember(fmt.Sprint("back", try))
		if _, err := n.Resume(t.Context(), m, adapter.Resumption{Rooms: []adapter.Membership{{Room: "odd"}}, After: all[i].at}); err != nil {
			t.Fatal(err)
		}
		if i == len(all)-1 {
			if !m.Empty() {
				t.Fatal("somebody who has everything is given more")
			}
			continue
		}
		if got := until(t, m, "last"); !slices.Equal(got, all[i+1:]) {
			t.Fatalf("behind %v: %v, want %v", all[i], got, all[i+1:])
		}
	}
}

// ownMembers have a message when Broadcast has returned, once, with the offset that others see.
func (s suite) ownMembers(t *testing.T) {
	nodes := s.follow(t, 2, "/")
	for range 20 {
		nodes[0].emit(t, "x", message.Target{})
		if nodes[0].all.Empty() {
			t.Fatal("the broadcast is over and the publisher's own member has nothing")
		}
		own, other := nodes[0].all.Next(t), nodes[1].all.Next(t)
		if own.Offset.IsZero() || own.Offset != other.Offset {
			t.Fatalf("the offset is %v here, %v there", own.Offset, other.Offset)
		}
		if !nodes[0].all.Empty() {
			t.Fatal("it came twice")
		}
	}
	if late := nodes[0].Stats().Late; late > 0 {
		t.Errorf("%d broadcasts were not waited for", late)
	}
}

// notKept are local messages and volatile ones: they are given an offset, and not given again.
func (s suite) notKept(t *testing.T) {
	nodes := s.follow(t, 2, "/")
	nodes[0].emit(t, "first", message.Target{})
	first := nodes[0].all.Next(t)
	nodes[0].emit(t, "local", message.Target{Local: true})
	local := nodes[0].all.Next(t)
	if local.Event() != "local" || local.Offset != first.Offset {
		t.Fatalf("%q has the offset %v, the one before it %v", local.Event(), local.Offset, first.Offset)
	}
	v := newMessage("volatile")
	v.Volatile = true
	check(t, nodes[1].Broadcast(t.Context(), v, message.Target{}))
	if got := nodes[0].all.Next(t); got.Event() != "volatile" || !got.Volatile || got.Offset.Compare(first.Offset) < 0 {
		t.Fatalf("%q, volatile: %v, at %v", got.Event(), got.Volatile, got.Offset)
	}
	nodes[1].emit(t, "last", message.Target{})
	if got := nodes[1].all.Until(t, "last"); !slices.Equal(got, []string{"first", "volatile"}) {
		t.Fatalf("the other node got %q", got)
	}
	nodes[0].all.Until(t, "last")
	for i, n := range nodes {
		m := NewMember("back")
		_, err := n.Resume(t.Context(), m, adapter.Resumption{After: first.Offset})
		check(t, err)
		if got := m.Until(t, "last"); len(got) > 0 {
			t.Errorf("node %d gives again %q", i, got)
		}
	}
}

// private is what is sent to one member, and not to a room of its name.
func (s suite) private(t *testing.T) {
	nodes := s.follow(t, 2, "/")
	m, spy := NewMember("m"), NewMember("spy")
	nodes[0].add(t, m)
	nodes[0].add(t, spy, "m")
	far := nodes[1].member(t, "far", "m")
	called := false
	check(t, nodes[0].Send(t.Context(), newMessage("secret"), m, func(*message.Message, bool) error { called = true; return nil }))
	if got := m.Next(t); got.Event() != "secret" || got.Offset.IsZero() || called {
		t.Fatalf("%q at %v; by itself: %v", got.Event(), got.Offset, called)
	}
	nodes[0].emit(t, "end", message.Target{})
	for _, other := range []*Member{spy, far} {
		if got := other.Until(t, "end"); len(got) > 0 {
			t.Errorf("%s got %q", other.ID(), got)
		}
	}
	stranger := NewMember("stranger")
	check(t, nodes[0].Send(t.Context(), newMessage("early"), stranger, func(m *message.Message, registered bool) error {
		called = !registered && m.Event() == "early"
		return nil
	}))
	if !called {
		t.Error("what is sent to somebody who is not registered is not handed over at once")
	}
}

// recall is for who comes to a node that was started later than what it missed.
func (s suite) recall(t *testing.T) {
	drivers := s.drivers(t, 2)
	old := followed(t, drivers[0], "/", "old")
	old.emit(t, "first", message.Target{})
	first := old.all.Next(t).Offset
	for i := range 300 {
		to := message.Target{}
		if i%3 > 0 {
			to.Rooms = []string{"room", "other"}[i%3-1:][:1]
		}
		m := message.New(fmt.Appendf(nil, `["n",%d]`, i), []byte{byte(i)})
		m.Data = fmt.Appendf(nil, `["n",%d,{"_placeholder":true,"num":0}]`, i)
		check(t, old.Broadcast(t.Context(), m, to))
	}
	fresh := followed(t, drivers[1], "/", "fresh")
	old.emit(t, "last", message.Target{})
	old.all.Until(t, "last")
	fresh.all.Until(t, "last")
	m := NewMember("m")
	in := adapter.Resumption{Rooms: []adapter.Membership{{Room: "room"}}, After: first}
	if _, err := fresh.Resume(t.Context(), m, in); err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		if i%3 == 2 {
			continue
		}
		got := m.Next(t)
		if want := fmt.Sprintf(`[%d,{"_placeholder":true,"num":0}]`, i); string(got.Args()) != want || len(got.Attachments) != 1 || got.Attachments[0][0] != byte(i) {
			t.Fatalf("got %s, want %s", got.Args(), want)
		}
	}
	if got := m.Until(t, "last"); len(got) > 0 {
		t.Errorf("more came: %q", got)
	}
	if st := fresh.Stats(); st.Recalled != 1 || st.Resumed != 1 {
		t.Errorf("%d recalled, %d resumed", st.Recalled, st.Resumed)
	}
	in.MaxBytes = 1000
	var much *adapter.MissedError
	if _, err := fresh.Resume(t.Context(), NewMember("m2"), in); !errors.As(err, &much) {
		t.Errorf("beyond the bound: %v", err)
	}
	in.After, in.MaxBytes = message.Offset{Ms: 1, Seq: 1}, 0
	var lost *eventlog.OffsetError
	if _, err := fresh.Resume(t.Context(), NewMember("m3"), in); !errors.As(err, &lost) {
		t.Errorf("behind an offset that is no more: %v", err)
	}
}

// adopt has somebody who was cut off one node go on at another, in its rooms, though it be put into others meanwhile.
func (s suite) adopt(t *testing.T) {
	nodes := s.follow(t, 2, "/")
	a, b := nodes[0], nodes[1]
	m := NewMember("m")
	a.add(t, m, "r")
	a.emit(t, "one", message.Target{Rooms: []string{"r"}})
	one := m.Next(t).Offset
	a.join(t, m, "late")
	x, _ := a.Suspend(m)
	b.emit(t, "two", message.Target{Rooms: []string{"r"}})
	b.emit(t, "else", message.Target{Rooms: []string{"elsewhere"}})
	a.emit(t, "three", message.Target{Rooms: []string{"late"}})
	a.emit(t, "four", message.Target{Rooms: []string{"m"}})
	session := x.Session()
	b.fence(t, b.all)
	y := b.Adopt(session)
	if y == nil || b.Adopt(session) != nil || b.Away() != 1 {
		t.Fatalf("adopted %v, %d are away", y, b.Away())
	}
	b.emit(t, "five", message.Target{Rooms: []string{"r"}})
	check(t, b.JoinRooms(t.Context(), message.Target{Rooms: []string{"m"}}, "new"))
	b.emit(t, "six", message.Target{Rooms: []string{"new"}})
	back := NewMember("m")
	if _, away := b.Claim(y, back); !away {
		t.Fatal("nobody is away")
	}
	if err := y.Covered(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Resume(t.Context(), back, adapter.Resumption{Absence: y, After: one}); err != nil {
		t.Fatal(err)
	}
	a.emit(t, "seven", message.Target{Rooms: []string{"late", "new"}})
	if got := back.Until(t, "seven"); !slices.Equal(got, []string{"two", "three", "four", "five", "six"}) {
		t.Fatalf("it is given %q", got)
	}
	if rooms := b.RoomsOf("m"); len(rooms) != 3 || b.Away() != 0 {
		t.Errorf("it is in %q, %d are away", rooms, b.Away())
	}
}

// sessions are kept for whoever takes one first.
func (s suite) sessions(t *testing.T) {
	nodes := s.follow(t, 2, "/chat")
	want := &adapter.Session{PID: "secret", ID: "ABCDEFGHIJKLMNOPQRST", Data: json.RawMessage(`{"name":"Ann","n":7}`), Mark: "1",
		Rooms: []adapter.Membership{{Room: "a"}, {Room: "b", Since: message.Offset{Ms: 5, Seq: 6}}},
		Since: message.Offset{Ms: 1, Seq: 2}, At: message.Offset{Ms: 7}, Known: message.Offset{Ms: 3, Seq: 1}}
	other := &adapter.Session{PID: "another", ID: "TSRQPONMLKJIHGFEDCBA"}
	check(t, nodes[0].SaveSessions(t.Context(), []*adapter.Session{want, other}, time.Minute))
	if got, err := nodes[1].TakeSession(t.Context(), "unknown"); got != nil || err != nil {
		t.Fatalf("what nobody has saved: %v, %v", got, err)
	}
	got, err := nodes[1].TakeSession(t.Context(), want.PID)
	if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Fatalf("%+v, %v; want %+v", got, err, want)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	taken := 0
	for range 4 {
		for _, n := range nodes {
			wg.Go(func() {
				s, err := n.TakeSession(t.Context(), other.PID)
				if err != nil {
					t.Error(err)
				}
				if s != nil {
					mu.Lock()
					taken++
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	if taken != 1 {
		t.Errorf("one session was taken %d times", taken)
	}
}

// closedSequence takes nothing more.
func (s suite) closedSequence(t *testing.T) {
	n := s.follow(t, 1, "/")[0]
	check(t, n.Close(t.Context()))
	if err := n.Broadcast(t.Context(), newMessage("x"), message.Target{}); !errors.Is(err, adapter.ErrClosed) {
		t.Errorf("broadcast: %v", err)
	}
	if _, err := n.TakeSession(t.Context(), "x"); !errors.Is(err, adapter.ErrClosed) {
		t.Errorf("take a session: %v", err)
	}
	if !n.all.Empty() {
		t.Error("something was delivered")
	}
}
