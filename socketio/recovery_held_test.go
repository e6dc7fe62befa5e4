package socketio_test

import (
	"strings"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/socketio"
)

// kept waits until what is kept of the client elsewhere is in so many rooms.
func (s *sharing) kept(c *traveller, rooms int) {
	s.t.Helper()
	if err := s.cluster.AwaitRecord(s.t.Context(), c.pid, func(k *adapter.Session) bool { return len(k.Rooms) == rooms }); err != nil {
		s.t.Fatal(err)
	}
}

// first reads the first offset, which comes right behind CONNECT.
func (c *traveller) first() {
	c.t.Helper()
	got := c.read()
	offset, first := strings.CutPrefix(got, `42["peal:offset","`)
	if !first {
		c.t.Fatalf("the first event is %s", got)
	}
	c.offset = strings.TrimSuffix(offset, `"]`)
}

// A client whose node says nothing any more comes to another, where it has its rooms, its values, and what it missed. Its
// first offset came with CONNECT. The old node drops it without a word, and keeps nothing of it.
func TestRecoveryFromANodeThatDoesNotKnow(t *testing.T) {
	t.Parallel()
	s := share(t, 2, &socketio.Recovery{}, nil)
	c := s.nodes[0].come(nil)
	socket := <-s.came[0]
	c.first()
	s.kept(c, 1)
	travellerKey.Set(socket, companion{"Ann", 30})
	if err := socket.Join(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	s.kept(c, 2)
	emit(t, s.nodes[1].io.To("a"), "n", 1)
	emit(t, s.nodes[1].io.To("b"), "n", 2)
	back := s.nodes[1].come(c)
	there := s.recovered(back, c, 1)
	back.expect("n 1", "n 2")
	if u := travellerKey.Get(there); u != (companion{"Ann", 30}) {
		t.Errorf("the value of its key is %+v", u)
	}
	s.kept(back, 2)
	if err := socket.Join(t.Context(), "c"); err != nil { // now the old node asks
		t.Fatal(err)
	}
	<-s.left[0]
	c.wantClosed()
	emit(t, s.nodes[0].io.To(c.sid), "n", 3)
	back.expect("n 3")
	if st := s.nodes[0].io.Stats(); st.Sockets != 0 || st.Away != 0 {
		t.Errorf("the old node has %d sockets, %d away", st.Sockets, st.Away)
	}
	s.kept(back, 2)
}

// The client comes back to a node that still has it, but was elsewhere in between: it goes on as it was there.
func TestRecoveryAtTheOldNodeAfterAnother(t *testing.T) {
	t.Parallel()
	s := share(t, 2, &socketio.Recovery{}, nil)
	c := s.nodes[0].come(nil)
	<-s.came[0]
	c.first()
	s.kept(c, 1)
	second := s.nodes[1].come(c)
	s.recovered(second, c, 1)
	s.kept(second, 1)
	if err := s.nodes[1].io.Socket(c.sid).Join(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	s.kept(second, 2)
	third := s.nodes[0].come(second)
	socket := s.recovered(third, c, 0)
	if rooms := socket.Rooms(); len(rooms) != 2 {
		t.Errorf("it is in %q", rooms)
	}
	emit(t, s.nodes[1].io.To("b"), "n", 1)
	third.expect("n 1")
}

// A client that was disconnected for good is a new one, wherever it comes.
func TestRecoveryAfterGoodbye(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*socketio.Socket, *traveller){
		"of the server": func(s *socketio.Socket, _ *traveller) { _ = s.Disconnect(s.Context(), false) },
		"of the client": func(_ *socketio.Socket, c *traveller) { c.send("41") },
	} {
		s := share(t, 2, &socketio.Recovery{}, nil)
		c := s.nodes[0].come(nil)
		socket := <-s.came[0]
		s.kept(c, 1)
		end(socket, c)
		<-s.left[0]
		if err := s.cluster.AwaitNoRecord(t.Context(), c.pid); err != nil {
			t.Fatal(err)
		}
		s.nodes[1].come(c)
		if again := <-s.came[1]; again.Recovered() {
			t.Errorf("%s: recovered", name)
		}
	}
}
