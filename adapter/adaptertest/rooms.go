package adaptertest

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/peal-dev/peal/message"
)

// roomNames are names that a driver might take for something else.
var roomNames = []string{
	"plain", "#", "a#b", "a#", "#a", "*", "?????", "[a-z]", `back\slash`, "two words", "ünïcode 🦉", "line\nbreak", "\x00",
	"/", "/#a", "request", "abcdefghijklmnopqrst", "ABCDEFGHIJ-_23456789", "abcdefghij.lmnopqrst", "ünïünïünïünïün",
	strings.Repeat("long", 250),
}

// joinIsHeard publishes to a room as soon as a join on another node has returned.
func (s suite) joinIsHeard(t *testing.T) {
	nodes := s.start(t, 3, "/")
	m := nodes[1].member(t, "m")
	var churn sync.WaitGroup
	stop := make(chan struct{})
	// Others come and go meanwhile, on the same node and in the same rooms.
	for i := range 4 {
		other := NewMember(fmt.Sprint("other", i))
		nodes[i%3].add(t, other)
		churn.Go(func() {
			for n := i; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				room := roomNames[n%len(roomNames)]
				if _, err := nodes[i%3].Join(t.Context(), other.ID(), room, fmt.Sprint("own", n)); err != nil {
					t.Error(err)
					return
				}
				nodes[i%3].Leave(other.ID(), room, fmt.Sprint("own", n))
				for !other.Empty() {
					other.Next(t)
				}
			}
		})
	}
	for round := range 10 {
		for i, room := range roomNames {
			nodes[1].join(t, m, room)
			event := fmt.Sprint(round, " ", i)
			nodes[2*(round%2)].emit(t, event, message.Target{Rooms: []string{room}})
			if before := m.Until(t, event); len(before) > 0 {
				t.Errorf("room %q: %q came first", room, before)
			}
			if round%3 > 0 {
				nodes[1].Leave(m.ID(), room)
			}
		}
	}
	close(stop)
	churn.Wait()
}

// closedRoom publishes to rooms that have no member any more, and to members that are gone.
func (s suite) closedRoom(t *testing.T) {
	nodes := s.start(t, 2, "/")
	for _, room := range roomNames {
		m := nodes[1].member(t, "m "+room, room)
		nodes[1].Leave(m.ID(), room)
		nodes[0].emit(t, "left", message.Target{Rooms: []string{room}})
		if got := nodes[0].fence(t, m); len(got) > 0 {
			t.Errorf("room %q: got %q after leaving", room, got)
		}
		nodes[1].join(t, m, room)
		nodes[1].Remove(m.ID())
		for _, name := range []string{room, m.ID()} {
			nodes[0].emit(t, "removed", message.Target{Rooms: []string{name}})
		}
		nodes[0].fence(t, nodes[1].all)
		if !m.Empty() {
			t.Errorf("member %q got %q after it was removed", m.ID(), m.Next(t).Event())
		}
		// A namesake hears what is published from now on.
		n := nodes[1].member(t, m.ID(), room)
		nodes[0].emit(t, "again", message.Target{Rooms: []string{room}})
		if got := nodes[0].fence(t, n); len(got) != 1 || got[0] != "again" {
			t.Errorf("member %q: got %q, want only what came again", n.ID(), got)
		}
	}
}

// ids publishes to members by their ids, whatever these look like; a room may have the same name.
func (s suite) ids(t *testing.T) {
	nodes := s.start(t, 2, "/")
	for _, id := range roomNames {
		m, n := nodes[1].member(t, id), nodes[1].member(t, "n "+id, id)
		for _, event := range []string{"both", "one"} {
			nodes[0].emit(t, event, message.Target{Rooms: []string{id}})
			if before := m.Until(t, event); len(before) > 0 {
				t.Errorf("member %q: got %q first", id, before)
			}
			if event == "both" {
				n.Until(t, event)
				nodes[1].Remove(n.ID())
			}
		}
		if got := nodes[0].fence(t, m); len(got) > 0 || !n.Empty() {
			t.Errorf("member %q: got %q twice", id, got)
		}
	}
}

// namespaceNames have the rooms of one namespace look like another's.
func (s suite) namespaceNames(t *testing.T) {
	drivers := s.drivers(t, 2)
	names := []string{"/a", "/a#b", "/a#b#c", "/*", "/[a]"}
	var members []*Member
	for _, name := range names {
		n := join(t, drivers[1], name, "all")
		for _, room := range []string{"c", "b#c", "b"} {
			members = append(members, n.member(t, name+" "+room, room))
		}
	}
	for _, name := range names {
		n := join(t, drivers[0], name, "all")
		for _, room := range []string{"c", "b#c", "b"} {
			n.emit(t, "x", message.Target{Rooms: []string{room}})
		}
		for _, m := range members {
			if strings.HasPrefix(m.ID(), name+" ") {
				if got := n.fence(t, m); len(got) != 1 {
					t.Errorf("%s got %q, want x once", m.ID(), got)
				}
			} else if !m.Empty() {
				t.Errorf("%s got something that is not for its namespace", m.ID())
			}
		}
	}
}

// joinByOthers puts members of other nodes into rooms and publishes there right after: from the same node, and from one
// that has seen the join go by, as the member's node has. That one's messages need not come behind the first node's.
func (s suite) joinByOthers(t *testing.T) {
	nodes := s.start(t, 3, "/")
	m := nodes[1].member(t, "m")
	for i, room := range roomNames {
		check(t, nodes[0].JoinRooms(t.Context(), message.Target{Rooms: []string{"m"}}, room, "second "+room))
		nodes[0].emit(t, "same", message.Target{Rooms: []string{room}})
		nodes[0].emit(t, "same", message.Target{Rooms: []string{"second " + room}})
		nodes[0].fence(t, nodes[2].all)
		for range 2 {
			if got := m.Next(t).Event(); got != "same" {
				t.Errorf("room %d, %q: got %q, want what the node published that asked for the join", i, room, got)
			}
		}
		nodes[2].emit(t, "other", message.Target{Rooms: []string{room}})
		if got := m.Next(t).Event(); got != "other" {
			t.Errorf("room %d, %q: got %q, want the other node's message", i, room, got)
		}
	}
}
