package interop_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/peal-dev/peal/internal/testcerts"
	"github.com/peal-dev/peal/internal/testredis"
)

// balanced is three nodes of `peal serve` behind a load balancer, and official clients that know only that.
type balanced struct {
	t       *testing.T
	nodes   [3]*program
	url     string
	dir     string // of the balancer
	redis   string
	clients *peer
}

func startBalanced(t *testing.T, by balancer, weight func(node int) int, flags ...string) *balanced {
	t.Helper()
	redis := testredis.Start(t)
	b := &balanced{t: t, redis: redis.URL(), clients: startPeer(t, "client.mjs")}
	for i := range b.nodes {
		b.nodes[i] = startPeal(t, redis.URL(), flags...)
	}
	b.url, b.dir = by.start(t, weight, b.nodes[:]...)
	return b
}

// connect has clients c0, c1, … connect at the same time.
func (b *balanced) connect(count int, with func(i int) params) (names []string) {
	b.t.Helper()
	var connecting []<-chan reply
	for i := range count {
		p := with(i)
		p["client"], p["url"] = fmt.Sprint("c", i), b.url
		names = append(names, fmt.Sprint("c", i))
		connecting = append(connecting, b.clients.begin("connect", p))
	}
	for i, name := range names {
		if r := b.clients.finish("connect", connecting[i]); r.Error != "" {
			b.t.Fatalf("%s cannot connect: %s", name, r.Error)
		}
	}
	return names
}

// metric returns the sum of a metric of the nodes that are left.
func (b *balanced) metric(name string) (sum float64) {
	b.t.Helper()
	for _, n := range b.nodes {
		if n.cmd != nil {
			sum += n.usage(b.t)[name]
		}
	}
	return sum
}

// subscribe has a client in a room, also if its connection has just broken without its knowing.
func (b *balanced) subscribe(client, room string) {
	b.t.Helper()
	for deadline := time.Now().Add(2 * patience); ; {
		r := b.clients.try("ask", params{"client": client, "event": "subscribe", "args": []any{room}, "timeout": 2000})
		if r.Error == "" {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%s cannot subscribe: %s", client, r.Error)
		}
	}
}

// With nodes taken in turn for every single request, 50 official clients of each kind connect, stay, and get and publish
// everything, in order.
func TestRoundRobin(t *testing.T) {
	t.Parallel()
	const clients, messages = 50, 200
	for i, transport := range slices.Concat(transports, transports) {
		by := balancers[i/len(transports)]
		t.Run(by.name+"/"+transport.name, func(t *testing.T) {
			t.Parallel()
			b := startBalanced(t, by, unequally)
			names := b.connect(clients, func(int) params { return params{"options": transport.options} })
			for _, name := range names {
				if transport.name == "default" {
					b.clients.do("upgraded", params{"client": name}, nil)
				}
				b.subscribe(name, "all")
			}
			var publishing sync.WaitGroup
			for i, n := range b.nodes {
				publishing.Go(func() {
					for j := range messages {
						n.publish(t, publication{Event: fmt.Sprint("from ", i), Rooms: []string{"all"}, Args: []any{j}})
					}
				})
			}
			b.clients.do("publish", params{"client": names[7], "publication": publication{Event: "from client", Rooms: []string{"all"}}, "count": messages}, nil)
			publishing.Wait()
			for _, event := range []string{"from 0", "from 1", "from 2", "from client"} {
				for _, name := range names {
					requireNumbered(t, event+" at "+name, b.clients.awaitEvents(name, event, messages), messages)
				}
			}
			for _, name := range names {
				if broke := b.clients.of(func(r report) bool { return r.Client == name && r.State == "disconnect" }); len(broke) > 0 {
					t.Errorf("%s was disconnected: %s", name, broke[0].Detail)
				}
			}
			forwarded, relays := b.metric("peal_cluster_forwarded_total"), b.metric("peal_cluster_relays")
			switch {
			case transport.name == "websocket" && forwarded+relays > 0:
				t.Errorf("WebSockets that open their sessions themselves were passed on: %v, %v", forwarded, relays)
			case transport.name != "websocket" && forwarded == 0:
				t.Error("nothing was passed on: this tests nothing")
			case transport.name == "default" && (relays == 0 || relays == clients):
				t.Errorf("%v of %d WebSockets are relayed: this tests half of it", relays, clients)
			}
			for _, name := range names {
				b.clients.do("disconnect", params{"client": name}, nil)
			}
			for deadline := time.Now().Add(patience); b.metric("peal_cluster_relays")+b.metric("peal_socketio_connections") > 0; {
				if time.Now().After(deadline) {
					t.Fatalf("%v relays are left of clients that have gone", b.metric("peal_cluster_relays"))
				}
			}
		})
	}
}

// Messages in both directions while the transport changes, mostly by way of the wrong node.
func TestRoundRobinUpgradesInTheMiddle(t *testing.T) {
	t.Parallel()
	t.Run("plain", func(t *testing.T) { t.Parallel(); upgradesInTheMiddle(t) })
	t.Run("nodes over TLS", func(t *testing.T) {
		t.Parallel()
		ca := testcerts.New(t)
		cert, key, authority := ca.Write(t.TempDir(), ca.Issue())
		upgradesInTheMiddle(t, "--peer-listen", "127.0.0.1:0", "--peer-cert", cert, "--peer-key", key, "--peer-ca", authority)
	})
}

