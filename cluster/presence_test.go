package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/cluster"
	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/internal/testredis"
	"github.com/peal-dev/peal/message"
)

// deaf is a receiver of what a test wants to say only.
type deaf struct{}

func (deaf) Receive(*adapter.Envelope)                  {}
func (deaf) Answer(*adapter.Call, func(adapter.Answer)) {}
func (deaf) HasRoom(string) bool                        { return false }

// tell says something in the name of a node.
func tell(t *testing.T, d adapter.Driver, announcement string) {
	t.Helper()
	link, err := d.Subscribe(t.Context(), "peal-nodes", deaf{})
	if err != nil {
		t.Fatal(err)
	}
	e := &adapter.Envelope{Kind: adapter.KindEvent, Message: message.New([]byte(`["node",` + announcement + `]`))}
	if err := errors.Join(link.Publish(t.Context(), e), link.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// An owner that hangs is given up when nothing is heard of it.
func TestOwnerHangs(t *testing.T) {
	t.Parallel()
	redis := testredis.Start(t)
	one := join(t, redis.URL(), cluster.Options{Heartbeat: 500 * time.Millisecond}, engineio.Options{})
	// A node that tells of itself once and listens, and never answers.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for d := newDriver(t, redis.URL()); len(one.node.Nodes()) < 2; {
		tell(t, d, fmt.Sprintf(`{"id":"hangs","address":%q,"key":"%s=","kind":"beat"}`, l.Addr(), strings.Repeat("A", 43)))
	}
	if status, text, _ := one.do("GET", "&sid=hangs000000000000000", ""); status != 400 || text != unknownSession {
		t.Errorf("a poll of a node that hangs: %d %s", status, text)
	}
	if got := one.node.Stats(); got.Forwarded["failed"] != 1 || got.Peers != 0 {
		t.Errorf("counted %+v", got)
	}
}

// What nodes have heard of each other is not forgotten while Redis is away.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	redis := testredis.Start(t)
	one, two := join(t, redis.URL(), cluster.Options{}, engineio.Options{}), join(t, redis.URL(), cluster.Options{}, engineio.Options{})
	sid := one.open()
	two.do("POST", "&sid="+sid, "4before")
	redis.Stop()
	if status, text, _ := two.do("GET", "&sid="+sid, ""); status != 200 || text != "4before" {
		t.Errorf("while Redis is away: %d %s", status, text)
	}
	redis.Restart()
}

// A node that leaves ends what it passes on: WebSockets that it relays and polls that wait. More relays than it may have
// are refused, and those that have ended count no more.
func TestLeavingEndsWhatIsPassedOn(t *testing.T) {
	t.Parallel()
	redis := testredis.Start(t).URL()
	one, two := join(t, redis, cluster.Options{}, engineio.Options{}), join(t, redis, cluster.Options{MaxRelays: 1}, engineio.Options{})
	dial := func(sid string) (*websocket.Conn, *http.Response, error) {
		return websocket.Dial(t.Context(), two.http.URL+"/engine.io/?EIO=4&transport=websocket&sid="+sid, nil)
	}
	relayed := one.open()
	conn, _, err := dial(relayed)
	if err != nil {
		t.Fatal(err)
	}
	if _, res, err := dial(one.open()); err == nil || res == nil || res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("a relay too many: %v, %v", res, err)
	}
	_ = conn.CloseNow()
	for deadline := time.After(wait); two.node.Stats().Relays > 0; {
		select {
		case <-deadline:
			t.Fatal("a relay whose client has gone is left")
		default:
		}
	}
	if conn, _, err = dial(relayed); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	if err := conn.Write(t.Context(), websocket.MessageText, []byte("2probe")); err != nil {
		t.Fatal(err)
	}
	if _, got, err := conn.Read(t.Context()); err != nil || string(got) != "3probe" {
		t.Fatalf("heard %q, %v", got, err)
	}
	waits := one.open()
	answer := make(chan int, 1)
	go func() {
		status, _, _ := two.do("GET", "&sid="+waits, "")
		answer <- status
	}()
	for deadline := time.After(wait); one.node.Stats().Received < 3; { // two upgrades, and the poll
		select {
		case <-deadline:
			t.Fatal("the poll was not passed on")
		default:
		}
	}
	if err := two.node.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status := <-answer; status != http.StatusBadRequest {
		t.Errorf("the poll was answered %d", status)
	}
	if _, _, err := conn.Read(t.Context()); err == nil {
		t.Error("the relay goes on")
	}
	if status, _, _ := two.do("POST", "&sid="+relayed, "4x"); status != http.StatusBadRequest {
		t.Errorf("a node that has left passes on: %d", status)
	}
	if got := two.node.Stats(); got.Relays != 0 || got.Forwarded["too many"] != 1 {
		t.Errorf("counted %+v", got)
	}
}

