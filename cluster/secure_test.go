package cluster_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/peal-dev/peal/cluster"
	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/internal/testcerts"
	"github.com/peal-dev/peal/internal/testredis"
)

// secured is a node that peers reach by TLS, at an address of their own.
type secured struct {
	*member
	mu      sync.Mutex
	came    chan struct{}       // as each arrives
	passed  map[string]int      // requests of peers, by their protocol
	remotes map[string]struct{} // their connections
}

// joinSecured starts one whose address for peers speaks TLS as server says, and that speaks to others as client says.
func joinSecured(t testing.TB, redis string, server, client *tls.Config, heartbeat time.Duration) *secured {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &secured{came: make(chan struct{}, 1000), passed: make(map[string]int), remotes: make(map[string]struct{})}
	peers := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.passed[r.Proto]++
		s.remotes[r.RemoteAddr] = struct{}{}
		s.mu.Unlock()
		select {
		case s.came <- struct{}{}:
		default: // nobody wants to know of so many
		}
		s.node.PeerHandler(s.engine).ServeHTTP(w, r)
	}))
	_ = peers.Listener.Close()
	peers.Listener, peers.TLS, peers.EnableHTTP2 = l, server, true
	peers.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(t.Output(), nil), slog.LevelInfo)
	opts := cluster.Options{Heartbeat: heartbeat, Advertise: "https://" + l.Addr().String(), TLS: client, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	s.member = join(t, redis, opts, engineio.Options{Logger: opts.Logger})
	peers.StartTLS()
	t.Cleanup(func() { // before the node leaves
		peers.CloseClientConnections()
		peers.Close()
	})
	return s
}

// protocols says by which protocols and how many connections peers have come.
func (s *secured) protocols() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprint(s.passed, len(s.remotes))
}

// connections says how many connections peers have come by.
func (s *secured) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.remotes)
}

// mutual returns what nodes that know each other by an authority speak.
func mutual(ca *testcerts.Authority) (server, client *tls.Config) {
	cert := ca.Issue()
	return &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: ca.Pool(), ClientAuth: tls.RequireAndVerifyClientCert},
		&tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: ca.Pool()}
}

// Nodes that know each other by certificates pass everything on: polls by one connection, WebSockets by one each.
func TestMutualTLS(t *testing.T) {
	t.Parallel()
	redis, ca := testredis.Start(t).URL(), testcerts.New(t)
	server, client := mutual(ca)
	one, two := joinSecured(t, redis, server, client, 0), joinSecured(t, redis, server, client, 0)
	const sessions = 30
	var sids []string
	for range sessions {
		sids = append(sids, one.open())
	}
	long := "4" + strings.Repeat("x", 100_000)
	if status, text, _ := two.do("POST", "&sid="+sids[0], long); status != 200 || text != "ok" {
		t.Fatalf("a POST was answered %d %s", status, text)
	}
	if status, text, _ := two.do("GET", "&sid="+sids[0], ""); status != 200 || text != long {
		t.Fatalf("a poll was answered %d with %d bytes", status, len(text))
	}
	// Polls that wait at the same time.
	var waiting sync.WaitGroup
	for i, sid := range sids {
		waiting.Go(func() {
			if status, text, _ := two.do("GET", "&sid="+sid, ""); status != 200 || text != fmt.Sprint("4", i) {
				t.Errorf("a poll that waited was answered %d %.20s", status, text)
			}
		})
	}
	for i, sid := range sids {
		two.do("POST", "&sid="+sid, fmt.Sprint("4", i))
	}
	waiting.Wait()
	if got, want := one.protocols(), fmt.Sprintf("map[HTTP/2.0:%d] 1", 2*sessions+2); got != want {
		t.Errorf("polls came by %s, want %s", got, want)
	}

	conn, res, err := websocket.Dial(t.Context(), two.http.URL+"/engine.io/?EIO=4&transport=websocket&sid="+sids[0], nil)
	if err != nil {
		t.Fatal(err, res)
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(-1)
	for _, pair := range [][2]string{{"2probe", "3probe"}, {"5", ""}, {long, long}, {"4short", "4short"}} {
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(pair[0])); err != nil {
			t.Fatal(err)
		}
		if pair[1] == "" {
			continue
		}
		if _, got, err := conn.Read(t.Context()); err != nil || string(got) != pair[1] {
			t.Fatalf("heard %d bytes, want %d: %v", len(got), len(pair[1]), err)
		}
	}
	if got, want := one.protocols(), fmt.Sprintf("map[HTTP/1.1:1 HTTP/2.0:%d] 2", 2*sessions+2); got != want {
		t.Errorf("polls and a WebSocket came by %s, want %s", got, want)
	}
	// The end of the session is the end of the WebSocket at the other node.
	if err := conn.Write(t.Context(), websocket.MessageText, []byte("1")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := conn.Read(t.Context()); err == nil {
		t.Error("the WebSocket outlives its session")
	}
	// At the address for peers nobody else is served.
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: client}}
	defer web.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, one.node.Self().Address+"/engine.io/?EIO=4&transport=polling", nil)
	if err != nil {
		t.Fatal(err)
	}
	if res, err = web.Do(req); err != nil || res.StatusCode != http.StatusForbidden {
		t.Errorf("a client at the address of peers: %v, %v", res, err)
	}
	if res != nil {
		_ = res.Body.Close()
	}
	if got := one.node.Stats().Forged; got != 1 {
		t.Errorf("%d forged", got)
	}
}

