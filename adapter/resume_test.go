package adapter_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// reader is a member that keeps the texts and offsets of what it is given.
type reader struct {
	id   string
	came chan struct{} // gets something for each message, if it is not nil

	mu      sync.Mutex
	texts   []string
	offsets []message.Offset
}

func (r *reader) ID() string      { return r.id }
func (r *reader) Disconnect(bool) {}

func (r *reader) Deliver(m *message.Message) {
	r.mu.Lock()
	r.texts = append(r.texts, string(m.Args()))
	r.offsets = append(r.offsets, m.Offset)
	r.mu.Unlock()
	if r.came != nil {
		r.came <- struct{}{}
	}
}

func (r *reader) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.texts)
}

func logged(t *testing.T, limits *eventlog.Limits, observers ...adapter.Observer) *adapter.Adapter {
	t.Helper()
	a, err := adapter.New(t.Context(), "/", nil, &adapter.Options{Log: eventlog.NewMemory(limits), Observers: observers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close(context.Background()) })
	return a
}

// back has m come back as the one that is away.
func back(t *testing.T, a *adapter.Adapter, x *adapter.Absence, m adapter.Member, after message.Offset) {
	t.Helper()
	if _, away := a.Claim(x, m); !away {
		t.Fatalf("%s is not away", x.ID())
	}
	if _, err := a.Resume(t.Context(), m, adapter.Resumption{Absence: x, After: after}); err != nil {
		t.Fatal(err)
	}
}

func publish(t *testing.T, a *adapter.Adapter, n int, to message.Target) {
	t.Helper()
	if err := a.Broadcast(context.Background(), message.New(fmt.Appendf(nil, `["n",%d]`, n)), to); err != nil {
		t.Fatal(err)
	}
}

func TestResume(t *testing.T) {
	t.Parallel()
	a := logged(t, nil)
	room := message.Target{Rooms: []string{"room"}}
	publish(t, a, 0, room)
	m := &reader{id: "m"}
	if _, err := a.Add(t.Context(), m, "room"); err != nil {
		t.Fatal(err)
	}
	publish(t, a, 1, room)
	s, _ := a.Suspend(m)
	if again, _ := a.Suspend(m); s == nil || again != nil {
		t.Fatalf("suspended: %v, and again: %v", s, again)
	}
	publish(t, a, 2, room)
	publish(t, a, 3, message.Target{Rooms: []string{"room", "m"}})
	publish(t, a, 4, message.Target{Rooms: []string{"other"}})
	publish(t, a, 5, message.Target{})
	publish(t, a, 6, message.Target{Except: []string{"room"}})
	publish(t, a, 7, message.Target{Rooms: []string{"room"}, Except: []string{"m"}})

	r := adapter.Resumption{Absence: s, After: s.At}
	if _, err := a.Resume(t.Context(), m, r); !errors.Is(err, adapter.ErrNotAway) {
		t.Fatalf("without a claim: %v", err)
	}
	if rival, away := a.Claim(s, m); rival != nil || !away {
		t.Fatalf("claimed in place of %v (%v)", rival, away)
	}
	var much *adapter.MissedError
	tight := r
	tight.MaxBytes = 10
	if _, err := a.Resume(t.Context(), m, tight); !errors.As(err, &much) {
		t.Fatalf("with no room for it: %v", err)
	}
	var old *eventlog.OffsetError
	early := r
	early.After = message.Offset{}
	if _, err := a.Resume(t.Context(), m, early); !errors.As(err, &old) {
		t.Fatalf("from before the log: %v", err)
	}
	if got := m.got(); a.Len() != 0 || len(got) != 1 {
		t.Fatalf("what could not be resumed left %d members, given %v", a.Len(), got)
	}
	at, err := a.Resume(t.Context(), m, r)
	if err != nil || at != a.Bounds().Top {
		t.Fatalf("resumed at %v (%v), the top is %v", at, err, a.Bounds().Top)
	}
	publish(t, a, 8, room)
	if got := fmt.Sprint(m.got()); got != "[[1] [2] [3] [5] [8]]" {
		t.Fatalf("given %s", got)
	}
	if !slices.IsSortedFunc(m.offsets, message.Offset.Compare) {
		t.Fatalf("offsets %v", m.offsets)
	}
	if st := a.Stats(); st.Resumed != 1 || st.NotResumed != 3 || st.Replayed != 3 {
		t.Fatalf("counted %d resumed, %d not, %d messages", st.Resumed, st.NotResumed, st.Replayed)
	}
	// From the beginning of its time, as one that received nothing: not what was before.
	s, _ = a.Suspend(m)
	fresh := &reader{id: "m"}
	back(t, a, s, fresh, s.Since)
	if got := fmt.Sprint(fresh.got()); got != "[[1] [2] [3] [5] [8]]" {
		t.Fatalf("given %s", got)
	}
}

