package redispubsub_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/internal/redisx"
	"github.com/peal-dev/peal/internal/testredis"
	"github.com/peal-dev/peal/message"
)

const everyoneChannel = "socket.io-peal1#1#/#"

// meet has the node publish what tells it that there is a node of another make, which is sent the same in its own words.
func (b *bundle) meet() {
	b.t.Helper()
	if err := b.a.Broadcast(b.t.Context(), newMessage("met"), message.Target{}); err != nil {
		b.t.Fatal(err)
	}
	frame, words := b.next(), b.next()
	uid, _, repeated := strings.Cut(words.payload[2:], ":")
	if frame.channel != everyoneChannel || words.channel != "socket.io#/#" || !repeated || !bytes.Contains([]byte(frame.payload), []byte(uid)) {
		b.t.Fatalf("published %q and %q", frame, words)
	}
}

// TestNeighbours has a node of another make come and go: Peal nodes speak frames among themselves, words as long as it is there,
// and say again what they had said when they find it.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	b := setup(t)
	say := func(event string, to ...string) {
		t.Helper()
		if err := b.a.Broadcast(t.Context(), newMessage(event), message.Target{Rooms: to}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(channels ...string) {
		t.Helper()
		for _, channel := range channels {
			if got := b.next(); got.channel != channel {
				t.Fatalf("published on %s: %q, want it on %s", got.channel, got.payload, channel)
			}
		}
	}
	const id = "abcdefghij-_ABCDEFGH"
	for range 2 {
		say("a")
		say("a", "room")
		say("a", id)
		say("a", "room", "b")
		want(everyoneChannel, everyoneChannel+"=room", everyoneChannel, everyoneChannel)
		b.counted()
		say("b", "room")
		want(everyoneChannel+"=room", "socket.io#/#room#")
		say("c", "room")
		say("c")
		want("socket.io#/#room#", "socket.io#/#")
		b.uncounted()
		say("d", "room")
		want("socket.io#/#room#") // from which it learns that the other is gone
	}
	if before := b.fence(b.m); len(before) != 4 {
		t.Errorf("its own member got %q", before)
	}
	b.malformed(0)
}

// numberOf returns the number that is the event of a broadcast.
func numberOf(t *testing.T, m published) (n int) {
	t.Helper()
	_, text, _ := strings.Cut(m.payload, "data\x91")
	if _, err := fmt.Sscan(text[1:1+text[0]&0x1f], &n); err != nil {
		t.Fatalf("%q: %v", m.payload, err)
	}
	return n
}

// TestStrangerInAStream has a node of another make come and go, again and again, while three Peal nodes publish: it hears all that
// is published from when it has come until it goes, and the Peal nodes hear everything once; all in order.
func TestStrangerInAStream(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	const count, room = 3000, "room"
	type node struct {
		a *adapter.Adapter
		m *adaptertest.Member
	}
	var nodes [3]node
	for i := range nodes {
		nodes[i].a, nodes[i].m = newAdapter(t, newDriver(t, redispubsub.Options{URL: server.URL()}))
		if _, err := nodes[i].a.Join(t.Context(), "m", room); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan struct{})
	var begins atomic.Int64 // the number of the latest
	go func() {
		defer close(done)
		for n := range count {
			to := message.Target{}
			if n%2 == 0 {
				to.Rooms = []string{room}
			}
			begins.Store(int64(n))
			if err := nodes[0].a.Broadcast(t.Context(), newMessage(fmt.Sprint(n)), to); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	client, err := redisx.New(redisx.Options{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan published, 1<<16)
	sub := client.Subscribe(redisx.Hooks{})
	t.Cleanup(func() { sub.Close(); client.Close() })
	stranger := sub.Listen(func(channel string, payload []byte) {
		if channel != requestChannel {
			heard <- published{channel, string(payload)}
		}
	})
	broadcasts, requests := redisx.Pattern("socket.io#/#*"), redisx.Channel(requestChannel)
	comes := 0
	for going := true; going; comes++ {
		for _, n := range []redisx.Name{broadcasts, requests} {
			if err := stranger.Add(n).Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		// What comes before it is counted is not all. Whatever begins from now on is.
		begun, last := int(begins.Load()), -1
		for len(heard) > 0 {
			begun = max(begun, numberOf(t, <-heard))
		}
		hear := func(got published) {
			n := numberOf(t, got)
			if last < 0 && n > begun+1 || last >= 0 && n != last+1 {
				t.Fatalf("the stranger heard %d after %d, and %d had begun when it was counted", n, last, begun)
			}
			last = n
		}
		for heardNow := 0; going && heardNow < 20; heardNow++ {
			select {
			case got := <-heard:
				hear(got)
			case <-done:
				going = false
			}
		}
		for _, n := range []redisx.Name{requests, broadcasts} {
			stranger.Remove(n)
			if err := stranger.Add().Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for len(heard) > 0 {
			hear(<-heard)
		}
	}
	<-done
	for i := range nodes[1:] {
		for n := range count {
			if got := nodes[1+i].m.Next(t).Event(); got != fmt.Sprint(n) {
				t.Fatalf("node %d got %s, want %d", 1+i, got, n)
			}
		}
		if !nodes[1+i].m.Empty() {
			t.Errorf("node %d got something more", 1+i)
		}
	}
	if comes < 2 {
		t.Errorf("the stranger came %d times", comes)
	}
}
