package redispubsub_test

import (
	"errors"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/message"
)

// TestEmitter publishes without being a node, as @socket.io/redis-emitter 5.1.0 does.
func TestEmitter(t *testing.T) {
	t.Parallel()
	b := setup(t)
	emitter, err := redispubsub.NewEmitter(redispubsub.Options{URL: b.server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	from, err := adapter.New(t.Context(), "/", emitter, nil)
	if err != nil {
		t.Fatal(err)
	}
	room := message.Target{Rooms: []string{"room1"}}
	if err := errors.Join(
		from.Broadcast(t.Context(), message.New([]byte(`["x"]`)), room),
		from.JoinRooms(t.Context(), message.Target{}, "q"),
		from.Disconnect(t.Context(), message.Target{Rooms: []string{"nobody"}}, true),
		from.SendEvent(t.Context(), message.New([]byte(`["ev",1]`))),
		from.Broadcast(t.Context(), message.New([]byte(`["all",{"_placeholder":true,"num":0}]`), []byte{1}), message.Target{}),
	); err != nil {
		t.Fatal(err)
	}
	for _, want := range []published{
		{"socket.io#/#room1#", unhex(t, "93a7656d697474657283a47479706502a46461746191a178a36e7370a12f83a5726f6f6d7391a5726f6f6d31a665786365707490a5666c61677380")},
		{"socket.io-request#/#", `{"type":2,"opts":{"rooms":[],"except":[]},"rooms":["q"]}`},
		{"socket.io-request#/#", `{"type":4,"opts":{"rooms":["nobody"],"except":[]},"close":true}`},
		{"socket.io-request#/#", `{"uid":"emitter","type":6,"data":["ev",1]}`},
	} {
		if got := b.next(); got != want {
			t.Errorf("published %q\nwant %q", got, want)
		}
	}
	b.m.Until(t, "all")
	if !b.a.HasRoom("q") {
		t.Error("an emitter's join was not heard")
	}
	if n, err := b.a.Nodes(t.Context()); n != 1 || err != nil {
		t.Errorf("%d nodes, %v: an emitter is none", n, err)
	}
	if err := from.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	b.server.Stop()
	if err := from.Ping(t.Context()); !errors.Is(err, adapter.ErrUnavailable) {
		t.Errorf("Ping without Redis: %v", err)
	}
	if err := emitter.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := from.Broadcast(t.Context(), message.New([]byte(`["x"]`)), room); !errors.Is(err, adapter.ErrClosed) {
		t.Errorf("Broadcast after Close: %v", err)
	}
}
