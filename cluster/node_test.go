package cluster_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/cluster"
	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/internal/testredis"
)

const wait = 10 * time.Second

// echo sends every message back.
type echo struct{ s *engineio.Session }

func (e echo) Message(m engineio.Message) {
	_ = e.s.Send(engineio.Prepare(engineio.Message{Data: append([]byte(nil), m.Data...), Binary: m.Binary}), 0)
}
func (echo) Close(engineio.Reason, error) {}

// member is a node with an Engine.IO server.
type member struct {
	t      testing.TB
	node   *cluster.Node
	driver adapter.Driver
	engine *engineio.Server
	http   *httptest.Server
	remote chan string // RemoteAddr of what peers have passed on, as the server sees it
	// before may look at a request, and answer it.
	before func(w http.ResponseWriter, r *http.Request) bool
}

func newDriver(t testing.TB, redis string) adapter.Driver {
	t.Helper()
	d, err := redispubsub.New(redispubsub.Options{URL: redis})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return d
}

func join(t testing.TB, redis string, opts cluster.Options, engine engineio.Options) *member {
	t.Helper()
	m := &member{t: t, remote: make(chan string, 100)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.driver = newDriver(t, redis)
	opts.Driver = m.driver
	opts.Heartbeat = cmp.Or(opts.Heartbeat, 100*time.Millisecond)
	if opts.Advertise == "" {
		opts.Advertise = l.Addr().String()
	}
	if m.node, err = cluster.Join(opts); err != nil {
		t.Fatal(err)
	}
	engine.GenerateID, engine.Elsewhere = m.node.SessionID, m.node.Forward
	m.engine = engineio.NewServer(engineio.HandlerFunc(func(s *engineio.Session) engineio.Receiver { return echo{s} }), &engine)
	inner := m.node.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("sid") != "" {
			select {
			case m.remote <- r.RemoteAddr:
			default:
			}
		}
		m.engine.ServeHTTP(w, r)
	}))
	m.http = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m.before == nil || !m.before(w, r) {
			inner.ServeHTTP(w, r)
		}
	}))
	_ = m.http.Listener.Close()
	m.http.Listener = l
	m.http.Start()
	t.Cleanup(m.leave)
	return m
}

func (m *member) leave() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(m.t.Context()), wait)
	defer cancel()
	now, cancelNow := context.WithCancel(ctx)
	cancelNow()
	_ = m.engine.Shutdown(now) // most tests leave sessions behind, for whose clients it would wait
	if err := m.node.Close(ctx); err != nil {
		m.t.Error(err)
	}
	m.http.CloseClientConnections()
	m.http.Close()
}

