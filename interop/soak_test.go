package interop_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/internal/testredis"
)

// soakTime is how long TestSoak goes on; `make soak` sets it.
var (
	soakTime = flag.Duration("soak", 0, "how long TestSoak attacks the nodes; 0 means one round")
	soakOnly = flag.String("soak.only", "", "attack only in the ways whose names contain this")
)

const soakKey = "soak-key"

// TestSoak has two nodes of a cluster attacked in every way known to have hurt one, over and over, while witnesses
// listen on all transports. A round holds if no witness was disconnected and none missed a message, had one twice or out
// of order; if what the attackers left open was ended by the nodes; and if goroutines, descriptors, sessions, rooms and
// memory then come back to what they were. The nodes run with the race detector.
func TestSoak(t *testing.T) {
	redis := testredis.Start(t)
	flags := []string{"--api-key", soakKey, "--anonymous-subscribe", "--anonymous-publish", "--cluster", redis.URL(),
		"--ping-interval", "3s", "--ping-timeout", "15s", "--log-level", "error"}
	h := &hostile{t: t, redis: redis.Addr(), rand: rand.New(rand.NewPCG(7, uint64(time.Now().UnixNano())))}
	for range 2 {
		h.nodes = append(h.nodes, startNode(t, flags...))
	}
	audience := newAudience(t, h.nodes)
	base := make([]usage, len(h.nodes))
	for i, n := range h.nodes {
		base[i] = n.usage(t)
	}
	end := time.Now().Add(*soakTime)
	for round := 1; ; round++ {
		for _, a := range attacks {
			if !strings.Contains(a.name, *soakOnly) {
				continue
			}
			begun := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), attackTime)
			if err := a.run(ctx, h); err != nil {
				t.Errorf("round %d: %s: %v", round, a.name, err)
			}
			cancel()
			t.Logf("round %d: %-26s %5.1f s, the witnesses' latency %v", round, a.name, time.Since(begun).Seconds(), audience.latency())
			if t.Failed() {
				break
			}
		}
		audience.check(t)
		for i, n := range h.nodes {
			after := n.settle(t, base[i])
			t.Logf("round %d: node %d: %v", round, i, after)
			if round == 1 {
				base[i].learn(after) // pools are full and lazily made things are made now
			}
		}
		if t.Failed() || !time.Now().Before(end) {
			break
		}
	}
	audience.leave(t)
}

// startNode starts `peal serve` and returns when it has joined the cluster.
func startNode(t *testing.T, flags ...string) *program {
	t.Helper()
	p := start(t, built(t, pealBinary), append([]string{"serve", "--listen", "127.0.0.1:0"}, flags...)...)
	for deadline := time.Now().Add(patience); p.get(t, "/readyz") != http.StatusOK; {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not join the cluster", p.addr)
		}
	}
	return p
}

// usage is what a node holds, by the name of its metric.
type usage map[string]float64

// held are the metrics that must come back, each with the room it may keep: goroutines that wait for work, connections
// of the client that measures, and a heap that is collected when it has grown by so much.
var held = map[string]float64{
	"go_goroutines":                 200,
	"go_memstats_heap_alloc_bytes":  48 << 20,
	"process_open_fds":              8,
	"peal_socketio_connections":     0,
	"peal_socketio_sockets":         0,
	"peal_sse_streams":              0,
	"peal_members":                  0,
	"peal_rooms":                    0,
	"process_resident_memory_bytes": 512 << 20, // the race detector's shadow grows with all that was ever touched
}

// later are those that must come back closer once the first round has filled the pools.
var later = map[string]float64{"go_goroutines": 32, "go_memstats_heap_alloc_bytes": 24 << 20, "process_resident_memory_bytes": 192 << 20}

func (u usage) String() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(held)) {
		value := fmt.Sprint(u[name])
		if strings.HasSuffix(name, "_bytes") {
			value = fmt.Sprintf("%.1f MiB", u[name]/(1<<20))
		}
		fmt.Fprintf(&b, "%s %s, ", strings.TrimPrefix(name, "peal_"), value)
	}
	return strings.TrimSuffix(b.String(), ", ")
}

// learn makes what was held after the first round the new base, where that may have grown.
func (u usage) learn(after usage) {
	for name := range later {
		u[name] = max(u[name], after[name])
	}
	u["learned"] = 1
}

// excess says what of now is more than a node with u as its base may hold.
func (u usage) excess(now usage) (over []string) {
	for name, room := range held {
		if closer, ok := later[name]; ok && u["learned"] == 1 {
			room = closer
		}
		if now[name] > u[name]+room {
			over = append(over, fmt.Sprintf("%s is %.0f and was %.0f", name, now[name], u[name]))
		}
	}
	return over
}

// usage reads a node's metrics. Those with labels are added up.
func (p *program) usage(t *testing.T) usage {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	request.Header.Set("Authorization", "Bearer "+soakKey)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatalf("metrics of %s: %v", p.addr, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("metrics of %s: %s", p.addr, response.Status)
	}
	u := usage{}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		name, _, _ = strings.Cut(name, "{")
		if v, err := strconv.ParseFloat(value[strings.LastIndexByte(value, ' ')+1:], 64); err == nil {
			u[name] += v
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatalf("metrics of %s: %v", p.addr, err)
	}
	return u
}

// settleTime is how long a node may take to forget what attacked it: the runtime collects an idle heap after 2 minutes.
const settleTime = 150 * time.Second

// settle waits until the node holds no more than base allows.
func (p *program) settle(t *testing.T, base usage) usage {
	t.Helper()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(settleTime); ; <-tick.C {
		now := p.usage(t)
		over := base.excess(now)
		if len(over) == 0 {
			return now
		}
		if time.Now().After(deadline) {
			t.Errorf("%s does not come back: %s", p.addr, strings.Join(over, "; "))
			return now
		}
	}
}
