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

// TestRefusedByPeals refuses a node channels of Peal nodes: joins are good all the same, nothing is missing and readiness is
// green, for others send it what they send Node.js nodes. Once Redis allows it, the node hears no more than it needs.
func TestRefusedByPeals(t *testing.T) {
	t.Parallel()
	for name, allowed := range map[string][]string{"some rooms": {"&socket.io-peal1#1#/#", "&socket.io-peal1#1#/#=ok*"},
		"all rooms": {"&socket.io-peal1#1#/#"}, "everyone": {"&socket.io-peal1#1#/#=*"}, "all": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := testredis.Start(t)
			server.Do(append([]string{"ACL", "SETUSER", "near", "on", "nopass", "~*", "+@all", "resetchannels",
				"&socket.io#/#*", "&socket.io-re*"}, allowed...)...)
			var log logBuffer
			near := newDriver(t, redispubsub.Options{URL: "redis://near:x@" + server.Addr(), Logger: log.logger()})
			a, m := newAdapter(t, near)
			b, other := newAdapter(t, newDriver(t, redispubsub.Options{URL: server.URL()}))
			for _, room := range []string{"ok", "no", "no2"} {
				if _, err := a.Join(t.Context(), "m", room); err != nil {
					t.Errorf("Join of %s: %v", room, err)
				}
			}
			sent := 0
			exchange := func(what string) {
				t.Helper()
				for _, to := range [][]string{nil, {"ok"}, {"no"}, {"no2", "ok"}, {"nobody"}, {"no"}, nil} {
					event := fmt.Sprint(what, sent)
					sent++
					if err := b.Broadcast(t.Context(), newMessage(event), message.Target{Rooms: to, Except: []string{"nobody"}}); err != nil {
						t.Fatal(err)
					}
					if len(to) == 1 && to[0] == "nobody" {
						continue
					}
					if got := m.Next(t).Event(); got != event {
						t.Errorf("got %q, want %q to %q", got, event, to)
					}
				}
				if err := a.Broadcast(t.Context(), newMessage(what), message.Target{Except: []string{"ok"}}); err != nil {
					t.Fatal(err)
				}
				other.Until(t, what)
			}
			exchange("refused")
			if err := a.Ping(t.Context()); err != nil {
				t.Errorf("Ping: %v", err)
			}
			if near.Stats().Refused == 0 || near.Stats().Gaps[adapter.GapRefused] != 0 {
				t.Errorf("%d channels refused, gaps: %v", near.Stats().Refused, near.Stats().Gaps)
			}
			if n := strings.Count(log.text(), "Redis refuses a channel of Peal nodes"); n != 1 {
				t.Errorf("the log says so %d times:\n%s", n, log.text())
			}
			server.Do("ACL", "SETUSER", "near", "allchannels")
			const everyone = "socket.io-peal1#1#/#"
			for server.Do("PUBSUB", "NUMSUB", everyone) != everyone+" 2" {
			}
			exchange("allowed")
			settle := func() uint64 {
				if err := a.Ping(t.Context()); err != nil { // comes behind its own message
					t.Error(err)
				}
				return near.Stats().Received
			}
			before := settle()
			exchange("after")
			settle()
			if got := near.Stats().Received - before; got != 7 {
				t.Errorf("%d messages received, want the 6 of 7 that are needed and its own", got)
			}
		})
	}
}

// TestRefusedNamespace forbids what the namespace needs while the node runs: its own probe would still come back.
func TestRefusedNamespace(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	opts, state := states(redispubsub.Options{URL: server.URL()})
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
