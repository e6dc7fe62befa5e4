package adapter_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/message"
)

func TestBroadcastTargets(t *testing.T) {
	t.Parallel()
	a := newAdapter(t, nil)
	members := addMembers(a, map[string][]string{
		"m1": {"a"},
		"m2": {"a", "b"},
		"m3": {"b", "c"},
		"m4": nil,
		"m5": {"m4"}, // a room that is also somebody's id
	})
	tests := []struct {
		name   string
		target message.Target
		want   string
	}{
		{"everyone", message.Target{}, "m1 m2 m3 m4 m5"},
		{"room", message.Target{Rooms: []string{"a"}}, "m1 m2"},
		{"unknown room", message.Target{Rooms: []string{"zz"}}, ""},
		{"two rooms, each once", message.Target{Rooms: []string{"a", "b"}}, "m1 m2 m3"},
		{"same room twice", message.Target{Rooms: []string{"a", "a"}}, "m1 m2"},
		{"id", message.Target{Rooms: []string{"m1"}}, "m1"},
		{"id and room of that name", message.Target{Rooms: []string{"m4"}}, "m4 m5"},
		{"id and its room", message.Target{Rooms: []string{"m1", "a"}}, "m1 m2"},
		{"except room", message.Target{Except: []string{"a"}}, "m3 m4 m5"},
		{"except id", message.Target{Except: []string{"m3"}}, "m1 m2 m4 m5"},
		{"room except id", message.Target{Rooms: []string{"a"}, Except: []string{"m1"}}, "m2"},
		{"id except its room", message.Target{Rooms: []string{"m1"}, Except: []string{"a"}}, ""},
		{"id except itself", message.Target{Rooms: []string{"m1"}, Except: []string{"m1"}}, ""},
		{"rooms except room", message.Target{Rooms: []string{"a", "c"}, Except: []string{"b"}}, "m1"},
		{"except name that is id and room", message.Target{Except: []string{"m4"}}, "m1 m2 m3"},
		{"except unknown", message.Target{Rooms: []string{"c"}, Except: []string{"zz"}}, "m3"},
		{"except many ids", message.Target{Except: []string{"m1", "m2", "m3", "m4", "m5"}}, ""},
	}
	for _, tt := range tests {
		if err := a.Broadcast(t.Context(), newMessage("x"), tt.target); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got := strings.Join(receivers(members), " "); got != tt.want {
			t.Errorf("%s: received by %q, want %q", tt.name, got, tt.want)
		}
		var each []string
		a.Each(tt.target, func(m adapter.Member) bool { each = append(each, m.ID()); return true })
		if got := strings.Join(sorted(each), " "); got != tt.want {
			t.Errorf("%s: Each yields %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestMembership(t *testing.T) {
	t.Parallel()
	a := newAdapter(t, nil)
	m := &fakeMember{id: "m"}
	if added, err := a.Add(t.Context(), m, "a", "b", "m"); !added || err != nil {
		t.Error("Add of a new member reports false")
	}
	if added, err := a.Add(t.Context(), &fakeMember{id: "m"}, "c"); added || err != nil {
		t.Error("Add of a known id reports true")
	}
	if a.Member("m") != adapter.Member(m) {
		t.Error("the second Add replaced the member")
	}
	a.Join(t.Context(), "m", "a")
	if got, want := sorted(a.RoomsOf("m")), []string{"a", "b", "c"}; !slices.Equal(got, want) {
		t.Errorf("RoomsOf = %v, want %v", got, want)
	}
	if got, want := sorted(a.Rooms()), []string{"a", "b", "c"}; !slices.Equal(got, want) {
		t.Errorf("Rooms = %v, want %v", got, want)
	}
	if !a.HasRoom("m") || !a.HasRoom("a") || a.HasRoom("d") {
		t.Error("HasRoom is wrong about an id, a room or an unknown room")
	}
	a.Leave("m", "a", "m", "never joined")
	if a.HasRoom("a") || !a.HasRoom("m") {
		t.Error("Leave: room a should be gone and the id should stay a room")
	}
	if got, want := sorted(a.Remove("m")), []string{"b", "c"}; !slices.Equal(got, want) {
		t.Errorf("Remove = %v, want %v", got, want)
	}
	if a.Len() != 0 || len(a.Rooms()) != 0 || a.Member("m") != nil || a.HasRoom("m") {
		t.Error("something is left behind a removed member")
	}
	if present, err := a.Join(t.Context(), "m", "x"); present || err != nil || a.Remove("m") != nil || a.RoomsOf("m") != nil {
		t.Error("an unknown member can join, be removed or has rooms")
	}
}

func TestMemberOfManyRooms(t *testing.T) {
	t.Parallel()
	a := newAdapter(t, nil)
	m := &fakeMember{id: "m"}
	a.Add(t.Context(), m)
	const n = 200
	for i := range n {
		a.Join(t.Context(), "m", fmt.Sprint("room", i))
		a.Join(t.Context(), "m", fmt.Sprint("room", i/2))
	}
	if got := len(a.RoomsOf("m")); got != n {
		t.Fatalf("in %d rooms, want %d", got, n)
	}
	for i := 0; i < n; i += 2 {
		a.Leave("m", fmt.Sprint("room", i))
	}
	if got := a.RoomCount(); got != n/2 || len(a.Rooms()) != got {
		t.Errorf("%d rooms left, want %d", got, n/2)
	}
	if got := len(a.Remove("m")); got != n/2 || len(a.Rooms()) != 0 {
		t.Errorf("Remove returned %d rooms and left %d, want %d and 0", got, len(a.Rooms()), n/2)
	}
}

func TestChangesReachMembers(t *testing.T) {
	t.Parallel()
	a := newAdapter(t, nil)
	members := addMembers(a, map[string][]string{"m1": {"a"}, "m2": {"a"}, "m3": nil})
	ctx := t.Context()
	if err := a.JoinRooms(ctx, message.Target{Rooms: []string{"a"}, Except: []string{"m2"}}, "x", "y"); err != nil {
		t.Fatal(err)
	}
	if a.RoomLen("x") != 1 || a.RoomLen("y") != 1 {
		t.Error("JoinRooms did not put m1, and only m1, into x and y")
	}
	if err := a.LeaveRooms(ctx, message.Target{}, "a", "x"); err != nil {
		t.Fatal(err)
	}
	if got := a.Rooms(); !slices.Equal(got, []string{"y"}) {
		t.Errorf("rooms after LeaveRooms = %v, want [y]", got)
	}
	if err := a.Disconnect(ctx, message.Target{Rooms: []string{"m3"}}, true); err != nil {
		t.Fatal(err)
	}
	if got := members["m3"].closed; !slices.Equal(got, []bool{true}) || members["m1"].closed != nil {
		t.Errorf("Disconnect: m3 got %v, m1 got %v, want [true] and none", got, members["m1"].closed)
	}
}

// stubDriver records what is published and fails on demand.
type stubDriver struct {
	err      error
	receiver adapter.Receiver
	sent     []*adapter.Envelope
	closed   bool
}

func (d *stubDriver) Subscribe(_ context.Context, _ string, r adapter.Receiver) (adapter.Link, error) {
	if d.err != nil {
		return nil, d.err
	}
	d.receiver = r
	return d, nil
}

func (d *stubDriver) Publish(_ context.Context, e *adapter.Envelope) error {
	if d.err == nil {
		d.sent = append(d.sent, e)
	}
	return d.err
}

func (d *stubDriver) RoomOpened(string) adapter.Opening { return nil }
func (d *stubDriver) RoomClosed(string)                 {}

func (d *stubDriver) Ping(context.Context) error  { return d.err }
func (d *stubDriver) Close(context.Context) error { d.closed = true; return d.err }

func TestPublishAndReceive(t *testing.T) {
	t.Parallel()
	d := &stubDriver{}
	a := newAdapter(t, d)
	members := addMembers(a, map[string][]string{"m1": {"a"}, "m2": nil})
	ctx := t.Context()

	target := message.Target{Rooms: []string{"a"}, Except: []string{"b"}}
	if err := errors.Join(
		a.Broadcast(ctx, newMessage("x"), target),
		a.JoinRooms(ctx, target, "r"),
		a.LeaveRooms(ctx, target, "r"),
		a.Disconnect(ctx, target, true),
		a.Broadcast(ctx, newMessage("x"), message.Target{Local: true}),
		a.Disconnect(ctx, message.Target{Local: true}, true),
	); err != nil {
		t.Fatal(err)
	}
	var kinds []adapter.Kind
	for _, e := range d.sent {
		kinds = append(kinds, e.Kind)
		if !slices.Equal(e.Rooms, target.Rooms) || !slices.Equal(e.Except, target.Except) {
			t.Errorf("%v: published for %v except %v, want the target", e.Kind, e.Rooms, e.Except)
		}
	}
	if want := []adapter.Kind{adapter.KindBroadcast, adapter.KindJoin, adapter.KindLeave, adapter.KindDisconnect}; !slices.Equal(kinds, want) {
		t.Errorf("published %v, want %v", kinds, want)
	}

	receivers(members)
	d.sent = nil
	d.receiver.Receive(&adapter.Envelope{Kind: adapter.KindBroadcast, Message: newMessage("y"), Rooms: []string{"a"}})
	d.receiver.Receive(&adapter.Envelope{Kind: adapter.KindJoin, ChangeRooms: []string{"r"}})
	d.receiver.Receive(&adapter.Envelope{Kind: adapter.KindLeave, Rooms: []string{"m2"}, ChangeRooms: []string{"r"}})
	d.receiver.Receive(&adapter.Envelope{Kind: 99})
	if got := receivers(members); !slices.Equal(got, []string{"m1"}) {
		t.Errorf("envelope delivered to %v, want [m1]", got)
	}
	if a.RoomLen("r") != 1 {
		t.Errorf("room r has %d members, want 1", a.RoomLen("r"))
	}
	if len(d.sent) != 0 {
		t.Error("a received envelope was published again")
	}
	rooms := make(chan []string, 1)
	d.receiver.Answer(&adapter.Call{Kind: adapter.CallRooms}, func(answer adapter.Answer) { rooms <- answer.Names })
	if got, want := sorted(<-rooms), []string{"a", "m1", "m2", "r"}; !slices.Equal(got, want) {
		t.Errorf("all rooms = %v, want %v", got, want)
	}

	s := a.Stats()
	if s.Broadcasts != 2 || s.Deliveries != 4 || s.EnvelopesIn != 4 || s.EnvelopesOut != 4 {
		t.Errorf("stats = %+v", s)
	}
}

func TestClusterAway(t *testing.T) {
	t.Parallel()
	tests := map[string]error{
		"unavailable": fmt.Errorf("no route: %w", adapter.ErrUnavailable),
		"overloaded":  adapter.ErrOverloaded,
		"closed":      adapter.ErrClosed,
		"canceled":    context.DeadlineExceeded,
		"other":       errors.New("strange"),
	}
	for reason, cause := range tests {
		d := &stubDriver{}
		a := newAdapter(t, d)
		m := &fakeMember{id: "m"}
		a.Add(t.Context(), m)
		d.err = cause
		err := a.Broadcast(t.Context(), newMessage("x"), message.Target{})
		if !errors.Is(err, cause) || !strings.Contains(err.Error(), "adapter /: publish broadcast") {
			t.Errorf("%s: error = %v", reason, err)
		}
		if got := m.take(); len(got) != 1 {
			t.Errorf("%s: delivered %d times on this node, want once", reason, len(got))
		}
		if got := a.Stats().PublishErrors[reason]; got != 1 {
			t.Errorf("%s: counted %d, want 1", reason, got)
		}
		if err := a.Ping(t.Context()); !errors.Is(err, cause) {
			t.Errorf("%s: Ping = %v", reason, err)
		}
	}
}

func TestSubscribeError(t *testing.T) {
	t.Parallel()
	cause := errors.New("no")
	if _, err := adapter.New(t.Context(), "/chat", &stubDriver{err: cause}, nil); !errors.Is(err, cause) || !strings.Contains(err.Error(), "/chat") {
		t.Errorf("New = %v, want the driver's error with the namespace", err)
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	d := &stubDriver{}
	a := newAdapter(t, d)
	m := &fakeMember{id: "m"}
	a.Add(t.Context(), m)
	if err := a.Close(t.Context()); err != nil || !d.closed {
		t.Fatalf("Close = %v, link closed: %v", err, d.closed)
	}
	if err := a.Broadcast(t.Context(), newMessage("x"), message.Target{}); !errors.Is(err, adapter.ErrClosed) {
		t.Errorf("Broadcast after Close = %v, want ErrClosed", err)
	}
	if len(m.take()) != 1 {
		t.Error("no delivery on this node after Close")
	}
	if err := a.Ping(t.Context()); !errors.Is(err, adapter.ErrClosed) {
		t.Errorf("Ping after Close = %v, want ErrClosed", err)
	}
}
