package redisx_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/peal-dev/peal/internal/redisx"
)

// forbid lets the default user subscribe to no channel but ok*.
func (b *bundle) forbid() {
	b.server.Do("ACL", "SETUSER", "default", "resetchannels", "&ok*", "&settle")
}

// allow takes that back.
func (b *bundle) allow() { b.server.Do("ACL", "SETUSER", "default", "allchannels") }

// wantRefused fails the test unless the change was refused.
func wantRefused(t *testing.T, c *redisx.Change, name string) {
	t.Helper()
	if err := c.Wait(t.Context()); err == nil || !strings.Contains(err.Error(), "NOPERM") || !strings.Contains(err.Error(), name) {
		t.Errorf("Add of %s, which is forbidden: %v", name, err)
	}
}

// TestRefusedIsAlone asks for names of which Redis refuses some, all with one command: each is told of its own.
func TestRefusedIsAlone(t *testing.T) {
	t.Parallel()
	b := setup(t, 0)
	b.settle(t)
	b.forbid()
	const n = 2500 // more than one command takes
	other := b.listen()
	var (
		names      []redisx.Name
		good, evil []*redisx.Change
	)
	b.server.Pause() // so that the next command takes all of them along
	for i := range n {
		name := redisx.Channel(fmt.Sprint("ok", i))
		names = append(names, name)
		good = append(good, other.Add(name))
	}
	for i := range 20 {
		evil = append(evil, b.listener.Add(redisx.Channel(fmt.Sprint("no", i))), b.listener.Add(redisx.Pattern(fmt.Sprint("no", i))))
	}
	mixed := b.listener.Add(append(names, redisx.Channel("no mix"))...)
	b.server.Resume()
	for i, c := range good {
		if err := c.Wait(t.Context()); err != nil {
			t.Fatalf("ok%d: %v", i, err)
		}
	}
	for i, c := range evil {
		wantRefused(t, c, fmt.Sprint("no", i/2))
	}
	wantRefused(t, mixed, "no mix")
	if got := b.sub.Refused(); got != 41 || len(b.refused) != 41 {
		t.Errorf("%d names refused, %d times told, want 41", got, len(b.refused))
	}
	for _, i := range []int{0, 999, 1000, n - 1} {
		b.subscribers(t, fmt.Sprint("ok", i), 1)
	}
	// Known refusals cost nothing and are told at once.
	again := b.listener.Add(redisx.Channel("no0"))
	select {
	case <-again.Done():
	default:
		t.Error("a name known as refused is waited for")
	}
	wantRefused(t, again, "no0")
	if err := b.listener.Refusal(redisx.Channel("ok0"), redisx.Channel("no1")); err == nil {
		t.Error("no1 is not refused any more")
	}
	b.listener.Close()
	if got := b.sub.Refused(); got != 0 {
		t.Errorf("%d names refused that nobody wants", got)
	}
}

// TestRefusedOnReconnect loses the connection with a name that is refused, then is allowed it.
func TestRefusedOnReconnect(t *testing.T) {
	t.Parallel()
	b := setup(t, 0)
	b.add(t, redisx.Channel("ok1"), redisx.Channel("taken away"))
	b.state(true)
	b.forbid() // which ends the connections that have subscribed to what is forbidden now
	b.state(false)
	b.state(true)
	if got := <-b.refused; got != "taken away" {
		t.Errorf("%q refused", got)
	}
	wantRefused(t, b.listener.Add(redisx.Channel("no")), "no")
	b.server.Do("CLIENT", "KILL", "TYPE", "pubsub")
	b.state(false)
	b.state(true)
	if err := publish(t, b.client, "ok1", "x"); err != nil {
		t.Fatal(err)
	}
	if got := <-b.messages; got.channel != "ok1" {
		t.Errorf("got %q", got)
	}
	if got := b.sub.Refused(); got != 2 {
		t.Errorf("%d names refused, want 2", got)
	}
	b.allow()
	for range 2 {
		name := <-b.accepted
		b.subscribers(t, name, 1)
		if err := b.listener.Refusal(redisx.Channel(name)); err != nil {
			t.Error(err)
		}
	}
}

// TestRefusedTurnabout adds and removes names that are refused and allowed in turn: at the end Redis has what is wanted.
func TestRefusedTurnabout(t *testing.T) {
	t.Parallel()
	b := setup(t, 0)
	b.settle(t)
	const rounds, channels = 100, 16
	name := func(i int) string { return fmt.Sprint([]string{"ok", "no"}[i%2], i) }
	var wg sync.WaitGroup
	for i := range channels {
		wg.Go(func() {
			for round := range rounds {
				change := b.listener.Add(redisx.Channel(name(i)))
				if round%3 == 0 {
					if err := change.Wait(t.Context()); err != nil && (i%2 == 0 || !strings.Contains(err.Error(), "NOPERM")) {
						t.Error(err)
					}
				}
				b.listener.Remove(redisx.Channel(name(i)))
			}
			if i%4 < 2 {
				b.listener.Add(redisx.Channel(name(i)))
			}
		})
	}
	for range 10 {
		b.forbid()
		b.allow()
	}
	wg.Wait()
	b.settle(t)
	for b.sub.Refused() > 0 {
		<-b.accepted
	}
	for i := range channels {
		want := int64(0)
		if i%4 < 2 {
			want = 1
		}
		b.subscribers(t, name(i), want)
	}
}
