package redispubsub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/internal/testredis"
	"github.com/peal-dev/peal/message"
)

// TestNoMoreThanNeeded publishes to rooms of one node and counts what Redis sends to another.
func TestNoMoreThanNeeded(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	var nodes [3]struct {
		*redispubsub.Driver
		*adapter.Adapter
		m *adaptertest.Member
	}
	for i := range nodes {
		nodes[i].Driver = newDriver(t, redispubsub.Options{URL: server.URL()})
		nodes[i].Adapter, nodes[i].m = newAdapter(t, nodes[i].Driver)
	}
	const rooms, each = 20, 10
	for i := range rooms {
		room := fmt.Sprint("room", i)
		if _, err := nodes[1].Join(t.Context(), "m", room); err != nil {
			t.Fatal(err)
		}
		for range each {
			if err := nodes[0].Broadcast(t.Context(), newMessage("x"), message.Target{Rooms: []string{room}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := nodes[0].Broadcast(t.Context(), newMessage("end"), message.Target{}); err != nil {
		t.Fatal(err)
	}
	// The publisher has no member in the rooms: even its own messages do not come back.
	for i, want := range []uint64{1, rooms*each + 1, 1} {
		nodes[i].m.Until(t, "end")
		if i == 0 { // its member got the message directly: the echo comes before the ping
			if err := nodes[0].Adapter.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := nodes[i].Driver.Stats().Received; got != want {
			t.Errorf("node %d received %d messages, want %d", i, got, want)
		}
	}
}

// TestRoomsAfterRestart loses Redis with rooms open, opens and closes some meanwhile, and finds them all in place.
func TestRoomsAfterRestart(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	const timeout = 500 * time.Millisecond
	opts, state := states(redispubsub.Options{URL: server.URL(), Timeout: timeout})
	d := newDriver(t, opts)
	a, m := newAdapter(t, d)
	publishing, reached := states(redispubsub.Options{URL: server.URL()})
	b, _ := newAdapter(t, newDriver(t, publishing))
	state(true)
	reached(true)
	join := func(room string) error {
		_, err := a.Join(t.Context(), "m", room)
		return err
	}
	for _, room := range []string{"kept", "left"} {
		if err := join(room); err != nil {
			t.Fatal(err)
		}
	}

	server.Stop()
	state(false)
	reached(false)
	start := time.Now()
	if err := join("meanwhile"); !errors.Is(err, adapter.ErrUnavailable) || !a.HasRoom("meanwhile") {
		t.Errorf("Join without Redis: %v, joined here: %v", err, a.HasRoom("meanwhile"))
	}
	if took := time.Since(start); took > 2*timeout {
		t.Errorf("Join without Redis took %v", took)
	}
	// From now on it is known that Redis is away. Of a thousand joins that waited, none would be over in a minute.
	start = time.Now()
	for i := range 1000 {
		if err := join(fmt.Sprint("more", i)); !errors.Is(err, adapter.ErrUnavailable) {
			t.Errorf("Join without Redis: %v", err)
		}
	}
	if took := time.Since(start); took > 100*timeout {
		t.Errorf("a thousand joins without Redis took %v", took)
	}
	a.Leave("m", "left")
	if got := a.Stats().JoinErrors["unavailable"]; got != 1001 {
		t.Errorf("%d joins counted as unheard, want 1001", got)
	}

	server.Restart()
	state(true)
	reached(true)
	for _, room := range []string{"left", "kept", "meanwhile", "more999"} {
		if err := b.Broadcast(t.Context(), newMessage(room), message.Target{Rooms: []string{room}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, room := range []string{"kept", "meanwhile", "more999"} {
		if got := m.Next(t).Event(); got != room {
			t.Errorf("got %q, want what was published to %s", got, room)
		}
	}
	if err := join("meanwhile"); err != nil {
		t.Errorf("Join with Redis again: %v", err)
	}
}

// TestJoinGivenUp ends a join's context, its link and its driver while Redis hangs.
func TestJoinGivenUp(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	d := newDriver(t, redispubsub.Options{URL: server.URL(), Timeout: time.Hour})
	links := map[string]adapter.Link{}
	for _, namespace := range []string{"/link", "/driver"} {
		l, err := d.Subscribe(t.Context(), namespace, nobody{})
		if err != nil {
			t.Fatal(err)
		}
		links[namespace] = l
	}
	server.Pause()
	defer server.Resume()
	waits := map[string]chan error{}
	for namespace, l := range links {
		wait := make(chan error, 1)
		waits[namespace] = wait
		opening := l.(adapter.RoomFilter).RoomOpened("room")
		go func() { wait <- opening.Wait(t.Context()) }()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := opening.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", namespace, err)
		}
	}
	if err := links["/link"].Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-waits["/link"]; !errors.Is(err, adapter.ErrClosed) {
		t.Errorf("Wait on a closed link: %v", err)
	}
	if o := links["/link"].(adapter.RoomFilter).RoomOpened("other"); o != nil {
		t.Error("a closed link has something to wait for")
	}
	if err := d.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-waits["/driver"]; !errors.Is(err, adapter.ErrClosed) {
		t.Errorf("Wait on a closed driver: %v", err)
	}
}

// nobody is the receiver of a node without members.
type nobody struct{}

func (nobody) Answer(*adapter.Call, func(adapter.Answer)) {}
func (nobody) Receive(*adapter.Envelope)                  {}
func (nobody) HasRoom(string) bool                        { return false }

// TestNothingIsLeft opens and closes rooms and namespaces: one connection hears all of them, and of what is gone nothing is left in
// Redis.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	d := newDriver(t, redispubsub.Options{URL: server.URL()})
	kept := joinNamespace(t, d, "/kept")
	settle := func() {
		t.Helper()
		if err := kept.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	settle()
	subscribed := func() string {
		channels := strings.Fields(server.Do("PUBSUB", "CHANNELS"))
		slices.Sort(channels)
		return fmt.Sprint(channels, " and patterns: ", server.Do("PUBSUB", "NUMPAT"))
	}
	before := subscribed()
	if got := strings.Count(server.Do("CLIENT", "LIST", "TYPE", "pubsub"), "cmd="); got != 1 {
		t.Errorf("%d connections are subscribed, want 1", got)
	}
	for i := range 20 {
		a := joinNamespace(t, d, fmt.Sprint("/", i))
		for j := range 10 {
			m := adaptertest.NewMember(fmt.Sprintf("%020d", j))
			if _, err := a.Add(t.Context(), m, "room", fmt.Sprint("room", j)); err != nil {
				t.Fatal(err)
			}
			if _, err := kept.Add(t.Context(), m, fmt.Sprint("room", i)); err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 {
				a.Remove(m.ID())
			}
			kept.Remove(m.ID())
		}
		if err := a.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Count(server.Do("CLIENT", "LIST", "TYPE", "pubsub"), "cmd="); got != 1 {
		t.Errorf("%d connections are subscribed, want 1", got)
	}
	// Redis is asked for it in the background: a join that is confirmed comes behind.
	if _, err := kept.Add(t.Context(), adaptertest.NewMember("last"), "last"); err != nil {
		t.Fatal(err)
	}
	kept.Remove("last")
	if _, err := kept.Add(t.Context(), adaptertest.NewMember("m"), "m"); err != nil {
		t.Fatal(err)
	}
	kept.Remove("m")
	for began := time.Now(); subscribed() != before; {
		if time.Since(began) > 20*time.Second {
			t.Fatalf("there are %s\nbefore there were %s", subscribed(), before)
		}
	}
}

// TestJoinedByEmitters has an emitter, and a node of another make, put a member of a node into a room and publish there in the
// next line, while there are Peal nodes only, and while there are not.
func TestJoinedByEmitters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	emitter, err := redispubsub.NewEmitter(redispubsub.Options{URL: b.server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := emitter.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	from, err := adapter.New(t.Context(), "/", emitter, nil)
	if err != nil {
		t.Fatal(err)
	}
	second, m := newAdapter(t, newDriver(t, redispubsub.Options{URL: b.server.URL()}))
	for i := range 200 {
		if i == 100 {
			b.counted()
		}
		room := fmt.Sprint("room", i)
		if err := from.JoinRooms(t.Context(), message.Target{Rooms: []string{"m"}}, room); err != nil {
			t.Fatal(err)
		}
		if err := from.Broadcast(t.Context(), newMessage(room), message.Target{Rooms: []string{room}}); err != nil {
			t.Fatal(err)
		}
		for _, m := range []*adaptertest.Member{b.m, m} {
			if got := m.Next(t).Event(); got != room {
				t.Fatalf("got %q, want %q", got, room)
			}
		}
		// Whoever has heard of the join does not wait for the room's subscription either.
		if err := second.Broadcast(t.Context(), newMessage("second"), message.Target{Rooms: []string{room}}); err != nil {
			t.Fatal(err)
		}
		if got := b.m.Next(t).Event(); got != "second" {
			t.Fatalf("got %q, want the second node's", got)
		}
		m.Next(t)
	}
}
