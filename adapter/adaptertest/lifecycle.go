package adaptertest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/message"
)

func (s suite) local(t *testing.T) {
	nodes := s.start(t, 2, "/")
	target := message.Target{Local: true}
	nodes[0].emit(t, "local", target)
	check(t, nodes[0].JoinRooms(t.Context(), target, "r"))
	check(t, nodes[0].Disconnect(t.Context(), target, true))
	if got := nodes[0].fence(t, nodes[1].all); len(got) != 0 {
		t.Errorf("the other node got %v of a local broadcast", got)
	}
	nodes[0].all.Disconnected(t)
	if !nodes[0].HasRoom("r") || nodes[1].HasRoom("r") || !nodes[1].all.Empty() {
		t.Error("a local change was not made here, or was made elsewhere")
	}
	if got := nodes[0].all.Next(t).Event(); got != "local" {
		t.Errorf("this node got %q of a local broadcast", got)
	}
}

// namespaces uses names that are patterns of and prefixes of each other.
func (s suite) namespaces(t *testing.T) {
	drivers := s.drivers(t, 2)
	var nodes [2][]*node
	names := []string{"/", "/x*", "/xy", "/x*#room", "/[ab]?", "/a1"}
	for i, d := range drivers {
		for _, name := range names {
			nodes[i] = append(nodes[i], join(t, d, name, "all"))
		}
	}
	for i, name := range names {
		nodes[0][i].emit(t, name, message.Target{})
		nodes[0][i].emit(t, name, message.Target{Rooms: []string{"all"}})
	}
	for i, name := range names {
		if got := nodes[0][i].fence(t, nodes[1][i].all); !slices.Equal(got, []string{name, name}) {
			t.Errorf("namespace %s got %q", name, got)
		}
	}
	if _, err := drivers[0].Subscribe(t.Context(), "/xy", nil); !errors.Is(err, adapter.ErrSubscribed) {
		t.Errorf("a second subscription of a namespace: %v", err)
	}
}

func (s suite) changes(t *testing.T) {
	nodes := s.start(t, 3, "/")
	here := nodes[0].member(t, "here", "team")
	there := nodes[1].member(t, "there", "team")
	other := nodes[2].member(t, "other", "team", "out")
	target := message.Target{Rooms: []string{"team"}, Except: []string{"out"}}

	check(t, nodes[0].JoinRooms(t.Context(), target, "r1", "r2"))
	nodes[0].fence(t, there)
	nodes[0].fence(t, other)
	if !nodes[0].HasRoom("r1") || !nodes[0].HasRoom("r2") || !nodes[1].HasRoom("r1") || !nodes[1].HasRoom("r2") || nodes[2].HasRoom("r1") {
		t.Error("JoinRooms did not put the members of team except out into r1 and r2")
	}
	check(t, nodes[2].LeaveRooms(t.Context(), message.Target{Rooms: []string{"r1"}}, "r1", "team"))
	nodes[2].fence(t, here)
	nodes[2].fence(t, there)
	if nodes[0].HasRoom("r1") || nodes[1].HasRoom("r1") || nodes[0].HasRoom("team") || !nodes[1].HasRoom("r2") || !nodes[2].HasRoom("team") {
		t.Error("LeaveRooms did not take the members of r1, and only them, out of r1 and team")
	}
	check(t, nodes[0].JoinRooms(t.Context(), message.Target{Rooms: []string{"other"}}, "by id"))
	nodes[0].fence(t, other)
	if got := nodes[2].RoomLen("by id"); got != 1 {
		t.Errorf("a member of another node joined by its id: %d members in the room", got)
	}
	check(t, nodes[0].Disconnect(t.Context(), message.Target{Rooms: []string{"r2"}}, true))
	check(t, nodes[0].Disconnect(t.Context(), message.Target{Rooms: []string{"other"}}, false))
	if !there.Disconnected(t) || !here.Disconnected(t) || other.Disconnected(t) {
		t.Error("Disconnect lost whether to close the connection")
	}
	nodes[0].fence(t, other)
	nodes[0].fence(t, nodes[2].all)
	if !here.Empty() || !there.Empty() || !other.Empty() || !nodes[2].all.Empty() {
		t.Error("somebody was disconnected twice or for nothing")
	}
}

func (s suite) ping(t *testing.T) {
	nodes := s.start(t, 2, "/")
	for _, n := range nodes {
		for range 3 {
			check(t, n.Ping(t.Context()))
		}
		if in := n.Stats().EnvelopesIn; in != 0 {
			t.Errorf("a ping arrived as %d envelopes", in)
		}
	}
	errs := make(chan error)
	for range 10 {
		go func() { errs <- nodes[0].Ping(t.Context()) }()
	}
	for range 10 {
		check(t, <-errs)
	}
}

func (s suite) canceled(t *testing.T) {
	nodes := s.start(t, 2, "/")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := nodes[0].Broadcast(ctx, newMessage("never"), message.Target{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Broadcast with a canceled context: %v", err)
	}
	if err := nodes[0].Ping(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Ping with a canceled context: %v", err)
	}
	if _, err := adapter.New(ctx, "/other", nodes[0].driver, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Subscribe with a canceled context: %v", err)
	}
	if got := nodes[0].fence(t, nodes[1].all); len(got) != 0 {
		t.Errorf("published in spite of a canceled context: %v", got)
	}
	if got := nodes[0].all.Next(t).Event(); got != "never" {
		t.Errorf("this node's member got %q", got)
	}
	// A subscription that was given up leaves nothing behind.
	join(t, nodes[0].driver, "/other", "m")
}

func (s suite) closeLink(t *testing.T) {
	nodes := s.start(t, 3, "/")
	for i, n := range nodes {
		nodes[0].fence(t, n.all)
		if i > 0 {
			n.emit(t, "hello", message.Target{Rooms: []string{"all0"}})
		}
	}
	check(t, nodes[1].Close(t.Context()))
	check(t, nodes[1].Close(t.Context()))
	nodes[0].emit(t, "late", message.Target{})
	nodes[2].all.Until(t, "late")
	if !nodes[1].all.Empty() {
		t.Errorf("got %q after Close", nodes[1].all.Next(t).Event())
	}
	if err := nodes[1].Broadcast(t.Context(), newMessage("x"), message.Target{}); !errors.Is(err, adapter.ErrClosed) {
		t.Errorf("Broadcast after Close: %v", err)
	}
	again := join(t, nodes[1].driver, "/", "again")
	nodes[0].fence(t, again.all)
	again.fence(t, nodes[2].all)
}

func (s suite) closeDriver(t *testing.T) {
	nodes := s.start(t, 2, "/")
	check(t, nodes[1].driver.Close(t.Context()))
	check(t, nodes[1].driver.Close(t.Context()))
	if err := nodes[1].Broadcast(t.Context(), newMessage("x"), message.Target{Rooms: []string{"all0"}}); !errors.Is(err, adapter.ErrClosed) {
		t.Errorf("Broadcast after the driver's Close: %v", err)
	}
	if err := nodes[1].Ping(t.Context()); !errors.Is(err, adapter.ErrClosed) {
		t.Errorf("Ping after the driver's Close: %v", err)
	}
	if _, err := adapter.New(t.Context(), "/late", nodes[1].driver, nil); !errors.Is(err, adapter.ErrClosed) {
		t.Errorf("Subscribe after the driver's Close: %v", err)
	}
	nodes[0].emit(t, "x", message.Target{})
	check(t, nodes[0].Ping(t.Context()))
	if !nodes[1].all.Empty() {
		t.Error("a closed driver delivers")
	}
}
