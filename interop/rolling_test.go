package interop_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/peal-dev/peal/internal/bench/evloop"
	"github.com/peal-dev/peal/internal/bench/swarm"
)

// What TestRollingRestart plays; `make cluster` has more clients.
var (
	rollingClients  = flag.Int("rolling.clients", 150, "how many clients are there while TestRollingRestart restarts nodes")
	rollingOfficial = flag.Int("rolling.official", 15, "how many of them are official ones")
	rollingPace     = flag.Int("rolling.pace", 250, "how many of them may connect again in a second")
	rollingNodes    = flag.Int("rolling.nodes", 1, "how many of the three nodes are restarted, one after another")
	rollingSeconds  = flag.Bool("rolling.seconds", false, "judge each second by itself, on a quiet machine, and wait until nodes have equal shares; else judge all from the beginning of each step")
)

// TestRollingRestart restarts three nodes behind nginx, one after another, under a crowd. A node is told by when to have sent its
// clients away, and gets its share back from the others. Clients connect again at no more than the pace that is set: nodes send
// away four fifths of it, as a client comes back when it likes, within a second. At the end all are there, and hear.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	away := *rollingPace * 4 / 5
	flags := []string{"--rebalance", fmt.Sprint(away / 2)} // two nodes do so at a time
	b := startBalanced(t, balancers[0], equally, flags...)
	r := &rolling{balanced: b, crowd: startCrowd(t, b.url, *rollingClients-*rollingOfficial)}
	b.connect(*rollingOfficial, func(int) params { return params{"options": params{"reconnectionDelay": 1000}} })
	r.await("all clients", func() bool { return r.connected() == *rollingClients })
	for i, node := range b.nodes[:*rollingNodes] {
		begun := time.Now()
		over := time.Duration(float64(node.usage(t)["peal_connections"]) / float64(away) * float64(time.Second))
		drain(t, node, over)
		select {
		case <-node.exited:
		case <-time.After(over + patience):
			t.Fatalf("node %d does not end", i)
		}
		drained := time.Since(begun)
		node.stop(t)
		r.await("all clients on the others", func() bool { return r.connected() == *rollingClients })
		r.judge(fmt.Sprintf("node %d drained in %v (%v)", i, drained.Round(time.Millisecond), over.Round(time.Millisecond)), begun)

		begun = time.Now()
		b.nodes[i] = startPeal(t, b.redis, append(flags, "--listen", node.addr)...)
		if *rollingSeconds {
			r.awaitShares()
		} else {
			r.await("the node gets a part of its share", func() bool { return b.nodes[i].usage(t)["peal_connections"] >= float64(*rollingClients)/10 })
		}
		r.judge(fmt.Sprintf("node %d came back", i), begun)
	}
	r.await("all clients hear", func() bool { // some may be on their way
		b.nodes[0].publish(t, publication{Event: "m", Args: []any{0}})
		hears := map[string]bool{}
		for _, report := range b.clients.of(func(p report) bool { return p.Event == "m" }) {
			hears[report.Client] = true
		}
		return len(hears)+r.crowd.hears() == *rollingClients
	})
}

// drain has a node send its clients away and end.
func drain(t *testing.T, node *program, over time.Duration) {
	t.Helper()
	res, err := http.Post(node.url()+"/v1/drain", "application/json", strings.NewReader(fmt.Sprintf(`{"over":%q}`, over)))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		t.Fatalf("draining was answered %s", res.Status)
	}
}

// rolling is what is restarted, and the clients.
type rolling struct {
	*balanced
	crowd *crowd
}

// await waits until something is so, and says what is not.
func (r *rolling) await(what string, so func() bool) {
	r.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(3 * patience); !so(); {
		select {
		case <-tick.C:
		case <-deadline:
			r.t.Fatalf("%s: that does not come about; of %d clients %d are connected", what, *rollingClients, r.connected())
		}
		if err := r.crowd.err(); err != nil {
			r.t.Fatal(err)
		}
	}
}

// connected returns how many clients the nodes have.
func (r *rolling) connected() int { return int(r.metric("peal_socketio_sockets")) }

