package gateway_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/peal-dev/peal/cluster"
	"github.com/peal-dev/peal/gateway"
	"github.com/peal-dev/peal/internal/testmongo"
	"github.com/peal-dev/peal/internal/testpostgres"
	"github.com/peal-dev/peal/internal/testredis"
)

// waitReady waits until /readyz answers with that status and returns its body. Redis gives no signal to wait for.
func (n *node) waitReady(status int) string {
	n.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		res, body := n.do("GET", "/readyz", "")
		if res.StatusCode == status {
			return body
		}
		select {
		case <-tick.C:
		case <-deadline:
			n.t.Fatalf("readyz stays %d: %s", res.StatusCode, body)
		}
	}
}

func TestTwoNodesExchangeMessages(t *testing.T) {
	t.Parallel()
	t.Run("redis", func(t *testing.T) { t.Parallel(); exchangeMessages(t, gateway.Config{}) })
	t.Run("mongodb", func(t *testing.T) {
		t.Parallel()
		exchangeMessages(t, gateway.Config{Cluster: testmongo.Start(t).URL()})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		exchangeMessages(t, gateway.Config{Cluster: testpostgres.Start(t).URL()})
	})
}

func exchangeMessages(t *testing.T, cfg gateway.Config) {
	cfg.Dev, cfg.Namespaces = true, []string{"/", "/chat"}
	if cfg.Cluster == "" {
		cfg.Cluster = testredis.Start(t).URL()
	}
	one, two := startNode(t, cfg), startNode(t, cfg)
	one.waitReady(200)
	two.waitReady(200)

	near, far := one.connect("/", ""), two.connect("/", "")
	near.ask("subscribe", `"a"`)
	far.ask("subscribe", `"a"`)
	nearStream, farStream := one.stream("?room=a"), two.stream("?room=a")

	one.publish(`{"rooms":["a"],"event":"tick","args":[1,{"b":[true,null,"é"]}]}`)
	for _, c := range []*client{near, far} {
		c.want(`42["tick",1,{"b":[true,null,"é"]}]`)
	}
	wantEvent(t, nearStream, "tick", `[1,{"b":[true,null,"é"]}]`)
	wantEvent(t, farStream, "tick", `[1,{"b":[true,null,"é"]}]`)

	far.acks++
	far.write(`422["publish",{"rooms":["a"],"except":["b"],"event":"said","args":["hi"]}]`)
	far.want(`42["said","hi"]`)
	if got := far.ack(); got != `{"ok":true}` {
		t.Errorf("publish: %s", got)
	}
	near.want(`42["said","hi"]`)
	wantEvent(t, nearStream, "said", `["hi"]`)
	wantEvent(t, farStream, "said", `["hi"]`)

	// Namespaces stay apart on the other node too.
	chat := two.connect("/chat", "")
	one.publish(`{"namespace":"/chat","event":"in chat"}`)
	chat.want(`42/chat,["in chat"]`)

	// What only looks like binary data is data there as here.
	one.publish(`{"rooms":["a"],"event":"odd","args":[{"_placeholder":true,"num":0}]}`)
	wantEvent(t, nearStream, "odd", `[{"_placeholder":true,"num":0}]`)
	wantEvent(t, farStream, "odd", `[{"_placeholder":true,"num":0}]`)
	if got := one.metric(`peal_cluster_envelopes_total{direction="out",namespace="/"}`); got != "2" {
		t.Errorf("envelopes out: %s", got)
	}
}

// Readiness and publishing tell the truth while Redis is gone, and the node finds back by itself.
func TestRedisGoesAndComesBack(t *testing.T) {
	t.Parallel()
	redis := testredis.Start(t)
	n := startNode(t, gateway.Config{Dev: true, Cluster: redis.URL()})
	n.waitReady(200)
	stream := n.stream("?room=a")

	redis.Stop()
	if body := n.waitReady(503); !strings.Contains(body, `"ready":false`) || !strings.Contains(body, `"error":"`) {
		t.Errorf("readyz without Redis: %s", body)
	}
	if res, _ := n.do("GET", "/healthz", ""); res.StatusCode != 200 {
		t.Errorf("healthz without Redis: %d", res.StatusCode)
	}
	res, body := n.do("POST", "/v1/publish", `{"rooms":["a"],"event":"lost elsewhere"}`)
	code, message := errorOf(t, body)
	if res.StatusCode != http.StatusServiceUnavailable || code != gateway.CodeClusterUnavailable || !strings.Contains(message, "this node only") {
		t.Errorf("publish without Redis: %d %s", res.StatusCode, body)
	}
	wantEvent(t, stream, "lost elsewhere", "[]")

	redis.Restart()
	n.waitReady(200)
	if up, again := n.metric("peal_broker_connected"), n.metric("peal_broker_reconnects_total"); up != "1" || again != "1" {
		t.Errorf("connected %s, reconnects %s", up, again)
	}
	if got := n.metric(`peal_broker_gaps_total{cause="reconnect"}`); got != "1" {
		t.Errorf("gaps: %s", got)
	}
	if _, got := n.do("GET", "/v1/stats", ""); !strings.Contains(got, `"reconnect":1`) || !strings.Contains(got, `"last_gap":{"cause":"reconnect","from":"`) || !strings.Contains(got, `"to":"`) {
		t.Errorf("stats do not tell of the gap: %s", got)
	}
	n.publish(`{"rooms":["a"],"event":"back"}`)
	wantEvent(t, stream, "back", "[]")
}

