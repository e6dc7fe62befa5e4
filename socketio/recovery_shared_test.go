package socketio_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/socketio"
)

// sharing is nodes with recovery and a common log.
type sharing struct {
	t       *testing.T
	cluster *adaptertest.Cluster
	nodes   []*rig
	came    []chan *socketio.Socket
	left    []chan socketio.Reason
}

type companion struct {
	Name string
	Age  int
}

const travellerKey socketio.Key[companion] = "user"

func share(t *testing.T, nodes int, opts *socketio.Recovery, setup func(node int, io *socketio.Server)) *sharing {
	t.Helper()
	s := &sharing{t: t, cluster: adaptertest.NewCluster()}
	for i := range nodes {
		s.start(i, opts, setup)
	}
	return s
}

// start starts one more node.
func (s *sharing) start(i int, opts *socketio.Recovery, setup func(node int, io *socketio.Server)) {
	s.t.Helper()
	driver := s.cluster.NewSequencer()
	s.t.Cleanup(func() { // behind the server
		if err := driver.Close(context.Background()); err != nil {
			s.t.Error(err)
		}
	})
	s.nodes = append(s.nodes, newRig(s.t, &socketio.Options{Recovery: opts, Driver: driver}, func(io *socketio.Server) {
		came, left := watch(io, "a")
		s.came, s.left = append(s.came, came), append(s.left, left)
		if setup != nil {
			setup(i, io)
		}
	}))
	if err := s.nodes[i].io.Adapter().Ping(s.t.Context()); err != nil { // it has joined
		s.t.Fatal(err)
	}
}

// cut breaks the client's connection to the node and waits until others can take it.
func (s *sharing) cut(c *traveller, node int) {
	s.t.Helper()
	c.leave(s.left[node])
	if err := s.cluster.AwaitSession(s.t.Context(), c.pid); err != nil {
		s.t.Fatal(err)
	}
}

// recovered fails the test unless the client went on where it was, at that node.
func (s *sharing) recovered(c, old *traveller, node int) *socketio.Socket {
	s.t.Helper()
	socket := <-s.came[node]
	if !socket.Recovered() || c.sid != old.sid || c.pid != old.pid {
		s.t.Fatalf("recovered: %v; it is %s with %s, and was %s with %s", socket.Recovered(), c.sid, c.pid, old.sid, old.pid)
	}
	return socket
}

