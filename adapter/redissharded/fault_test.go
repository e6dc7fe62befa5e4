package redissharded_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/redissharded"
	"github.com/peal-dev/peal/internal/faultproxy"
	"github.com/peal-dev/peal/internal/testredis"
	"github.com/peal-dev/peal/message"
)

func newMessage(event string) *message.Message { return message.New(fmt.Appendf(nil, "[%q]", event)) }

// states has changes of state wait until a test asks for them. Those that repeat the one before are left out.
func states(opts redissharded.Options) (with redissharded.Options, await func(t *testing.T, want bool)) {
	changes := make(chan bool, 10_000)
	last, known := false, false
	opts.OnState = func(up bool, _ error) {
		if !known || up != last {
			changes <- up
		}
		last, known = up, true
	}
	return opts, func(t *testing.T, want bool) {
		t.Helper()
		select {
		case up := <-changes:
			if up != want {
				t.Errorf("connected = %v, want %v", up, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("not told that connected = %v", want)
		}
	}
}

// TestRedisGoesAndComesBack: without Redis every call says so in time, and this node's members are served; afterwards all is
// as before, and the time between is one gap.
func TestRedisGoesAndComesBack(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	opts, state := states(redissharded.Options{URL: server.URL()})
	opts2, state2 := states(redissharded.Options{URL: server.URL()})
	d1, d2 := newDriver(t, opts), newDriver(t, opts2)
	a1, m1 := newAdapter(t, d1, "m1")
	a2, m2 := newAdapter(t, d2, "m2", "r")
	state(t, true)
	state2(t, true)
	server.Stop()
	state(t, false)
	state2(t, false)
	if err := a1.Broadcast(t.Context(), newMessage("lost"), message.Target{}); !errors.Is(err, adapter.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Broadcast without Redis: %v", err)
	}
	if got := m1.Next(t).Event(); got != "lost" {
		t.Errorf("this node's member got %q", got)
	}
	for _, a := range []*adapter.Adapter{a1, a2} {
		if err := a.Ping(t.Context()); !errors.Is(err, adapter.ErrUnavailable) {
			t.Errorf("Ping without Redis: %v", err)
		}
		if _, err := a.Nodes(t.Context()); !errors.Is(err, adapter.ErrUnavailable) {
			t.Errorf("Nodes without Redis: %v", err)
		}
	}
	if _, err := a2.Join(t.Context(), "m2", "s"); !errors.Is(err, adapter.ErrUnavailable) || !a2.HasRoom("s") {
		t.Errorf("Join without Redis: %v", err)
	}
	server.Restart()
	state(t, true)
	state2(t, true)
	for _, room := range []string{"", "r", "s"} {
		var target message.Target
		if room != "" {
			target.Rooms = []string{room}
		}
		if err := a1.Broadcast(t.Context(), newMessage("found"), target); err != nil {
			t.Errorf("Broadcast to %q with Redis again: %v", room, err)
		}
		if before := m2.Until(t, "found"); len(before) > 0 {
			t.Errorf("the other node got %v", before)
		}
	}
	if err := a2.Ping(t.Context()); err != nil {
		t.Errorf("Ping with Redis again: %v", err)
	}
	if s := d2.Stats(); s.Reconnects != 1 || !s.Connected || s.Gaps[adapter.GapReconnect]+s.Gaps[adapter.GapKilled] != 1 || s.LastGap.To.IsZero() {
		t.Errorf("stats = %+v, want one reconnect and one gap", s)
	}
}

// TestConnectionFaults cuts, holds and refuses what is between a node and Redis: the other goes on, and the node finds back.
func TestConnectionFaults(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	proxy := faultproxy.Start(t, server.Addr())
	opts, state := states(redissharded.Options{URL: "redis://" + proxy.Addr(), Timeout: time.Second})
	d := newDriver(t, opts)
	a, m := newAdapter(t, d, "m", "r")
	other, _ := newAdapter(t, newDriver(t, redissharded.Options{URL: server.URL()}), "o")
	state(t, true)
	back := func(what string) {
		t.Helper()
		began := time.Now()
		state(t, true)
		for _, rooms := range [][]string{nil, {"r"}} {
			if err := other.Broadcast(t.Context(), newMessage("back"), message.Target{Rooms: rooms}); err != nil {
				t.Errorf("after %s: %v", what, err)
			}
			m.Until(t, "back")
		}
		if err := a.Ping(t.Context()); err != nil {
			t.Errorf("Ping after %s, %v: %v", what, time.Since(began), err)
		}
	}
	proxy.Cut()
	state(t, false)
	back("a cut")
	proxy.Refuse()
	proxy.Cut()
	state(t, false)
	proxy.Admit()
	back("refusals")
	proxy.Hold()
	if err := a.Ping(t.Context()); !errors.Is(err, adapter.ErrUnavailable) {
		t.Errorf("Ping through what holds everything: %v", err)
	}
	if err := a.Broadcast(t.Context(), newMessage("x"), message.Target{}); !errors.Is(err, adapter.ErrUnavailable) {
		t.Errorf("Broadcast through what holds everything: %v", err)
	}
	proxy.Release()
	for a.Ping(t.Context()) != nil {
	}
	s := d.Stats()
	if s.Gaps[adapter.GapKilled]+s.Gaps[adapter.GapReconnect] < 2 {
		t.Errorf("gaps = %v, want one for each time that the connection was lost", s.Gaps)
	}
}

// TestRefused: what an access control list forbids is told to those who need it, and counted, and nothing else suffers.
func TestRefused(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	server.Do("ACL", "SETUSER", "default", "resetchannels", "&socket.io#/#", "&socket.io#/#????????????????#", "&socket.io#/#open#")
	d := newDriver(t, redissharded.Options{URL: server.URL()})
	a, m := newAdapter(t, d, "open")
	other, _ := newAdapter(t, newDriver(t, redissharded.Options{URL: server.URL(), Mode: redissharded.Static}), "open")
	if _, err := a.Join(t.Context(), "open", "closed"); !errors.Is(err, adapter.ErrUnavailable) || !strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("Join of a channel that Redis refuses: %v", err)
	}
	if got := d.Stats().Refused; got != 1 {
		t.Errorf("%d channels refused, want 1", got)
	}
	if err := other.Broadcast(t.Context(), newMessage("x"), message.Target{}); err != nil {
		t.Error(err)
	}
	m.Until(t, "x")
	if _, err := adapter.New(t.Context(), "/closed", d, nil); !errors.Is(err, adapter.ErrUnavailable) || !strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("a namespace that Redis refuses: %v", err)
	}
}