// TestFailedPublishesShareALine publishes a hundred times in vain: the log says so at once, and how often.
func TestFailedPublishesShareALine(t *testing.T) {
	t.Parallel()
	redis := testredis.Start(t)
	var log syncBuffer
	n := startNode(t, gateway.Config{Dev: true, Cluster: redis.URL(), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	n.waitReady(200)
	redis.Stop()
	n.waitReady(503)
	const failures = 100
	for range failures {
		if res, body := n.do("POST", "/v1/publish", `{"rooms":["a"],"event":"x"}`); res.StatusCode != http.StatusServiceUnavailable {
			t.Fatalf("publish without Redis: %d %s", res.StatusCode, body)
		}
	}
	const line = "the cluster did not take a message"
	if got := strings.Count(log.String(), line); got != 1 {
		t.Errorf("%d lines about %d failed publishes, want 1", got, failures)
	}
	if err := n.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := log.String(); strings.Count(got, line) != 2 || !strings.Contains(got, fmt.Sprintf("repeated=%d", failures-1)) {
		t.Errorf("the log does not say how many publishes failed:\n%s", got)
	}
}

func TestNodeStartsBeforeRedis(t *testing.T) {
	t.Parallel()
	redis := testredis.Start(t)
	redis.Stop()
	cfg := gateway.Config{Dev: true, Cluster: redis.URL()}
	early := startNode(t, cfg)
	early.waitReady(503)
	redis.Restart()
	early.waitReady(200)
	late := startNode(t, cfg)
	late.waitReady(200)
	stream := early.stream("?room=a")
	late.publish(`{"rooms":["a"],"event":"joined"}`)
	wantEvent(t, stream, "joined", "[]")
}

// syncBuffer is a log that is read while it is written.
type syncBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// GET /v1/nodes lists who is in the cluster, with its clients; a node alone lists itself.
func TestNodes(t *testing.T) {
	t.Parallel()
	redis := testredis.Start(t).URL()
	one, two := startNode(t, gateway.Config{Dev: true, Cluster: redis}), startNode(t, gateway.Config{Dev: true, Cluster: redis})
	two.connect("/", "")
	var reply struct {
		Self     string
		Nodes    []cluster.Info
		Departed []cluster.Change
	}
	list := func(n *node) []cluster.Info {
		t.Helper()
		res, body := n.do("GET", "/v1/nodes", "")
		reply.Self, reply.Nodes, reply.Departed = "", nil, nil
		if err := json.Unmarshal([]byte(body), &reply); err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s %s", res.Status, body)
		}
		return reply.Nodes
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		nodes := list(one)
		if len(nodes) == 2 && nodes[1].Name == two.Node() && nodes[1].Load.Clients == 1 {
			if nodes[0].ID != reply.Self || nodes[0].Name != one.Node() || nodes[0].Address != one.Addr() || nodes[0].Version == "" {
				t.Errorf("this node is %s: %+v", reply.Self, nodes[0])
			}
			break
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("knows of %+v", nodes)
		}
	}
	// One that has left is remembered, with what it had.
	gone := two.Node()
	if err := two.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	for len(reply.Departed) == 0 {
		list(one)
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("nobody has left: %+v", reply)
		}
	}
	if c := reply.Departed[0]; c.Kind != cluster.Left || c.Node.Name != gone || c.At.IsZero() {
		t.Errorf("departed: %+v, want that %s has left", c, gone)
	}
	if _, metrics := one.do("GET", "/metrics", ""); !strings.Contains(metrics, `peal_cluster_changes_total{kind="left"} 1`) {
		t.Error("/metrics does not say that a node has left")
	}
	alone := startNode(t, gateway.Config{Dev: true})
	alone.connect("/", "")
	if nodes := list(alone); len(nodes) != 1 || nodes[0].Name != alone.Node() || nodes[0].Load.Clients != 1 || reply.Self != "" {
		t.Errorf("a node alone: %+v", nodes)
	}
}

// TestUnsendable publishes what clients of a node can have and the wire between the nodes cannot: a key with a zero byte.
func TestUnsendable(t *testing.T) {
	t.Parallel()
	n := startNode(t, gateway.Config{Dev: true, Cluster: testmongo.Start(t).URL()})
	n.waitReady(200)
	stream := n.stream("?room=a")
	res, body := n.do("POST", "/v1/publish", `{"rooms":["a"],"event":"odd","args":[{"\u0000":1}]}`)
	code, message := errorOf(t, body)
	if res.StatusCode != http.StatusBadRequest || code != gateway.CodeUnsendable || !strings.Contains(message, "this node only") {
		t.Errorf("publish: %d %s", res.StatusCode, body)
	}
	wantEvent(t, stream, "odd", `[{"\u0000":1}]`)
	n.publish(`{"rooms":["a"],"event":"even"}`)
	wantEvent(t, stream, "even", "[]")
}