// A node that leaves, and one whose peer is lost, ends an answer that it passes on to a client that does not read.
func TestUnreadAnswersEndWithTheFlight(t *testing.T) {
	t.Parallel()
	const size = 16 << 20 // more than the kernel takes
	redis := testredis.Start(t).URL()
	one := join(t, redis, cluster.Options{}, engineio.Options{MaxPayload: 2 * size})
	two := join(t, redis, cluster.Options{WriteTimeout: time.Hour}, engineio.Options{})
	sid := one.open()
	if status, _, _ := one.do("POST", "&sid="+sid, "4"+strings.Repeat("x", size)); status != http.StatusOK {
		t.Fatalf("the message was answered %d", status)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, two.http.URL+"/engine.io/?EIO=4&transport=polling&sid="+sid, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil {
			err = conn.(*net.TCPConn).SetReadBuffer(4096)
		}
		return conn, err
	}}
	defer client.CloseIdleConnections()
	res, err := client.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	if err := two.node.Close(ctx); err != nil {
		t.Error(err)
	}
}

// Every node knows all that are there, what they have to do, which of them leave, and within three heartbeats that one has
// died; when it is heard of again it is one of them.
func TestNodes(t *testing.T) {
	t.Parallel()
	inMemory := adaptertest.NewCluster()
	clients := 0
	nodes := make([]*cluster.Node, 3)
	for i := range nodes {
		opts := cluster.Options{Driver: inMemory.NewDriver(), Name: fmt.Sprint("n", i), Version: "1.2", Heartbeat: 20 * time.Millisecond}
		if i == 0 {
			opts.Load, opts.Advertise = func() cluster.Load { return cluster.Load{Clients: clients} }, "10.0.0.7:80"
			clients = 7
		}
		n, err := cluster.Join(opts)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := n.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		nodes[i] = n
	}
	names := func(n *cluster.Node) (names string) {
		for _, info := range n.Nodes() {
			names += info.Name
			if info.Draining {
				names += "!"
			}
		}
		return names
	}
	until := func(n *cluster.Node, want string) {
		t.Helper()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for deadline := time.After(wait); names(n) != want; {
			select {
			case <-deadline:
				t.Fatalf("%s knows %q, want %q", n.Self().Name, names(n), want)
			case <-tick.C:
			}
		}
	}
	for _, n := range nodes {
		until(n, "n0n1n2")
	}
	first := nodes[2].Nodes()[0]
	if first.ID != nodes[0].ID() || first.Address != "10.0.0.7:80" || first.Version != "1.2" || first.Load.Clients != 7 || first.Started.IsZero() {
		t.Errorf("told %+v", first)
	}
	nodes[0].Drain()
	until(nodes[1], "n0!n1n2")
	if err := nodes[0].Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(nodes[2], "n1n2")
	// A stranger that tells of itself once and is not heard of again.
	tell(t, inMemory.NewDriver(), fmt.Sprintf(`{"id":"brief","name":"x","key":"%s=","kind":"beat","started":"2999-01-01T00:00:00Z"}`, strings.Repeat("A", 43)))
	until(nodes[1], "n1n2x")
	until(nodes[1], "n1n2")
	if _, err := cluster.Join(cluster.Options{}); err == nil {
		t.Error("a node without a driver")
	}
}
