package redispubsub_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/internal/faultproxy"
	"github.com/peal-dev/peal/internal/testredis"
)

// asked is what came of a question for the ids of all members of other nodes.
type asked struct {
	ids     []string
	of      map[string]adapter.NodeID // whose members they are
	missing []adapter.NodeID
	after   time.Duration
	err     error
}

func ask(t *testing.T, a *adapter.Adapter) (r asked) {
	t.Helper()
	r.of = make(map[string]adapter.NodeID)
	began := time.Now()
	r.missing, r.err = a.Call(t.Context(), &adapter.Call{Kind: adapter.CallIDs, Timeout: time.Hour}, func(answer adapter.Answer) {
		r.ids = append(r.ids, answer.Names...)
		for _, id := range answer.Names {
			r.of[id] = answer.Node
		}
	})
	r.after = time.Since(began)
	slices.Sort(r.ids)
	return r
}

// until asks until the answer is what was awaited. No event tells.
func until(t *testing.T, a *adapter.Adapter, what string, ok func(asked) bool) asked {
	t.Helper()
	for began := time.Now(); ; {
		r := ask(t, a)
		if ok(r) {
			return r
		}
		if time.Since(began) > 20*time.Second {
			t.Fatalf("%s: got %+v", what, r)
		}
	}
}

// TestDeadWithinThreeSeconds has a node hang, whose connections Redis still counts. Who waits for its answer knows within three
// seconds that it is missing, and which node that is; who asks later does not wait, in another namespace either. When it goes
// on it is there for all, and nobody misses it when it has left.
func TestDeadWithinThreeSeconds(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	proxy := faultproxy.Start(t, server.Addr())
	var drivers []*redispubsub.Driver
	spaces := map[string][]*adapter.Adapter{"/": nil, "/other": nil}
	for i := range 3 {
		opts := redispubsub.Options{URL: server.URL(), Timeout: time.Minute}
		if i == 2 {
			opts.URL = "redis://" + proxy.Addr()
		}
		d := newDriver(t, opts)
		drivers = append(drivers, d)
		for namespace := range spaces {
			a := joinNamespace(t, d, namespace)
			if _, err := a.Add(t.Context(), describer{adaptertest.NewMember(fmt.Sprint("m", i))}); err != nil {
				t.Fatal(err)
			}
			spaces[namespace] = append(spaces[namespace], a)
		}
	}
	whole := func(want ...string) func(asked) bool {
		return func(r asked) bool { return r.err == nil && slices.Equal(r.ids, want) }
	}
	all := [][]string{{"m1", "m2"}, {"m0", "m2"}, {"m0", "m1"}}
	there := func(what string) {
		t.Helper()
		for _, nodes := range spaces {
			for i, want := range all {
				until(t, nodes[i], what, whole(want...))
			}
		}
	}
	there("at first")
	name := make(map[string]adapter.NodeID) // of the one that is to hang, by namespace
	for namespace, nodes := range spaces {
		until(t, nodes[0], "its name", func(r asked) bool {
			name[namespace] = r.of["m2"]
			return r.err == nil
		})
	}

	proxy.Hold()
	missed := func(what string, r asked, namespace, id string, within time.Duration) {
		t.Helper()
		want := []adapter.NodeID{name[namespace]}
		if !errors.Is(r.err, adapter.ErrIncomplete) || !slices.Equal(r.missing, want) || !slices.Equal(r.ids, []string{id}) || r.after > within {
			t.Errorf("%s: got %q, missing %q after %v, %v; want %s, missing %q within %v", what, r.ids, r.missing, r.after, r.err, id, want, within)
		}
	}
	r := ask(t, spaces["/"][0])
	missed("who waits", r, "/", "m1", 3*time.Second)
	t.Logf("known after %v", r.after.Round(time.Millisecond))
	missed("who asks later", ask(t, spaces["/other"][0]), "/other", "m1", time.Second)
	until(t, spaces["/"][1], "the other node", func(r asked) bool { return r.after < time.Second && len(r.missing) == 1 && r.missing[0] == name["/"] })
	proxy.Release()
	there("when it goes on")
	if err := drivers[2].Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for namespace, nodes := range spaces {
		until(t, nodes[0], "when it has left "+namespace, whole("m1"))
	}
}

// TestEstrangedIsNotDead takes from a node, while it runs, the right to the channel of Peal nodes. It is heard no more there, and
// answers all the same: others wait for it, and it for them, as for any that they do not know. If it came after them it may
// not know them yet, and cannot tell them that; then they learn it by its next answer, which is too late for one question.
func TestEstrangedIsNotDead(t *testing.T) {
	t.Parallel()
	for name, near := range map[string]int{"first": 0, "last": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := testredis.Start(t)
			proxy := faultproxy.Start(t, server.Addr())
			server.Do("ACL", "SETUSER", "near", "on", "nopass", "~*", "+@all", "allchannels")
			opts, state := states(redispubsub.Options{URL: "redis://near:x@" + proxy.Addr()})
			var nodes []*adapter.Adapter
			for i := range 3 {
				o := redispubsub.Options{URL: server.URL()}
				if i == near {
					o = opts
				}
				a := joinNamespace(t, newDriver(t, o), "/")
				if _, err := a.Add(t.Context(), describer{adaptertest.NewMember(fmt.Sprint("m", i))}); err != nil {
					t.Fatal(err)
				}
				nodes = append(nodes, a)
			}
			state(true)
			all := [][]string{{"m1", "m2"}, {"m0", "m2"}, {"m0", "m1"}}
			whole := func(r asked, i int) bool { return r.err == nil && slices.Equal(r.ids, all[i]) }
			for i, a := range nodes {
				until(t, a, "at first", func(r asked) bool { return whole(r, i) })
			}
			server.Do("ACL", "SETUSER", "near", "resetchannels", "&socket.io#/#*", "&socket.io-re*")
			state(false)
			state(true)
			proxy.Delay(20 * time.Millisecond) // the others answer before
			for i, a := range nodes {
				until(t, a, "when it is there again", func(r asked) bool { return whole(r, i) })
			}
			var short [3]int
			for began := time.Now(); time.Since(began) < 5*time.Second; {
				for i, a := range nodes {
					if r := ask(t, a); !whole(r, i) {
						t.Logf("node %d, %v after the right was taken: got %+v", i, time.Since(began), r)
						short[i]++
					}
				}
			}
			for i, n := range short {
				if n > 0 && (near == 0 || n > 1) {
					t.Errorf("%d answers to node %d were not whole", n, i)
				}
			}
		})
	}
}