// Members come and go while several publish: each is given every message once, in one order.
func TestResumeHasNoSeam(t *testing.T) {
	t.Parallel()
	const publishers, each, members = 4, 400, 8
	a := logged(t, nil)
	readers := make([]*reader, members)
	for i := range readers {
		readers[i] = &reader{id: fmt.Sprint("member", i)}
		if _, err := a.Add(t.Context(), readers[i], "room"); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan struct{})
	var writing, travelling sync.WaitGroup
	for p := range publishers {
		writing.Go(func() {
			for i := range each {
				publish(t, a, p*each+i, message.Target{Rooms: []string{"room"}})
			}
		})
	}
	for _, m := range readers {
		travelling.Go(func() {
			for last := false; !last; {
				select {
				case <-done:
					last = true
				default:
				}
				s, _ := a.Suspend(m)
				if s == nil {
					t.Error("not there")
					return
				}
				a.Claim(s, m)
				if _, err := a.Resume(t.Context(), m, adapter.Resumption{Absence: s, After: s.At}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writing.Wait()
	close(done)
	travelling.Wait()
	want := readers[0].got()
	if len(want) != publishers*each {
		t.Fatalf("%d messages, want %d", len(want), publishers*each)
	}
	for _, m := range readers {
		if !slices.Equal(m.got(), want) {
			t.Fatalf("%s was given %d messages in another order", m.id, len(m.got()))
		}
		for i := 1; i < len(m.offsets); i++ {
			if m.offsets[i].Compare(m.offsets[i-1]) <= 0 {
				t.Fatalf("%s: offset %v follows %v", m.id, m.offsets[i], m.offsets[i-1])
			}
		}
	}
}

// A member that left and is late to say so does not take the one with it that has come back under its id.
func TestOneThatCameBackStays(t *testing.T) {
	t.Parallel()
	a := logged(t, nil)
	old, again := &reader{id: "m"}, &reader{id: "m"}
	if _, err := a.Add(t.Context(), old, "room"); err != nil {
		t.Fatal(err)
	}
	s, _ := a.Suspend(old)
	back(t, a, s, again, s.At)
	if x, _ := a.Suspend(old); x != nil || a.Withdraw(old) != nil {
		t.Error("the old one was a member still")
	}
	publish(t, a, 1, message.Target{Rooms: []string{"room"}})
	publish(t, a, 2, message.Target{Rooms: []string{"m"}})
	if got := fmt.Sprint(again.got()); got != "[[1] [2]]" {
		t.Errorf("the one that came back was given %s", got)
	}
	if rooms := a.Withdraw(again); !slices.Equal(rooms, []string{"room"}) || a.Len() != 0 {
		t.Errorf("withdrawn from %v, %d members are left", rooms, a.Len())
	}
}

// What was sent to a member alone has its place in the order too.
func TestSendIsKept(t *testing.T) {
	t.Parallel()
	a := logged(t, nil)
	m := &reader{id: "m"}
	if _, err := a.Add(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("failed")
	send := func(n int) error {
		return a.Send(t.Context(), message.New(fmt.Appendf(nil, `["n",%d]`, n)), m, func(m *message.Message, registered bool) error {
			if m.Offset != a.Bounds().Top || !registered {
				t.Errorf("sent with the offset %v, registered: %v", m.Offset, registered)
			}
			return failed
		})
	}
	from := a.Bounds().Top
	if err := send(1); !errors.Is(err, failed) {
		t.Fatalf("error %v", err)
	}
	s, _ := a.Suspend(m)
	publish(t, a, 2, message.Target{})
	if err := send(3); err != nil {
		t.Fatalf("sent to one that is away: %v", err)
	}
	publish(t, a, 4, message.Target{})
	other := &reader{id: "m"}
	back(t, a, s, other, from)
	if err := send(5); err != nil {
		t.Fatalf("sent to one that has come back as another: %v", err)
	}
	if got := fmt.Sprint(other.got()); got != "[[1] [2] [3] [4] [5]]" {
		t.Fatalf("given %s", got)
	}
}

// What was sent to a member alone is for nobody who is in a room that has the member's id as its name, neither live nor
// later.
func TestSendIsPrivate(t *testing.T) {
	t.Parallel()
	a := logged(t, nil)
	m, spy := &reader{id: "m"}, &reader{id: "spy"}
	for who, rooms := range map[*reader][]string{m: nil, spy: {"m"}} {
		if _, err := a.Add(t.Context(), who, rooms...); err != nil {
			t.Fatal(err)
		}
	}
	from := a.Bounds().Top
	if err := a.Send(t.Context(), message.New([]byte(`["n","secret"]`)), m, func(msg *message.Message, _ bool) error { m.Deliver(msg); return nil }); err != nil {
		t.Fatal(err)
	}
	publish(t, a, 1, message.Target{Rooms: []string{"m"}})
	for _, who := range []*reader{m, spy} {
		s, _ := a.Suspend(who)
		live := fmt.Sprint(who.got())
		other := &reader{id: who.id}
		back(t, a, s, other, from)
		if again := fmt.Sprint(other.got()); again != live {
			t.Errorf("%s was given %s, and as one that had nothing %s", who.id, live, again)
		}
	}
}

// AtTop speaks when everybody has everything up to the top, and not in between.
func TestAtTop(t *testing.T) {
	t.Parallel()
	a := logged(t, nil)
	publish(t, a, 1, message.Target{})
	var top message.Offset
	if !a.AtTop(func(at message.Offset) { top = at }) || top != a.Bounds().Top {
		t.Fatalf("the top is %v, told %v", a.Bounds().Top, top)
	}
	_ = a.Send(t.Context(), message.New([]byte(`["n",2]`)), &reader{id: "m"}, func(*message.Message, bool) error {
		if a.AtTop(func(message.Offset) {}) {
			t.Error("told the top while a message was being delivered")
		}
		return nil
	})
	plain, err := adapter.New(t.Context(), "/", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if plain.AtTop(func(message.Offset) {}) || plain.Logged() {
		t.Fatal("there is a top without a log")
	}
}

// presence is an observer.
type presence struct {
	t  *testing.T
	mu sync.Mutex
	in map[string]bool
}

func (p *presence) set(id, room string, in bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.in[id+" in "+room] == in {
		p.t.Errorf("%s in %s is %v already", id, room, in)
	}
	p.in[id+" in "+room] = in
}

func (p *presence) Joined(id, room string) { p.set(id, room, true) }
func (p *presence) Left(id, room string)   { p.set(id, room, false) }

func (p *presence) now() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []string
	for name, in := range p.in {
		if in {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return fmt.Sprint(list)
}

func TestObserver(t *testing.T) {
	t.Parallel()
	p := &presence{t: t, in: make(map[string]bool)}
	a := logged(t, nil, p)
	m := &reader{id: "m"}
	if _, err := a.Add(t.Context(), m, "a", "b", "a", "m"); err != nil {
		t.Fatal(err)
	}
	if err := a.JoinRooms(t.Context(), message.Target{Rooms: []string{"a"}}, "b", "c"); err != nil {
		t.Fatal(err)
	}
	if got := p.now(); got != "[m in a m in b m in c m in m]" {
		t.Fatalf("seen %s", got)
	}
	a.Leave("m", "b", "b", "never there")
	if got := p.now(); got != "[m in a m in c m in m]" {
		t.Fatalf("seen %s", got)
	}
	a.Remove("m")
	a.Remove("m")
	if got := p.now(); got != "[]" {
		t.Fatalf("seen %s", got)
	}
}