func upgradesInTheMiddle(t *testing.T, flags ...string) {
	const clients, messages = 20, 100
	b := startBalanced(t, balancers[0], unequally, flags...)
	b.clients.do("connect", params{"client": "listener", "url": b.nodes[0].url()}, nil)
	b.subscribe("listener", "said")
	for _, name := range b.connect(clients, func(int) params { return params{"hold": true} }) {
		b.subscribe(name, "all")
	}
	var publishing sync.WaitGroup
	publishing.Go(func() {
		for j := range messages {
			b.nodes[j%2].publish(t, publication{Event: fmt.Sprint("from ", j%2), Rooms: []string{"all"}, Args: []any{j / 2}})
		}
	})
	var straddling []<-chan reply
	for i := range clients {
		straddling = append(straddling, b.clients.begin("straddle", params{"client": fmt.Sprint("c", i), "event": "publish", "count": messages,
			"publication": publication{Event: fmt.Sprint("said ", i), Rooms: []string{"said"}}}))
	}
	for _, answer := range straddling {
		if r := b.clients.finish("straddle", answer); r.Error != "" || !strings.Contains(string(r.Result), `"websocket"`) {
			t.Errorf("straddled: %s %s", r.Result, r.Error)
		}
	}
	publishing.Wait()
	for _, broke := range b.clients.of(func(r report) bool { return r.State == "disconnect" }) {
		t.Errorf("%s was disconnected: %s", broke.Client, broke.Detail)
	}
	for i := range clients {
		said := fmt.Sprint("said ", i)
		requireNumbered(t, said, b.clients.awaitEvents("listener", said, messages), messages)
		for _, event := range []string{"from 0", "from 1"} {
			name := fmt.Sprint("c", i)
			requireNumbered(t, event+" at "+name, b.clients.awaitEvents(name, event, messages/2), messages/2)
		}
	}
	if relays := b.metric("peal_cluster_relays"); relays == 0 {
		t.Error("nothing was relayed: this tests nothing")
	}
}

// When a node is killed its sessions are unknown at once, and all clients are served by the other, wherever they were.
func TestRoundRobinOwnerDies(t *testing.T) {
	t.Parallel()
	b := startBalanced(t, balancers[0], unequally)
	names := b.connect(30, func(i int) params { return params{"options": transports[i%len(transports)].options} })
	for i, name := range names {
		if transports[i%len(transports)].name == "default" { // one that loses its upgrade half-way polls no more until its ping timeout
			b.clients.do("upgraded", params{"client": name}, nil)
		}
	}
	opened, err := http.Get(b.nodes[1].url() + "/socket.io/?EIO=4&transport=polling")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(opened.Body)
	_ = opened.Body.Close()
	_, rest, ok := strings.Cut(string(text), `"sid":"`)
	if err != nil || !ok {
		t.Fatalf("opened %s, %v", text, err)
	}
	ask := func() (int, string, error) {
		res, err := http.Post(b.nodes[0].url()+"/socket.io/?EIO=4&transport=polling&sid="+rest[:20], "text/plain", strings.NewReader("40"))
		if err != nil {
			return 0, "", err
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(res.Body)
		return res.StatusCode, string(answer), err
	}
	if status, answer, err := ask(); status != http.StatusOK {
		t.Fatalf("before: %d %s %v", status, answer, err)
	}
	b.nodes[1].kill(t)
	began := time.Now()
	if status, answer, err := ask(); status != http.StatusBadRequest || !strings.Contains(answer, `"code":1`) {
		t.Errorf("after: %d %s %v", status, answer, err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("a session of a dead node was unknown after %v", took)
	}
	for _, name := range names {
		b.subscribe(name, "all")
	}
	b.nodes[0].publish(t, publication{Event: "on", Rooms: []string{"all"}, Args: []any{0}})
	for _, name := range names {
		b.clients.awaitEvents(name, "on", 1)
	}
}

// JSONP, as pages of very old browsers speak it: forms and scripts, each to another node.
func TestRoundRobinJSONP(t *testing.T) {
	t.Parallel()
	b := startBalanced(t, balancers[0], unequally, "--jsonp")
	answer := func(res *http.Response, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("answered %s %s, %v", res.Status, text, err)
		}
		return string(text)
	}
	for range 6 {
		path := b.url + "/socket.io/?EIO=4&transport=polling"
		opened := answer(http.Get(path + "&j=0"))
		_, rest, ok := strings.Cut(opened, `\"sid\":\"`)
		if !ok || !strings.HasPrefix(opened, `___eio[0]("0{`) {
			t.Fatalf("opened as %s", opened)
		}
		path += "&sid=" + rest[:20]
		say := func(packet string) {
			t.Helper()
			if got := answer(http.PostForm(path+"&j=1", url.Values{"d": {packet}})); got != "ok" {
				t.Fatalf("%s was answered %s", packet, got)
			}
		}
		say("40")
		if got := answer(http.Get(path + "&j=1")); !strings.HasPrefix(got, `___eio[1]("40{`) {
			t.Fatalf("the namespace was answered %s", got)
		}
		say(`420["subscribe","scripts"]`)
		if got := answer(http.Get(path + "&j=2")); !strings.HasPrefix(got, `___eio[2]("430[`) {
			t.Fatalf("the event was answered %s", got)
		}
		say("1")
	}
	if b.metric("peal_cluster_forwarded_total") == 0 {
		t.Error("nothing was passed on: this tests nothing")
	}
}
