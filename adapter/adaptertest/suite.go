package adaptertest

import (
	"context"
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/message"
)

// Drivers makes the drivers of as many nodes of one new cluster, which shares nothing with any other cluster it made
// before, and closes them at the end of t.
type Drivers func(t *testing.T, nodes int) []adapter.Driver

// Run holds the drivers to what package adapter asks of a driver. It looks for goroutines left behind, so the test that
// calls it must not be parallel.
func Run(t *testing.T, drivers Drivers) {
	s := suite{drivers}
	t.Run("Order", s.order)
	t.Run("ConcurrentPublishers", s.concurrentPublishers)
	t.Run("NoEcho", s.noEcho)
	t.Run("Rooms", s.rooms)
	t.Run("JoinIsHeard", s.joinIsHeard)
	t.Run("ClosedRoom", s.closedRoom)
	t.Run("IDs", s.ids)
	t.Run("NamespaceNames", s.namespaceNames)
	t.Run("Volatile", s.volatile)
	t.Run("Payloads", s.payloads)
	t.Run("Binary", s.binary)
	t.Run("BigMessage", s.bigMessage)
	t.Run("Local", s.local)
	t.Run("Namespaces", s.namespaces)
	t.Run("JoinLeaveDisconnect", s.changes)
	t.Run("JoinByOthers", s.joinByOthers)
	t.Run("CallMembers", s.callMembers)
	t.Run("CallEvent", s.callEvent)
	t.Run("CallAsk", s.callAsk)
	t.Run("CallGone", s.callGone)
	t.Run("CallClose", s.callClose)
	t.Run("Ping", s.ping)
	t.Run("CanceledContext", s.canceled)
	t.Run("CloseLink", s.closeLink)
	t.Run("CloseDriver", s.closeDriver)
	t.Run("Goroutines", s.goroutines)
}

type suite struct{ drivers Drivers }

// node is one node's part in a test: an adapter with a member that gets everything.
type node struct {
	*adapter.Adapter
	all    *Member
	driver adapter.Driver
}

// start makes a cluster with an adapter of namespace on each node. The members are called all0, all1, …
func (s suite) start(t *testing.T, nodes int, namespace string) []*node {
	t.Helper()
	drivers := s.drivers(t, nodes)
	if len(drivers) != nodes {
		t.Fatalf("got %d drivers, want %d", len(drivers), nodes)
	}
	started := make([]*node, nodes)
	for i, d := range drivers {
		started[i] = join(t, d, namespace, fmt.Sprint("all", i))
	}
	return started
}

// join adds an adapter of namespace with one member to a driver.
func join(t *testing.T, d adapter.Driver, namespace, id string) *node {
	t.Helper()
	a, err := adapter.New(t.Context(), namespace, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The test's own context has ended by now.
		if err := a.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	n := &node{Adapter: a, all: NewMember(id), driver: d}
	n.add(t, n.all)
	return n
}

// member adds one more member.
func (n *node) member(t *testing.T, id string, rooms ...string) *Member {
	t.Helper()
	m := NewMember(id)
	n.add(t, m, rooms...)
	return m
}

func (n *node) add(t *testing.T, m *Member, rooms ...string) {
	t.Helper()
	if _, err := n.Add(t.Context(), m, rooms...); err != nil {
		t.Fatal(err)
	}
}

func (n *node) join(t *testing.T, m *Member, rooms ...string) {
	t.Helper()
	if _, err := n.Join(t.Context(), m.ID(), rooms...); err != nil {
		t.Fatal(err)
	}
}

// emit broadcasts an event without arguments.
func (n *node) emit(t *testing.T, event string, target message.Target) {
	t.Helper()
	if err := n.Broadcast(t.Context(), newMessage(event), target); err != nil {
		t.Fatal(err)
	}
}

func newMessage(event string) *message.Message {
	return message.New(fmt.Appendf(nil, "[%q]", event))
}

// fence waits until all that n published before has reached m, and returns the events that did.
func (n *node) fence(t *testing.T, m *Member) []string {
	t.Helper()
	const event = "fence"
	n.emit(t, event, message.Target{Rooms: []string{m.ID()}})
	return m.Until(t, event)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s suite) goroutines(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Run("cluster", func(t *testing.T) {
		nodes := s.start(t, 2, "/")
		nodes[0].emit(t, "x", message.Target{})
		nodes[1].all.Until(t, "x")
		check(t, nodes[1].Ping(t.Context()))
	})
	goleak.VerifyNone(t, before)
}