// do makes a request and returns the answer.
func (m *member) do(method, query, body string, header ...string) (status int, text string, h http.Header) {
	m.t.Helper()
	r, err := http.NewRequestWithContext(m.t.Context(), method, m.http.URL+"/engine.io/?EIO=4&transport=polling"+query, strings.NewReader(body))
	if err != nil {
		m.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		m.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	return res.StatusCode, string(b), res.Header
}

// open opens a session and returns its id.
func (m *member) open() string {
	m.t.Helper()
	_, text, _ := m.do("GET", "", "")
	_, rest, ok := strings.Cut(text, `"sid":"`)
	sid, _, _ := strings.Cut(rest, `"`)
	if !ok || len(sid) != 20 || !strings.HasPrefix(sid, m.node.ID()) {
		m.t.Fatalf("a session of node %s opened as %s", m.node.ID(), text)
	}
	return sid
}

const unknownSession = `{"code":1,"message":"Session ID unknown"}`

// Any node answers polls and POSTs of any session, from the first moment on, and the owner sees the client's address.
func TestPollingOnAnyNode(t *testing.T) {
	t.Parallel()
	redis := testredis.Start(t).URL()
	cors := &engineio.CORS{AllowOrigins: []string{"https://page.test"}}
	opts := engineio.Options{CORS: cors, JSONP: true}
	one, two := join(t, redis, cluster.Options{}, opts), join(t, redis, cluster.Options{}, opts)
	for _, pair := range [][2]*member{{one, two}, {two, one}} {
		owner, other := pair[0], pair[1]
		sid := owner.open()
		long := strings.Repeat("x", 100_000)
		if status, text, _ := other.do("POST", "&sid="+sid, "4"+long, "Origin", "https://page.test"); status != 200 || text != "ok" {
			t.Fatalf("a POST to another node was answered %d %s", status, text)
		}
		if got := <-owner.remote; !strings.HasPrefix(got, "127.0.0.1:") || got == owner.http.Listener.Addr().String() {
			t.Errorf("the client is %s to the owner", got)
		}
		status, text, h := other.do("GET", "&sid="+sid, "", "Origin", "https://page.test")
		if status != 200 || text != "4"+long {
			t.Fatalf("a poll of another node was answered %d with %d bytes", status, len(text))
		}
		if got := h.Values("Access-Control-Allow-Origin"); len(got) != 1 || got[0] != "https://page.test" {
			t.Errorf("Access-Control-Allow-Origin: %q", got)
		}
		if h.Get("Peal-Node") != "" {
			t.Error("the client is told of the node")
		}
		// A page that may not come in is refused by whoever is asked.
		if status, _, _ := other.do("POST", "&sid="+sid, "4x", "Origin", "https://evil.test"); status != 403 {
			t.Errorf("a page of elsewhere was answered %d", status)
		}
		// A poll waits, and what comes meanwhile answers it.
		answer := make(chan string, 1)
		go func() {
			_, text, _ := other.do("GET", "&sid="+sid, "")
			answer <- text
		}()
		owner.do("POST", "&sid="+sid, "4later")
		if got := <-answer; got != "4later" {
			t.Errorf("a poll that waited was answered %q", got)
		}
		if got := other.node.Stats(); got.Forwarded["answered"] != 3 || got.Peers != 1 {
			t.Errorf("counted %+v", got)
		}
	}
	// JSONP: a form, and a script.
	_, text, _ := one.do("GET", "&j=0", "")
	_, rest, _ := strings.Cut(text, `\"sid\":\"`)
	sid := rest[:20]
	if status, text, _ := two.do("POST", "&j=0&sid="+sid, url.Values{"d": {"4hi"}}.Encode(), "Content-Type", "application/x-www-form-urlencoded"); status != 200 || text != "ok" {
		t.Errorf("a JSONP POST was answered %d %s", status, text)
	}
	if _, text, h := two.do("GET", "&j=1&sid="+sid, ""); text != `___eio[1]("4hi");` || !strings.HasPrefix(h.Get("Content-Type"), "text/javascript") {
		t.Errorf("a JSONP poll was answered %s, %s", text, h)
	}
}

// A WebSocket to the wrong node is relayed.
func TestUpgradeOnAnyNode(t *testing.T) {
	t.Parallel()
	redis := testredis.Start(t).URL()
	one, two := join(t, redis, cluster.Options{}, engineio.Options{}), join(t, redis, cluster.Options{}, engineio.Options{})
	sid := one.open()
	conn, res, err := websocket.Dial(t.Context(), two.http.URL+"/engine.io/?EIO=4&transport=websocket&sid="+sid,
		&websocket.DialOptions{HTTPHeader: http.Header{"Origin": {two.http.URL}}})
	if err != nil {
		t.Fatal(err, res)
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(-1)
	say := func(text string) {
		t.Helper()
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	hear := func(want string) {
		t.Helper()
		if _, got, err := conn.Read(t.Context()); err != nil || string(got) != want {
			t.Fatalf("heard %d bytes, want %d: %v", len(got), len(want), err)
		}
	}
	say("2probe")
	hear("3probe")
	say("5")
	for i := range 1000 {
		say(fmt.Sprint("4", i))
	}
	for i := range 1000 {
		hear(fmt.Sprint("4", i))
	}
	big := "4" + strings.Repeat("y", 900_000)
	say(big)
	hear(big)
	if got := two.node.Stats(); got.Relays != 1 || got.Forwarded["relayed"] != 1 {
		t.Errorf("counted %+v", got)
	}
	if got := one.engine.Stats().Upgrades; got != 1 {
		t.Errorf("%d upgrades", got)
	}
	say("1") // a client's close ends the session, and its WebSocket
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) == -1 {
		t.Errorf("the session ended as %v", err)
	}
}

// A session that is nowhere is unknown at once: of no node, of one that has never been, of one that is dead, of one whose
// address is somebody else's.
func TestUnknownSessions(t *testing.T) {
	t.Parallel()
	redis := testredis.Start(t).URL()
	one, two, three := join(t, redis, cluster.Options{}, engineio.Options{}), join(t, redis, cluster.Options{}, engineio.Options{}), join(t, redis, cluster.Options{}, engineio.Options{})
	dead, taken := two.open(), three.open()
	for _, sid := range []string{dead, taken} { // known to one
		if status, _, _ := one.do("POST", "&sid="+sid, "4x"); status != 200 {
			t.Fatalf("answered %d", status)
		}
	}
	two.http.CloseClientConnections()
	_ = two.http.Listener.Close() // it is as dead as to others a killed process is
	three.before = func(w http.ResponseWriter, r *http.Request) bool {
		_, _ = io.WriteString(w, "4what another server says")
		return true
	}
	// A connection from before is left to the dead node until a request has found it broken, which is no refusal yet.
	for deadline := time.Now().Add(wait); one.node.Stats().Forwarded["refused"] == 0; {
		one.do("POST", "&sid="+dead, "4x")
		if time.Now().After(deadline) {
			t.Fatal("a dead node refuses nobody")
		}
	}
	before := one.node.Stats().Forwarded
	for name, sid := range map[string]string{"of no node": "short", "own": one.node.ID() + "aaaaaaaaaaaaaaa", "of a node that never was": "zzzzzzzzzzzzzzzzzzzz",
		"of a dead node": dead, "of an address that was taken": taken} {
		for method, body := range map[string]string{"GET": "", "POST": "4x"} {
			began := time.Now()
			if status, text, _ := one.do(method, "&sid="+sid, body); status != 400 || text != unknownSession {
				t.Errorf("%s: %s was answered %d %s", name, method, status, text)
			}
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("%s: that took %v", name, took)
			}
		}
		_, res, err := websocket.Dial(t.Context(), one.http.URL+"/engine.io/?EIO=4&transport=websocket&sid="+sid, nil)
		if err == nil || res == nil || res.StatusCode != 400 {
			t.Errorf("%s: an upgrade was answered %v, %v", name, res, err)
		}
	}
	got := one.node.Stats().Forwarded
	if got["refused"]-before["refused"] != 3 || got["failed"]-before["failed"] != 3 || got["unknown"]-before["unknown"] != 3 {
		t.Errorf("counted %v", got)
	}
}

// Only who knows the key of a node can pass something on to it. What was passed on is not passed on again.
func TestForgedForwards(t *testing.T) {
	t.Parallel()
	redis := testredis.Start(t).URL()
	one, two := join(t, redis, cluster.Options{}, engineio.Options{}), join(t, redis, cluster.Options{}, engineio.Options{})
	sid := one.open()
	var genuine string
	one.before = func(_ http.ResponseWriter, r *http.Request) bool {
		if h := r.Header.Get("Peal-Forwarded"); h != "" {
			genuine = h
		}
		return false
	}
	if status, _, _ := two.do("POST", "&sid="+sid, "4x"); status != 200 {
		t.Fatalf("answered %d", status)
	}
	signature, remote, _ := strings.Cut(genuine, " ")
	for name, forged := range map[string]string{"nothing": "", "no signature": "10.1.2.3:4", "of another address": signature + " 10.1.2.3:4", "empty": " " + remote} {
		if status, text, _ := one.do("POST", "&sid="+sid, "4x", "Peal-Forwarded", forged); status != 403 {
			t.Errorf("%s: answered %d %s", name, status, text)
		}
	}
	if status, _, _ := one.do("POST", "&sid="+one.open(), "4x", "Peal-Forwarded", genuine); status != 403 {
		t.Errorf("the signature of another request was answered %d", status)
	}
	if got := one.node.Stats(); got.Forged != 5 || got.Received != 1 {
		t.Errorf("counted %+v", got)
	}
	// A node that believes to be passed a session of its own, and is not its owner, does not look for another.
	one.before = func(_ http.ResponseWriter, r *http.Request) bool {
		r.URL.RawQuery = strings.Replace(r.URL.RawQuery, sid, two.open(), 1)
		return false
	}
	if status, text, _ := two.do("POST", "&sid="+sid, "4x"); status != 400 || text != unknownSession {
		t.Errorf("a request that was passed on twice: %d %s", status, text)
	}
}
