package redissharded_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/redissharded"
	"github.com/peal-dev/peal/internal/testredis"
	"github.com/peal-dev/peal/message"
)

// TestEmitter publishes without being a node, in each mode, on one server and on a cluster.
func TestEmitter(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"one": testredis.Start(t).URL(), "cluster": testredis.StartCluster(t).URL()} {
		for _, mode := range modes {
			opts := redissharded.Options{URL: url, Prefix: name + string(mode), Mode: mode}
			a, m := newAdapter(t, newDriver(t, opts), id20, "r")
			emitter, err := redissharded.NewEmitter(opts)
			if err != nil {
				t.Fatal(err)
			}
			from, err := adapter.New(t.Context(), "/", emitter, nil)
			if err != nil {
				t.Fatal(err)
			}
			to := func(rooms ...string) message.Target { return message.Target{Rooms: rooms} }
			if err := errors.Join(
				from.Broadcast(t.Context(), newMessage("all"), to()),
				from.Broadcast(t.Context(), newMessage("room"), to("r")),
				from.Broadcast(t.Context(), newMessage("id"), to(id20)),
				from.JoinRooms(t.Context(), to("r"), "s"),
				from.Broadcast(t.Context(), newMessage("end"), to("s")),
				from.Ping(t.Context()),
			); err != nil {
				t.Errorf("%s, %s: %v", name, mode, err)
			}
			if got := m.Until(t, "end"); strings.Join(got, " ") != "all room id" {
				t.Errorf("%s, %s: got %q", name, mode, got)
			}
			if n, err := a.Nodes(t.Context()); n != 1 || err != nil {
				t.Errorf("%d nodes, %v: an emitter is none", n, err)
			}
			if err := emitter.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if err := from.Broadcast(t.Context(), newMessage("x"), to()); !errors.Is(err, adapter.ErrClosed) {
				t.Errorf("Broadcast after Close: %v", err)
			}
		}
	}
}
