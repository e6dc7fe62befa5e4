package redisx_test

import (
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/internal/faultproxy"
	"github.com/peal-dev/peal/internal/redisx"
	"github.com/peal-dev/peal/internal/testredis"
)

// TestDeadConnections has connections stand on which nothing comes any more: they are replaced long before the timeout. Where
// the server hangs, or the way is long, they are not, since a new one is not answered sooner.
func TestDeadConnections(t *testing.T) {
	t.Parallel()
	const timeout = 20 * time.Second
	server := testredis.Start(t)
	proxy := faultproxy.Start(t, server.Addr())
	client, err := redisx.New(redisx.Options{URL: "redis://" + proxy.Addr(), Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	type state struct {
		up  bool
		err error
	}
	states := make(chan state, 100)
	subscriber := client.Subscribe(redisx.Hooks{State: func(up bool, err error) { states <- state{up, err} }})
	t.Cleanup(func() { subscriber.Close(); client.Close() })
	heard := make(chan string, 100)
	listener := subscriber.Listen(func(_ string, payload []byte) { heard <- string(payload) })
	if err := listener.Add(redisx.Channel("c")).Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-states
	publish := func(text string) error {
		batch := []redisx.Message{{Channel: "c", Payload: []byte(text)}}
		client.Publish(t.Context(), batch)
		return batch[0].Err
	}
	through := func(text string) {
		t.Helper()
		if err := publish(text); err != nil {
			t.Fatal(err)
		}
		if got := <-heard; got != text {
			t.Fatalf("heard %q, want %q", got, text)
		}
	}
	through("at first")

	server.Pause()
	late := time.AfterFunc(1500*time.Millisecond, server.Resume)
	defer late.Stop()
	through("a server that hangs")
	proxy.Delay(700 * time.Millisecond)
	through("a long way")
	proxy.Delay(0)
	through("a short way")
	select {
	case s := <-states:
		t.Errorf("the connection was replaced: %v", s.err)
	default:
	}

	for _, kill := range []func(){proxy.HalfOpen, func() { proxy.Lose(); proxy.Find() }} {
		begun := time.Now()
		kill()
		if err := publish("into the void"); err == nil || !strings.Contains(err.Error(), "dead") {
			t.Errorf("published on a dead connection: %v", err)
		}
		if s := <-states; s.up || !strings.Contains(s.err.Error(), "dead") {
			t.Errorf("state %v, %v, want that the connection is dead", s.up, s.err)
		}
		if s := <-states; !s.up {
			t.Errorf("the next is no connection: %v", s.err)
		}
		through("again")
		if took := time.Since(begun); took > timeout/2 {
			t.Errorf("replaced after %v", took)
		}
	}
}

// TestFollowsThePrimary has Sentinel make another server the primary, while the old one hangs with its subscribers.
func TestFollowsThePrimary(t *testing.T) {
	t.Parallel()
	sentinel := testredis.StartSentinel(t)
	client, err := redisx.New(redisx.Options{URL: sentinel.URL()})
	if err != nil {
		t.Fatal(err)
	}
	states := make(chan bool, 100)
	subscriber := client.Subscribe(redisx.Hooks{State: func(up bool, _ error) { states <- up }})
	t.Cleanup(func() { subscriber.Close(); client.Close() })
	heard := make(chan string, 100)
	if err := subscriber.Listen(func(_ string, payload []byte) { heard <- string(payload) }).Add(redisx.Channel("c")).Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	for <-states != true {
	}
	old := sentinel.Primary()
	old.Pause()
	defer old.Resume()
	now := sentinel.AwaitPrimary(old)
	for <-states != true {
	}
	now.Do("PUBLISH", "c", "by the new primary")
	if got := <-heard; got != "by the new primary" {
		t.Errorf("heard %q", got)
	}
}
