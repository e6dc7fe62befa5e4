package nodecluster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/nodecluster"
)

// lose has everything be lost that a node sends and is sent, or nothing any more. The broker does not notice.
func (c *cluster) lose(p *peal, lost bool) {
	c.broker.mu.Lock()
	defer c.broker.mu.Unlock()
	for namespace, all := range c.broker.transports {
		for _, t := range all {
			if t.link == p.driver.Link(namespace) {
				t.lost.Store(lost)
			}
		}
	}
}

// asks asks for the ids of all members of other nodes.
func (p *peal) asks(t *testing.T) (ids []string, missing []adapter.NodeID, after time.Duration, err error) {
	t.Helper()
	began := time.Now()
	missing, err = p.Call(t.Context(), &adapter.Call{Kind: adapter.CallIDs, Timeout: time.Minute}, func(a adapter.Answer) { ids = append(ids, a.Names...) })
	slices.Sort(ids)
	return ids, missing, time.Since(began), err
}

// TestDeadWithinThreeSeconds loses all that a node sends and is sent, by heartbeats and where nodes are counted. Who waits for
// it knows within three seconds that it is missing, and which node that is; who asks later does not wait. When it is back,
// all know it and it knows all, at once and in every namespace.
func TestDeadWithinThreeSeconds(t *testing.T) {
	for name, counted := range map[string]bool{"heartbeats": false, "counted": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t)
				c.stranger.cut()
				var nodes []*peal
				var others []*adapter.Adapter
				for i := range 3 {
					n := c.nodeOf(fmt.Sprint("m", i), newDriver(c.broker, counted, nodecluster.Options{}))
					other, err := adapter.New(t.Context(), "/other", n.driver, nil)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { _ = other.Close(context.Background()) })
					nodes, others = append(nodes, n), append(others, other)
				}
				time.Sleep(5 * time.Second)
				c.lose(nodes[2], true)
				gone := []adapter.NodeID{adapter.NodeID(nodes[2].link.UID())}
				ids, missing, after, err := nodes[0].asks(t)
				if !errors.Is(err, adapter.ErrIncomplete) || !slices.Equal(missing, gone) || !slices.Equal(ids, []string{"m1"}) || after > 3*time.Second {
					t.Errorf("got %q, missing %q after %v, %v; want m1, missing %q within 3 s", ids, missing, after, err, gone)
				}
				time.Sleep(time.Second / 2) // the other one has heard it a little later
				if !counted {               // there it is not asked any more
					gone = nil
				}
				ids, missing, after, err = nodes[1].asks(t)
				if (err != nil) != counted || !slices.Equal(missing, gone) || !slices.Equal(ids, []string{"m0"}) || after > time.Second {
					t.Errorf("later: got %q, missing %q after %v, %v; want m0, missing %q at once", ids, missing, after, err, gone)
				}
				time.Sleep(30 * time.Second)
				c.lose(nodes[2], false)
				time.Sleep(2 * time.Second)
				for i, want := range [][]string{{"m1", "m2"}, {"m0", "m2"}, {"m0", "m1"}} {
					if ids, missing, after, err := nodes[i].asks(t); err != nil || !slices.Equal(ids, want) || after > time.Second {
						t.Errorf("node %d, when all are back: got %q, missing %q after %v, %v; want %q", i, ids, missing, after, err, want)
					}
					if n, err := others[i].Nodes(t.Context()); n != 3 || err != nil {
						t.Errorf("node %d counts %d in the other namespace, %v; want 3", i, n, err)
					}
				}
			})
		})
	}
}

// TestBeatOfAll: that processes are there costs one heartbeat a second, however many namespaces they have in common, and each
// is heard in some namespace that it has.
func TestBeatOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		namespaces := [][]string{{"/", "/a", "/b"}, {"/", "/a"}, {"/b"}}
		var drivers []*driver
		for _, list := range namespaces {
			d := newDriver(c.broker, false, nodecluster.Options{HeartbeatInterval: time.Hour, ProbeInterval: -1})
			t.Cleanup(func() { _ = d.Close(context.Background()) })
			for _, namespace := range list {
				if _, err := adapter.New(t.Context(), namespace, d, nil); err != nil {
					t.Fatal(err)
				}
			}
			drivers = append(drivers, d)
		}
		c.hear()
		time.Sleep(8 * time.Second)
		beats := len(c.hear()) // in one of the namespaces
		if beats > 20 {
			t.Errorf("%d heartbeats of three processes in one namespace in 8 s", beats)
		}
		for i, want := range map[string]int{"/": 2, "/a": 2, "/b": 2} {
			l := drivers[0].Link(i)
			if n, err := l.Nodes(t.Context()); n != want || err != nil {
				t.Errorf("%d nodes in %s, %v; want %d", n, i, err, want)
			}
		}
	})
}