// awaitShares waits until each node has its share, and sends nobody away any more.
func (r *rolling) awaitShares() {
	r.t.Helper()
	var since time.Time
	moved := -1.0
	r.await("each node has its share", func() bool {
		if now := r.metric("peal_cluster_rebalanced_total"); now != moved || !r.even() {
			moved, since = now, time.Now()
		}
		return time.Since(since) > 3*time.Second // what nodes know of each other is as old as a heartbeat
	})
}

// even reports whether no node has more than nodes put up with: a twentieth above its share, and ten.
func (r *rolling) even() bool {
	share := *rollingClients / len(r.nodes)
	return !slices.ContainsFunc(r.nodes[:], func(n *program) bool {
		return n.usage(r.t)["peal_connections"] > float64(share)*1.05+10
	})
}

// judge looks at the clients that have connected again in a step that has ended.
func (r *rolling) judge(step string, begun time.Time) {
	r.t.Helper()
	times := r.crowd.times()
	for _, report := range r.clients.of(func(p report) bool { return p.State == "connect" }) {
		times = append(times, report.at)
	}
	slices.SortFunc(times, time.Time.Compare)
	first, _ := slices.BinarySearchFunc(times, begun, time.Time.Compare)
	times = times[first:]
	most, ahead := 0, 0
	for i, at := range times {
		next, _ := slices.BinarySearchFunc(times, at.Add(time.Second), time.Time.Compare)
		most = max(most, next-i)
		ahead = max(ahead, i+1-int(at.Sub(begun).Seconds()*float64(*rollingPace)))
	}
	r.t.Logf("%s: %d clients connected again in %v, at most %d in a second", step, len(times), time.Since(begun).Round(time.Millisecond), most)
	if ahead > 1 {
		r.t.Errorf("%s: %d clients more had connected again at some time than the pace of %d allows since the beginning", step, ahead, *rollingPace)
	}
	if *rollingSeconds && most > *rollingPace {
		r.t.Errorf("%s: %d clients connected again in a second, above the pace of %d", step, most, *rollingPace)
	}
}

// crowd is clients that connect again as official ones do, on an event loop of their own.
type crowd struct {
	t    *testing.T
	stop context.CancelFunc
	done chan struct{}

	mu     sync.Mutex
	back   []time.Time  // when a client was let in that had been there before
	heard  map[int]bool // who has heard something
	failed error
}

func startCrowd(t *testing.T, url string, count int) *crowd {
	t.Helper()
	target, err := netip.ParseAddrPort(strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	loop, err := evloop.New()
	if err != nil {
		t.Fatal(err)
	}
	evloop.MaxOpen() // raises the limit
	c := &crowd{t: t, done: make(chan struct{}), heard: make(map[int]bool)}
	all := false
	s := swarm.New(loop, swarm.Config{Target: target, Return: comeBack,
		Ready: func(*swarm.Client) {
			if c.mu.Lock(); all {
				c.back = append(c.back, time.Now())
			}
			c.mu.Unlock()
		},
		Message: func(client *swarm.Client, _ []byte) {
			c.mu.Lock()
			c.heard[client.Index] = true
			c.mu.Unlock()
		}})
	ctx, cancel := context.WithCancel(context.Background())
	connecting, connected := context.WithTimeout(ctx, 3*patience)
	if err := s.Connect(connecting, count, 50); err != nil {
		t.Fatal(err)
	}
	connected()
	all = true
	c.stop = cancel
	go func() {
		defer close(c.done)
		defer loop.Close()
		for ctx.Err() == nil {
			if err := s.Poll(ctx); err != nil && ctx.Err() == nil {
				c.mu.Lock()
				c.failed = err
				c.mu.Unlock()
				return
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-c.done })
	return c
}

// comeBack is how long official clients wait, by default: a second, twice as long each time, five at most, and half of that more
// or less.
func comeBack(_, attempt int) time.Duration {
	wait := min(time.Second<<(min(attempt, 10)-1), 5*time.Second)
	return wait/2 + rand.N(wait)
}

func (c *crowd) times() []time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.back)
}

func (c *crowd) hears() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.heard)
}

func (c *crowd) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}
