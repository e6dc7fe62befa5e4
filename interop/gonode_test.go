package interop_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"testing"

	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/internal/testredis"
	"github.com/peal-dev/peal/socketio"
)

// goNode is a Socket.IO server on the public API, in the test's process, with the same events as node/node-server.mjs.
type goNode struct {
	*socketio.Server
	url string
}

func startGoNode(t *testing.T, redisURL string) *goNode {
	t.Helper()
	driver, err := redispubsub.New(redispubsub.Options{URL: redisURL})
	if err != nil {
		t.Fatal(err)
	}
	server := socketio.NewServer(&socketio.Options{Driver: driver})
	for _, name := range []string{"/", "/custom"} {
		register(server.Of(name))
		if err := server.Of(name).Adapter().Ping(t.Context()); err != nil {
			t.Fatalf("joining the cluster in %s: %v", name, err)
		}
	}
	web := httptest.NewServer(server)
	t.Cleanup(func() {
		// The test's own context is over by now.
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Errorf("shutting the Go node down: %v", err)
		}
		web.Close()
		if err := driver.Close(ctx); err != nil {
			t.Errorf("closing the Redis driver: %v", err)
		}
	})
	return &goNode{Server: server, url: web.URL}
}

func register(ns *socketio.Namespace) {
	ns.On("join", func(ctx context.Context, s *socketio.Socket, room string) error { return s.Join(ctx, room) })
	ns.On("leave", func(s *socketio.Socket, room string) error { return s.Leave(s.Context(), room) })
	ns.On("rooms", func(s *socketio.Socket) []string { return s.Rooms() })
	ns.On("say", func(ctx context.Context, s *socketio.Socket, room, event string, args ...any) error {
		return s.To(room).Emit(ctx, event, args...)
	})
}

// mixed is a cluster of one Go and one Node.js node on one Redis, with two clients on each: g1, g2 and n1, n2.
type mixed struct {
	t       *testing.T
	redis   *testredis.Server
	golang  *goNode
	node    *peer
	clients *peer
	ids     map[string]string // socket id by client
	fences  int
}

var everyone = []string{"g1", "g2", "n1", "n2"}

func startMixed(t *testing.T) *mixed {
	t.Helper()
	redis := testredis.Start(t)
	m := &mixed{t: t, redis: redis, ids: map[string]string{}}
	m.node = startPeer(t, "node-server.mjs", redis.URL())
	m.golang = startGoNode(t, redis.URL())
	m.clients = startPeer(t, "client.mjs")
	for _, name := range everyone {
		m.connect(name, "")
	}
	return m
}

// connect connects a client to the node its name begins with.
func (m *mixed) connect(name, namespace string) {
	m.t.Helper()
	url := m.golang.url
	if name[0] == 'n' {
		url = m.node.url
	}
	var state struct{ ID string }
	m.clients.do("connect", params{
		"client": name, "url": url + namespace,
		"options": params{"transports": []string{"websocket"}, "reconnection": false},
	}, &state)
	m.ids[name] = state.ID
}

func (m *mixed) join(room string, names ...string) {
	m.t.Helper()
	for _, name := range names {
		m.clients.do("ask", params{"client": name, "event": "join", "args": []any{room}}, nil)
	}
}

// publisher emits an event to everybody but some; there is one for each kind of node.
type publisher struct {
	name string
	emit func(event string, to to, args ...any)
}

// to says who receives: the zero value is everyone.
type to struct {
	rooms, except []string
	volatile      bool
	namespace     string
}

func (m *mixed) publishers() []publisher {
	return []publisher{
		{"from Go", func(event string, to to, args ...any) { m.emitFromGo(m.t, event, to, args...) }},
		{"from Node", func(event string, to to, args ...any) { m.node.do("emit", to.params(event, args), nil) }},
	}
}

func (to to) params(event string, args []any) params {
	p := params{"event": event, "args": args, "volatile": to.volatile}
	if to.namespace != "" {
		p["namespace"] = to.namespace
	}
	if len(to.rooms) > 0 {
		p["rooms"] = to.rooms
	}
	if len(to.except) > 0 {
		p["except"] = to.except
	}
	return p
}

// emitFromGo emits the arguments as a Go program would hold them: {"$bin"} becomes []byte.
func (m *mixed) emitFromGo(t *testing.T, event string, to to, args ...any) {
	t.Helper()
	name := to.namespace
	if name == "" {
		name = "/"
	}
	target := m.golang.Of(name).To(to.rooms...).Except(to.except...)
	if to.volatile {
		target = target.Volatile()
	}
	if err := target.Emit(t.Context(), event, natives(args)...); err != nil {
		t.Fatalf("emitting %s from Go: %v", event, err)
	}
}

// natives replaces every {"$bin"} within the values by the bytes it stands for.
func natives(values []any) []any {
	out := make([]any, len(values))
	for i, value := range values {
		out[i] = native(value)
	}
	return out
}

func native(value any) any {
	switch v := value.(type) {
	case []any:
		return natives(v)
	case params:
		if text, ok := v["$bin"].(string); ok {
			return unbin(text)
		}
		out := map[string]any{}
		for key, member := range v {
			out[key] = native(member)
		}
		return out
	default:
		return value
	}
}

// requireReceived emits a fence behind what was emitted before, from the same node, waits until it is everywhere, and
// then requires exactly the named clients to have received the event, once.
func (m *mixed) requireReceived(from publisher, event string, receivers ...string) {
	m.t.Helper()
	m.fence(from)
	want := map[string]int{}
	for _, name := range receivers {
		want[name] = 1
	}
	for _, name := range everyone {
		if got := len(m.clients.events(name, event)); got != want[name] {
			m.t.Errorf("%s received %q %d times, want %d", name, event, got, want[name])
		}
	}
}

// fence returns when everything the publisher emitted before has arrived at every client that is to receive it.
func (m *mixed) fence(from publisher) {
	m.t.Helper()
	m.fences++
	from.emit("fence", to{}, m.fences)
	for _, name := range everyone {
		m.clients.await(1, "fence at "+name, func(r report) bool {
			var args []int
			return r.Client == name && r.Event == "fence" && json.Unmarshal(r.Args, &args) == nil && args[0] == m.fences
		})
	}
}
