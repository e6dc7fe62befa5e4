package adapter_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/message"
)

// roomLink is a driver and link that knows which rooms are open. It is strict about the order of the calls.
type roomLink struct {
	stubDriver
	slow bool // openings last until they are ended; else a call of Wait ends them

	mu       sync.Mutex
	open     map[string]bool
	openings map[string]*roomOpening
}

func newRoomLink(slow bool) *roomLink {
	return &roomLink{slow: slow, open: map[string]bool{}, openings: map[string]*roomOpening{}}
}

func (l *roomLink) Subscribe(_ context.Context, _ string, r adapter.Receiver) (adapter.Link, error) {
	l.receiver = r
	return l, nil
}

func (l *roomLink) Publish(context.Context, *adapter.Envelope) error { return nil }

func (l *roomLink) RoomOpened(room string) adapter.Opening {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[room] {
		panic("opened twice: " + room)
	}
	l.open[room] = true
	o := &roomOpening{ended: make(chan struct{})}
	l.openings[room] = o
	if !l.slow {
		close(o.ended)
	}
	return o
}

// end lets those who wait for room's opening go. After a failure it goes on.
func (l *roomLink) end(room string, err error) {
	l.mu.Lock()
	o := l.openings[room]
	l.mu.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	ended := o.ended
	o.err = err
	if err != nil {
		o.ended = make(chan struct{})
	}
	close(ended)
}

func (l *roomLink) RoomClosed(room string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.open[room] {
		panic("closed and not open: " + room)
	}
	delete(l.open, room)
}

// compare checks that just those rooms are open that have members.
func (l *roomLink) compare(t *testing.T, want model) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	rooms := map[string]bool{}
	for _, in := range want {
		for room := range in {
			rooms[room] = true
		}
	}
	for room := range rooms {
		if !l.open[room] {
			t.Fatalf("room %s has members and is not open", room)
		}
	}
	for room := range l.open {
		if !rooms[room] {
			t.Fatalf("room %s has no members and is open", room)
		}
	}
}

type roomOpening struct {
	mu    sync.Mutex
	ended chan struct{}
	err   error
}

func (o *roomOpening) Wait(ctx context.Context) error {
	o.mu.Lock()
	ended := o.ended
	o.mu.Unlock()
	select {
	case <-ended:
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// start makes a call, sees it wait and returns what it will return.
func start(t *testing.T, call func() error) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- call() }()
	synctest.Wait()
	if len(done) > 0 {
		t.Fatalf("returned without waiting: %v", <-done)
	}
	return done
}

// TestJoinWaits joins rooms that the cluster takes its time to open.
func TestJoinWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		link := newRoomLink(true)
		a := newAdapter(t, link)
		join := func(id string, rooms ...string) func() error {
			return func() error { _, err := a.Join(ctx, id, rooms...); return err }
		}
		add := func(id string, rooms ...string) func() error {
			return func() error { _, err := a.Add(ctx, &fakeMember{id: id}, rooms...); return err }
		}
		end := func(room string, err error, calls ...<-chan error) {
			t.Helper()
			link.end(room, err)
			for _, done := range calls {
				if got := <-done; !errors.Is(got, err) {
					t.Errorf("%s: %v, want %v", room, got, err)
				}
			}
		}
		done := func(call func() error) {
			t.Helper()
			if err := call(); err != nil {
				t.Error(err)
			}
		}
		for _, id := range []string{"m", "n"} { // an id is a room
			end(id, nil, start(t, add(id)))
		}

		// Whoever comes later waits as long as the first, also if it is the same member; then nobody waits any more.
		end("a", nil, start(t, join("m", "a")), start(t, join("n", "a")), start(t, join("m", "a")))
		done(join("n", "a"))
		end("o", nil, start(t, add("o")))
		end("b", nil, start(t, func() error { return a.JoinRooms(ctx, message.Target{}, "b") }))

		// A failure is told, and undoes nothing.
		cause := errors.New("no")
		end("c", cause, start(t, join("m", "c")))
		short, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := a.Join(short, "n", "c"); !errors.Is(err, context.Canceled) || a.RoomLen("c") != 2 {
			t.Errorf("Join: %v, %d members", err, a.RoomLen("c"))
		}
		if errs := a.Stats().JoinErrors; errs["other"] != 1 || errs["canceled"] != 1 {
			t.Errorf("counted %v", errs)
		}
		end("c", nil, start(t, join("m", "c"))) // it has come to a good end after all

		// What another node asks for is done without waiting.
		link.receiver.Receive(&adapter.Envelope{Kind: adapter.KindJoin, ChangeRooms: []string{"d"}})
		if a.RoomLen("d") != 3 {
			t.Errorf("%d members, want 3", a.RoomLen("d"))
		}
		end("d", nil, start(t, join("m", "d")))

		// A room that was closed is opened again.
		for _, id := range []string{"m", "n", "o"} {
			a.Remove(id)
		}
		link.compare(t, nil)
		again := start(t, add("m", "a"))
		link.end("m", nil)
		end("a", nil, again)

		// Without the cluster there is nothing to wait for.
		if err := a.Close(ctx); err != nil {
			t.Error(err)
		}
		done(join("m", "e"))
		if !slices.Contains(a.RoomsOf("m"), "e") {
			t.Error("not joined after Close")
		}
	})
}