// TestSlotMoves moves the slots of the namespace's and a room's channel to another server while there is traffic: nothing
// comes twice or out of order, and the node hears again, and says that something may be missing.
func TestSlotMoves(t *testing.T) {
	t.Parallel()
	cluster := testredis.StartCluster(t)
	opts := redissharded.Options{URL: cluster.URL(), SpreadRooms: true}
	d1, d2 := newDriver(t, opts), newDriver(t, opts)
	a1, err := adapter.New(t.Context(), "/", d1, nil)
	if err != nil {
		t.Fatal(err)
	}
	a2, m2 := newAdapter(t, d2, "m2", "r")
	for _, tt := range []struct {
		channel string
		target  message.Target
	}{{mainChannel, message.Target{}}, {mainChannel + "r#", message.Target{Rooms: []string{"r"}}}} {
		before := d2.Stats().Gaps[adapter.GapMoved]
		last := -1
		take := func() {
			var n int
			if _, err := fmt.Sscan(m2.Next(t).Event(), &n); err != nil || n <= last {
				t.Fatalf("%s: got %d after %d, %v", tt.channel, n, last, err)
			}
			last = n
		}
		n := 0
		emit := func() error {
			defer func() { n++ }()
			return a1.Broadcast(t.Context(), newMessage(fmt.Sprint(n)), tt.target)
		}
		mustEmit := func() {
			if err := emit(); err != nil {
				t.Errorf("%s: %v", tt.channel, err)
			}
		}
		for range 100 {
			mustEmit()
			take()
		}
		cluster.Migrate(tt.channel)
		// What comes now was published by way of the new server, which has unsubscribed whom it had to by then.
		for first, deadline := n, time.Now().Add(10*time.Second); last < first; {
			// The other server may have it already, and nobody listen there yet: then the publisher is told.
			if err := emit(); err != nil && !errors.Is(err, adapter.ErrUnavailable) {
				t.Errorf("%s: %v", tt.channel, err)
			}
			for !m2.Empty() {
				take()
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: nobody has noticed that it moved: %+v", tt.channel, d2.Stats())
			}
		}
		if d2.Stats().Gaps[adapter.GapMoved] == before {
			t.Errorf("%s: it moved, and nobody was told", tt.channel)
		}
		if err := a2.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		for range 100 {
			mustEmit()
		}
		for last < n-1 {
			was := last
			if take(); last != was+1 {
				t.Fatalf("%s: got %d after %d once the channel was heard again", tt.channel, last, was)
			}
		}
	}
	if s := d2.Stats(); !s.Connected || s.Gaps[adapter.GapReconnect] > 0 {
		t.Errorf("stats = %+v", s)
	}
}

// TestServerOfClusterGoes stops the server of one room: joins and readiness tell, the others' rooms go on, and all is well
// when it is back.
func TestServerOfClusterGoes(t *testing.T) {
	t.Parallel()
	cluster := testredis.StartCluster(t)
	opts, state := states(redissharded.Options{URL: cluster.URL(), SpreadRooms: true, Timeout: time.Second})
	d := newDriver(t, opts)
	a, m := newAdapter(t, d, "m")
	other, _ := newAdapter(t, newDriver(t, redissharded.Options{URL: cluster.URL(), SpreadRooms: true, Timeout: time.Second}), "o")
	main := cluster.Owner(mainChannel)
	room := ""
	for i := 0; room == ""; i++ {
		if name := fmt.Sprint("room", i); cluster.Owner(mainChannel+name+"#") != main {
			room = name
		}
	}
	if _, err := a.Join(t.Context(), "m", room); err != nil {
		t.Fatal(err)
	}
	state(t, true)
	stopped := cluster.Owner(mainChannel + room + "#")
	stopped.Stop()
	state(t, false)
	if err := other.Broadcast(t.Context(), newMessage("x"), message.Target{Rooms: []string{room}}); !errors.Is(err, adapter.ErrUnavailable) {
		t.Errorf("Broadcast to a room whose server is away: %v", err)
	}
	stopped.Restart()
	state(t, true)
	for deadline := time.Now().Add(20 * time.Second); ; {
		err := other.Broadcast(t.Context(), newMessage("back"), message.Target{Rooms: []string{room}})
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	m.Until(t, "back")
	if err := a.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestOptions: what cannot be used is refused, without repeating a password.
func TestOptions(t *testing.T) {
	t.Parallel()
	for _, bad := range []redissharded.Options{{}, {URL: "http://h"}, {URL: "redis://u:secret@"}, {URL: "redis://h", Mode: "often"}} {
		if _, err := redissharded.New(bad); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if want := []redissharded.Mode{"dynamic", "dynamic-private", "static"}; !slices.Equal(modes, want) {
		t.Errorf("modes = %q, want Node's names %q", modes, want)
	}
}