// A client travels from node to node, and back, and has everything once.
func TestRecoveryOnAnotherNode(t *testing.T) {
	t.Parallel()
	s := share(t, 3, &socketio.Recovery{}, nil)
	c := s.nodes[0].come(nil)
	socket := <-s.came[0]
	travellerKey.Set(socket, companion{"Ann", 30})
	socket.Set("plain", []any{"x", 1})
	if err := socket.Join(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	n := 0
	send := func(b socketio.Broadcast) {
		t.Helper()
		n++
		emit(t, b, "n", n)
	}
	send(s.nodes[0].io.To("a"))
	c.expect("n 1")
	for _, to := range []int{1, 2, 0, 1} {
		from := (to + 2) % 3
		if to == 1 && n > 10 {
			from = 0
		}
		s.cut(c, from)
		for i := range s.nodes {
			send(s.nodes[i].io.To("a"))
			emit(t, s.nodes[i].io.To("elsewhere"), "n", "not for it")
			send(s.nodes[i].io.To(c.sid))
			emit(t, s.nodes[i].io.Except("a"), "n", "not for it")
		}
		send(s.nodes[from].io.To("b"))
		old := c
		c = s.nodes[to].come(old)
		socket = s.recovered(c, old, to)
		if err := socket.Emit(t.Context(), "n", n+1); err != nil {
			t.Fatal(err)
		}
		n++
		c.expect(numbers("n", n-7, n)...)
		if u := travellerKey.Get(socket); u != (companion{"Ann", 30}) {
			t.Fatalf("the value of its key is %+v", u)
		}
		if v, ok := socket.Get("plain").([]any); !ok || len(v) != 2 {
			t.Fatalf("the plain value is %v", socket.Get("plain"))
		}
		if rooms := socket.Rooms(); len(rooms) != 2 {
			t.Fatalf("it is in %v", rooms)
		}
	}
	for i := range s.nodes {
		if st := s.nodes[i].io.Stats(); st.NotRecovered != 0 || st.Unsaved != 0 {
			t.Errorf("node %d: %d not recovered, %d unsaved", i, st.NotRecovered, st.Unsaved)
		}
	}
	if n := s.cluster.Sessions(); n != 0 {
		t.Errorf("%d sessions are kept of clients that are there", n)
	}
}

func numbers(event string, from, to int) (list []string) {
	for i := from; i <= to; i++ {
		list = append(list, event+" "+strconv.Itoa(i))
	}
	return list
}

// A client that never got an event says no offset. It gets what it missed, on a node that was started later too.
func TestRecoveryOfOneThatGotNothingOnAnotherNode(t *testing.T) {
	t.Parallel()
	s := share(t, 1, &socketio.Recovery{}, nil)
	first := s.nodes[0].come(nil)
	<-s.came[0]
	emit(t, s.nodes[0].io.To("a"), "n", "before its time")
	first.expect("n before its time")
	c := s.nodes[0].come(nil)
	<-s.came[0]
	s.cut(c, 0)
	emit(t, s.nodes[0].io.To("a"), "n", 1)
	s.start(1, &socketio.Recovery{}, nil)
	emit(t, s.nodes[0].io.To("a"), "n", 2)
	back := s.nodes[1].come(c)
	s.recovered(back, c, 1)
	back.expect("n 1", "n 2")
}

// A session is for whoever takes it first: the client is a new one where it comes again with it.
func TestRecoveryIsForOneNode(t *testing.T) {
	t.Parallel()
	s := share(t, 2, &socketio.Recovery{}, nil)
	c := s.nodes[0].come(nil)
	<-s.came[0]
	emit(t, s.nodes[0].io.To("a"), "n", 1)
	c.expect("n 1")
	s.cut(c, 0)
	back := s.nodes[1].come(c)
	s.recovered(back, c, 1)
	thief := s.nodes[0].come(c)
	if socket := <-s.came[0]; socket.Recovered() || thief.sid == c.sid {
		t.Fatal("one client is on two nodes")
	}
	if st := s.nodes[0].io.Stats(); st.LostSessions[socketio.LostUnknown] != 1 || st.NotRecovered != 1 || st.Away != 0 {
		t.Errorf("%v, %d away", st.LostSessions, st.Away)
	}
}

// What the log does not have any more is never given in part.
func TestRecoveryOnAnotherNodeIsAllOrNothing(t *testing.T) {
	t.Parallel()
	s := share(t, 1, &socketio.Recovery{}, nil)
	c := s.nodes[0].come(nil)
	<-s.came[0]
	emit(t, s.nodes[0].io.To("a"), "n", 1)
	c.expect("n 1")
	s.cut(c, 0)
	for range 10 {
		emit(t, s.nodes[0].io.To("a"), "n", "missed")
	}
	s.start(1, &socketio.Recovery{}, nil)
	s.cluster.Trim("/", 5)
	back := s.nodes[1].come(c)
	if socket := <-s.came[1]; socket.Recovered() {
		t.Fatal("recovered")
	}
	emit(t, s.nodes[0].io.To("a"), "n", "new")
	back.expect("n new")
	if st := s.nodes[1].io.Stats(); st.LostSessions[socketio.LostTrimmed] != 1 {
		t.Errorf("%v", st.LostSessions)
	}
}

// A middleware that refuses a client takes nothing from it: it may come again, to any node.
func TestRecoveryThatIsRefusedElsewhere(t *testing.T) {
	t.Parallel()
	s := share(t, 2, &socketio.Recovery{}, func(node int, io *socketio.Server) {
		if node == 1 {
			io.Use(func(context.Context, *socketio.Socket) error { return errors.New("not here") })
		}
	})
	c := s.nodes[0].come(nil)
	<-s.came[0]
	emit(t, s.nodes[0].io.To("a"), "n", 1)
	c.expect("n 1")
	s.cut(c, 0)
	emit(t, s.nodes[0].io.To("a"), "n", 2)
	p := s.nodes[1].dial()
	p.send(`40{"pid":"` + c.pid + `","offset":"` + c.offset + `"}`)
	if got := p.read(); !strings.HasPrefix(got, "44") {
		t.Fatalf("not refused but %q", got)
	}
	if err := s.cluster.AwaitSession(t.Context(), c.pid); err != nil {
		t.Fatal(err)
	}
	back := s.nodes[0].come(c)
	s.recovered(back, c, 0)
	back.expect("n 2")
}

// While the cluster is away nobody is given what nobody else is, and a client that left comes back to its node all the same.
func TestRecoveryWhileTheClusterIsAway(t *testing.T) {
	t.Parallel()
	s := share(t, 1, &socketio.Recovery{}, nil)
	c := s.nodes[0].come(nil)
	socket := <-s.came[0]
	emit(t, s.nodes[0].io.To("a"), "n", 1)
	c.expect("n 1")
	s.cluster.Fail(errors.New("away"))
	if err := socket.Emit(t.Context(), "n", "lost"); err == nil {
		t.Fatal("sent to nobody, and no error")
	}
	if err := s.nodes[0].io.To("a").Emit(t.Context(), "n", "lost"); err == nil {
		t.Fatal("broadcast to nobody, and no error")
	}
	c.leave(s.left[0])
	back := s.nodes[0].come(c)
	s.recovered(back, c, 0)
	s.cluster.Fail(nil)
	emit(t, s.nodes[0].io.To("a"), "n", 2)
	back.expect("n 2")
}

// A node that ends leaves its clients to the others.
func TestRecoveryFromANodeThatEnds(t *testing.T) {
	t.Parallel()
	s := share(t, 2, &socketio.Recovery{}, nil)
	c := s.nodes[0].come(nil)
	<-s.came[0]
	emit(t, s.nodes[0].io.To("a"), "n", 1)
	c.expect("n 1")
	if err := s.nodes[0].io.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.cluster.AwaitSession(t.Context(), c.pid); err != nil {
		t.Fatal(err)
	}
	emit(t, s.nodes[1].io.To("a"), "n", 2)
	back := s.nodes[1].come(c)
	s.recovered(back, c, 1)
	back.expect("n 2")
}

// What goes to one socket by the log is counted once.
func TestSharedEventsAreCountedOnce(t *testing.T) {
	t.Parallel()
	s := share(t, 1, &socketio.Recovery{}, nil)
	c := s.nodes[0].come(nil)
	socket := <-s.came[0]
	for n := range 3 {
		if err := socket.Emit(t.Context(), "n", n); err != nil {
			t.Fatal(err)
		}
	}
	if err := socket.Volatile().Emit(t.Context(), "n", 3); err != nil {
		t.Fatal(err)
	}
	c.expect("n 0", "n 1", "n 2", "n 3")
	if out := s.nodes[0].io.Stats().EventsOut; out != 4 {
		t.Errorf("%d events sent, want 4", out)
	}
}
