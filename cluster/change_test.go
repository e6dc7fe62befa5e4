package cluster_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/cluster"
)

// A node tells of others that come, leave, die and come back, each once and with the clients they had; a death within three
// seconds of the last heartbeat.
func TestChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := adaptertest.NewCluster()
		changes := make(chan cluster.Change, 16)
		join := func(name string, clients int, on func(cluster.Change)) (*cluster.Node, adapter.Driver) {
			d := c.NewDriver()
			n, err := cluster.Join(cluster.Options{Driver: d, Name: name, OnChange: on, Logger: slog.New(slog.DiscardHandler),
				Load: func() cluster.Load { return cluster.Load{Clients: clients} }})
			if err != nil {
				t.Fatal(err)
			}
			return n, d
		}
		leave := func(n *cluster.Node, d adapter.Driver) {
			if err := n.Close(context.Background()); err != nil {
				t.Error(err)
			}
			if err := d.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}
		one, d1 := join("one", 1, func(c cluster.Change) { changes <- c })
		defer leave(one, d1)
		expect := func(kind cluster.ChangeKind, name string, clients int) {
			t.Helper()
			if c := <-changes; c.Kind != kind || c.Node.Name != name || c.Node.Load.Clients != clients {
				t.Errorf("told of %+v, want that %s has %s with %d clients", c, name, kind, clients)
			}
			synctest.Wait()
			if len(changes) > 0 {
				t.Errorf("told also of %+v", <-changes)
			}
		}
		time.Sleep(time.Second)
		two, d2 := join("two", 2, nil)
		time.Sleep(time.Second)
		expect(cluster.Joined, "two", 2)
		leave(two, d2)
		expect(cluster.Left, "two", 2)

		three, d3 := join("three", 3, nil)
		time.Sleep(time.Second)
		expect(cluster.Joined, "three", 3)
		if err := d3.Close(t.Context()); err != nil { // of the node nobody hears any more
			t.Error(err)
		}
		died := time.Now()
		expect(cluster.Died, "three", 3)
		if after := time.Since(died); after > 3*time.Second {
			t.Errorf("a death was known after %v", after)
		}
		var names []string
		for _, c := range one.Departed() {
			names = append(names, c.Node.Name)
		}
		if want := []string{"three", "two"}; !slices.Equal(names, want) {
			t.Errorf("departed: %q, want %q", names, want)
		}
		if s := one.Stats(); s.Changes["joined"] != 2 || s.Changes["left"] != 1 || s.Changes["died"] != 1 {
			t.Errorf("counted %v", s.Changes)
		}
		time.Sleep(2 * time.Hour)
		if got := one.Departed(); len(got) > 0 {
			t.Errorf("departed, hours later: %v", got)
		}
		leave(three, d3)
	})
}