// Who is not known by the right authority is not spoken to, in either direction, by poll or WebSocket; and a node that
// speaks TLS does not do without because another says so.
func TestStrangersOverTLS(t *testing.T) {
	t.Parallel()
	ca, others := testcerts.New(t), testcerts.New(t)
	server, client := mutual(ca)
	otherServer, otherClient := mutual(others)
	name := server.Clone()
	name.Certificates = []tls.Certificate{ca.Issue("elsewhere.test")}
	for what, c := range map[string]struct {
		server *tls.Config // of the owner; nil: it has no TLS
		client *tls.Config // of the other
		named  string
		ok     bool
	}{
		"known":                     {server: server, client: client, ok: true},
		"one-sided":                 {server: &tls.Config{Certificates: server.Certificates}, client: &tls.Config{RootCAs: ca.Pool()}, ok: true},
		"by a name they share":      {server: name, client: client, named: "elsewhere.test", ok: true},
		"no certificate":            {server: server, client: &tls.Config{RootCAs: ca.Pool()}},
		"of another authority":      {server: server, client: &tls.Config{RootCAs: ca.Pool(), Certificates: otherClient.Certificates}},
		"owner of another":          {server: otherServer, client: client},
		"owner with another's name": {server: name, client: client},
		"no authority":              {server: server, client: nil},
		"owner without TLS":         {server: nil, client: client},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			redis := testredis.Start(t).URL()
			var owner *member
			if c.server == nil {
				owner = join(t, redis, cluster.Options{}, engineio.Options{})
			} else {
				owner = joinSecured(t, redis, c.server.Clone(), client, 0).member
			}
			config := c.client
			if c.named != "" {
				config = config.Clone()
				config.ServerName = c.named
			}
			two := join(t, redis, cluster.Options{TLS: config}, engineio.Options{})
			sid := owner.open()
			want := 200
			if !c.ok {
				want = 400
			}
			if status, text, _ := two.do("POST", "&sid="+sid, "4x"); status != want {
				t.Errorf("a POST was answered %d %s", status, text)
			}
			conn, _, err := websocket.Dial(t.Context(), two.http.URL+"/engine.io/?EIO=4&transport=websocket&sid="+sid, nil)
			if (err == nil) != c.ok {
				t.Errorf("a WebSocket: %v", err)
			}
			if err == nil {
				_ = conn.CloseNow()
			}
			if got := two.node.Stats().Forwarded; got["failed"] != map[bool]uint64{false: 2}[c.ok] {
				t.Errorf("counted %v", got)
			}
		})
	}
}

// A poll over HTTP/2 that is given up leaves its connection to the others.
func TestPollGivenUpOverTLS(t *testing.T) {
	t.Parallel()
	redis := testredis.Start(t).URL()
	server, client := mutual(testcerts.New(t))
	one, two := joinSecured(t, redis, server, client, 0), joinSecured(t, redis, server, client, 0)
	waits, leaves := one.open(), one.open()
	answer := make(chan string, 1)
	go func() {
		_, text, _ := two.do("GET", "&sid="+waits, "")
		answer <- text
	}()
	<-one.came
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, two.http.URL+"/engine.io/?EIO=4&transport=polling&sid="+leaves, nil)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = res.Body.Close()
		}
		done <- err
	}()
	<-one.came
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if status, _, _ := two.do("POST", "&sid="+waits, "4x"); status != 200 {
		t.Errorf("answered %d", status)
	}
	if got := <-answer; got != "4x" {
		t.Errorf("the poll that waited was answered %q", got)
	}
	if got := one.protocols(); got != "map[HTTP/2.0:3] 1" {
		t.Errorf("came by %s", got)
	}
}
