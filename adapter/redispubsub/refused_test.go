package redispubsub_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/internal/testredis"
	"github.com/peal-dev/peal/message"
)

// TestRefusedRoom has a client choose the name of a room that Redis refuses: its own join says so, all else goes on, and
// the room is heard once Redis allows it.
func TestRefusedRoom(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	opts, state := states(redispubsub.Options{URL: server.URL(), SubscribeRooms: true})
	d := newDriver(t, opts)
	a, m := newAdapter(t, d)
	b, _ := newAdapter(t, newDriver(t, redispubsub.Options{URL: server.URL(), SubscribeRooms: true}))
	state(true)
	server.Do("ACL", "SETUSER", "default", "resetchannels", "&socket.io#/#", "&socket.io#/#ok*", "&socket.io#/#m#", "&socket.io#/#"+strings.Repeat("[-_0-9A-Za-z]", 20)+"#", "&socket.io-*")
	const rooms = 50
	server.Pause() // so that all rooms leave with one command
	errs := make(map[string]chan error)
	for i := range rooms {
		for _, room := range []string{fmt.Sprint("ok", i), fmt.Sprint("$no", i)} {
			result := make(chan error, 1)
			errs[room] = result
			go func() {
				_, err := a.Join(t.Context(), "m", room)
				result <- err
			}()
		}
	}
	server.Resume()
	for room, result := range errs {
		switch err := <-result; {
		case strings.HasPrefix(room, "ok") && err != nil:
			t.Errorf("join of %s: %v", room, err)
		case strings.HasPrefix(room, "$no") && (!errors.Is(err, adapter.ErrUnavailable) || !strings.Contains(err.Error(), "NOPERM") || !strings.Contains(err.Error(), room)):
			t.Errorf("join of %s, which is refused: %v", room, err)
		}
	}
	if got := d.Stats().Refused; got != rooms {
		t.Errorf("%d channels refused, want %d", got, rooms)
	}
	if err := a.Ping(t.Context()); err != nil {
		t.Errorf("Ping beside rooms that are refused: %v", err)
	}
	for i := range rooms {
		room := fmt.Sprint("ok", i)
		if err := b.Broadcast(t.Context(), newMessage(room), message.Target{Rooms: []string{room}}); err != nil {
			t.Fatal(err)
		}
		if got := m.Next(t).Event(); got != room {
			t.Errorf("got %q, want what was published to %s", got, room)
		}
	}
}

// TestRefusedNamespace forbids what the namespace needs while the node runs: its own probe would still come back.
func TestRefusedNamespace(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	for _, rooms := range []bool{false, true} {
		server.Do("ACL", "SETUSER", "default", "allchannels")
		opts, state := states(redispubsub.Options{URL: server.URL(), SubscribeRooms: rooms})
		d := newDriver(t, opts)
		a, _ := newAdapter(t, d)
		state(true)
		server.Do("ACL", "SETUSER", "default", "resetchannels", "&socket.io-*")
		state(false)
		state(true)
		if err := a.Ping(t.Context()); !errors.Is(err, adapter.ErrUnavailable) || !strings.Contains(err.Error(), "NOPERM") {
			t.Errorf("Ping of a namespace whose messages are refused: %v", err)
		}
		if got := d.Stats().Gaps[adapter.GapRefused]; got == 0 {
			t.Error("that messages are refused is no gap")
		}
	}
}
