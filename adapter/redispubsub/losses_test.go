package redispubsub_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/internal/faultproxy"
	"github.com/peal-dev/peal/internal/testredis"
	"github.com/peal-dev/peal/message"
)

// TestLossIsCounted cuts off a node while others publish: when it is back it knows within two seconds how many of their messages it
// has missed, exactly, of those that were for it; with Peal nodes only and beside others.
func TestLossIsCounted(t *testing.T) {
	t.Parallel()
	for _, speech := range []string{"frames", "as Node.js nodes"} {
		t.Run(speech, func(t *testing.T) {
			t.Parallel()
			server := testredis.Start(t)
			if speech != "frames" {
				startReplica(t, server)
			}
			proxy := faultproxy.Start(t, server.Addr())
			opts, state := states(redispubsub.Options{URL: "redis://" + proxy.Addr()})
			d := newDriver(t, opts)
			a, m := newAdapter(t, d)
			state(true)
			if _, err := a.Join(t.Context(), "m", "room", "quiet"); err != nil {
				t.Fatal(err)
			}
			var others [2]*adapter.Adapter
			for i := range others {
				others[i] = joinNamespace(t, newDriver(t, redispubsub.Options{URL: server.URL()}), "/")
			}
			publish := func(n int, rooms ...string) {
				t.Helper()
				for i := range n {
					if err := others[i%2].Broadcast(t.Context(), newMessage("x"), message.Target{Rooms: rooms}); err != nil {
						t.Fatal(err)
					}
				}
			}
			// Beats are to have come from all before, two of them behind the room's.
			for began := time.Now(); time.Since(began) < 3*time.Second; {
				publish(2)
				for range 2 {
					m.Next(t)
				}
				if err := a.Ping(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if s := d.Stats(); s.Lost != 0 {
				t.Fatalf("%d lost of nothing", s.Lost)
			}
			want := uint64(0)
			for round := range 3 {
				proxy.Refuse()
				proxy.Cut()
				state(false)
				publish(20 + round)
				publish(10, "room")
				publish(30, "elsewhere")
				want += 30 + uint64(round)
				if speech != "frames" {
					want += 30 // every node is sent them
				}
				proxy.Admit()
				state(true)
				back := time.Now()
				for d.Stats().Lost != want {
					if took := time.Since(back); took > 20*time.Second || d.Stats().Lost > want {
						t.Fatalf("%d lost after %v, want %d", d.Stats().Lost, took, want)
					}
					if err := a.Ping(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				t.Logf("known after %v", time.Since(back).Round(time.Millisecond))
			}
			if got := d.Stats().LastGap; got.Cause != adapter.GapLost || got.Namespace != "/" {
				t.Errorf("the last gap is %+v", got)
			}
			publish(1)
			if got := fmt.Sprint(m.Next(t).Event()); got != "x" {
				t.Errorf("got %q", got)
			}
		})
	}
}
