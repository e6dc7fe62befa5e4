package adapter_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/message"
)

// fakeMember records what reaches it.
type fakeMember struct {
	id string

	mu     sync.Mutex
	got    []*message.Message
	closed []bool
}

func (f *fakeMember) ID() string { return f.id }

func (f *fakeMember) Deliver(m *message.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = append(f.got, m)
}

func (f *fakeMember) Disconnect(closeConnection bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = append(f.closed, closeConnection)
}

// take returns the events received since the last call.
func (f *fakeMember) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var events []string
	for _, m := range f.got {
		events = append(events, m.Event())
	}
	f.got = nil
	return events
}

func newAdapter(t testing.TB, driver adapter.Driver) *adapter.Adapter {
	t.Helper()
	a, err := adapter.New(t.Context(), "/", driver, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newMessage(event string) *message.Message {
	return message.New([]byte(`["` + event + `"]`))
}

// addMembers registers a member per key of rooms, with the rooms it names.
func addMembers(a *adapter.Adapter, rooms map[string][]string) map[string]*fakeMember {
	members := make(map[string]*fakeMember)
	for id, in := range rooms {
		members[id] = &fakeMember{id: id}
		a.Add(context.Background(), members[id], in...)
	}
	return members
}

// receivers returns the ids of the members that got something since the last call, an id for each message, sorted.
func receivers(members map[string]*fakeMember) []string {
	var ids []string
	for id, m := range members {
		for range m.take() {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}
