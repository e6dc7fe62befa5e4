//go:build unix

package interop_test

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// stage is what a scenario plays on: two nodes, a namespace of its own, and clients a1 and a2 on the one, b1 and b2 on the
// other.
type stage struct {
	*cast
	title     string
	t         *testing.T
	a, b      *peer
	clients   *peer
	namespace string
	ids       map[string]string // socket id by client
	fences    int
}

var everyone = []string{"a1", "a2", "b1", "b2"}

// stage readies one for a scenario.
func (c *cast) stage(t *testing.T, scene scenario) *stage {
	t.Helper()
	title := scene.name + " " + c.name
	s := &stage{
		cast: c, title: title, t: t, a: (*c.a).in(t), b: (*c.b).in(t), clients: c.pair.clients.in(t),
		namespace: cmp.Or(scene.namespace, "/"+strings.ReplaceAll(title, " ", "-")), ids: map[string]string{},
	}
	s.open(s.namespace)
	for _, client := range everyone {
		s.connect(client, s.namespace)
	}
	return s
}

// open has both nodes join a namespace and waits until each knows of the other.
func (s *stage) open(namespace string) {
	s.t.Helper()
	for _, node := range []*peer{s.a, s.b} {
		node.do("open", params{"namespace": namespace}, nil)
	}
	for _, node := range []*peer{s.a, s.b} {
		s.awaitNodes(node, namespace, 2)
	}
}

// awaitNodes waits until a node knows of so many, with itself. It is asked again and again: no event tells.
func (s *stage) awaitNodes(node *peer, namespace string, want int) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		var count int
		node.do("serverCount", params{"namespace": namespace}, &count)
		if count == want {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s counts %d nodes in %s, want %d", node.kind, count, namespace, want)
		}
	}
}

// name is what a client of this stage is called among all.
func (s *stage) name(client string) string { return client + " in " + s.title }

// connect connects a client to the node its name begins with.
func (s *stage) connect(client, namespace string) {
	s.t.Helper()
	node := s.a
	if client[0] == 'b' {
		node = s.b
	}
	var state struct{ ID string }
	s.clients.do("connect", params{
		"client": s.name(client), "url": node.url + namespace, "msgpack": s.pair.wire.Msgpack && node.kind == nodeKind,
		"options": params{"transports": []string{"websocket"}, "reconnection": false, "auth": params{"name": client}},
	}, &state)
	s.ids[client] = state.ID
}

// ask has a client ask its node, and decodes the arguments of the answer.
func (s *stage) ask(client string, result any, event string, args ...any) {
	s.t.Helper()
	s.clients.do("ask", params{"client": s.name(client), "event": event, "args": append([]any{}, args...)}, result)
}

func (s *stage) join(room string, clients ...string) {
	s.t.Helper()
	for _, client := range clients {
		s.ask(client, nil, "join", room)
	}
}

// to says who is meant: the zero value is everyone.
type to struct {
	rooms, except   []string
	volatile, local bool
	by              string // "emitter", or the node itself
}

// with makes the parameters of a command of it.
func (to to) with(more params) params {
	p := params{}
	maps.Copy(p, more)
	for key, value := range map[string]any{"volatile": to.volatile, "local": to.local, "by": to.by} {
		p[key] = value
	}
	if len(to.rooms) > 0 {
		p["rooms"] = to.rooms
	}
	if len(to.except) > 0 {
		p["except"] = to.except
	}
	return p
}

// do has a node do something in the stage's namespace.
func (s *stage) do(node *peer, op string, with params, result any) {
	s.t.Helper()
	node.do(op, s.here(with), result)
}

// here adds the namespace to parameters that have none.
func (s *stage) here(with params) params {
	p := params{"namespace": s.namespace}
	maps.Copy(p, with)
	return p
}

func (s *stage) emit(from *peer, event string, to to, args ...any) {
	s.t.Helper()
	s.do(from, "emit", to.with(params{"event": event, "args": args}), nil)
}

// events are the events a client has received so far.
func (s *stage) events(client, event string) []report { return s.clients.events(s.name(client), event) }

// awaitEvents waits until a client has received so many.
func (s *stage) awaitEvents(client, event string, count int) []report {
	s.t.Helper()
	return s.clients.awaitEvents(s.name(client), event, count)
}

// requireDisconnected waits until these clients have been told that their server does not want them.
func (s *stage) requireDisconnected(by string, clients ...string) {
	s.t.Helper()
	for _, client := range clients {
		if reason := s.clients.awaitState(s.name(client), "disconnect", 1); reason != "io server disconnect" {
			s.t.Errorf("%s: %s was told %q", by, client, reason)
		}
	}
}

// fence returns when everything the node (or its emitter) sent before has arrived at the clients.
func (s *stage) fence(from *peer, by string, clients ...string) {
	s.t.Helper()
	s.fences++
	s.emit(from, "fence", to{by: by}, s.fences)
	for _, client := range clients {
		s.clients.await(1, "fence at "+client, func(r report) bool {
			var args []int
			return r.Client == s.name(client) && r.Event == "fence" && json.Unmarshal(r.Args, &args) == nil && args[0] == s.fences
		})
	}
}

// requireReceived requires exactly these clients to have received an event, once, when all the node sent has arrived.
func (s *stage) requireReceived(from *peer, by, event string, receivers ...string) {
	s.t.Helper()
	s.fence(from, by, everyone...)
	for _, client := range everyone {
		want := 0
		if slices.Contains(receivers, client) {
			want = 1
		}
		if got := len(s.events(client, event)); got != want {
			s.t.Errorf("%s received %q %d times, want %d", client, event, got, want)
		}
	}
}

// change orders a change of rooms and waits until the node has carried it out itself: some do so when their own order
// comes back to them, and this answer comes behind that.
func (s *stage) change(from *peer, op string, to to, rooms ...string) {
	s.t.Helper()
	s.do(from, op, to.with(params{"change": rooms}), nil)
	s.do(from, "fetchSockets", nil, nil)
}

// found is a socket as a node sees it.
type found struct {
	ID        string
	Rooms     []string
	Handshake struct {
		Headers map[string]any
		Time    string
		Address string
		XDomain *bool
		Secure  *bool
		Issued  int64
		URL     string
		Query   map[string]string
		Auth    json.RawMessage
	}
	Data json.RawMessage
}

// fetch returns the sockets a node finds by the names of their clients.
func (s *stage) fetch(from *peer, to to) map[string]found {
	s.t.Helper()
	var list []found
	s.do(from, "fetchSockets", to.with(nil), &list)
	return s.byClient(list)
}

func (s *stage) byClient(list []found) map[string]found {
	s.t.Helper()
	sockets := map[string]found{}
	for _, socket := range list {
		for client, id := range s.ids {
			if id == socket.ID {
				sockets[client] = socket
			}
		}
	}
	if len(sockets) != len(list) {
		s.t.Errorf("%d sockets, of which %d are of a client: %v", len(list), len(sockets), list)
	}
	return sockets
}

// requireSame fails the test unless got has the elements of want, in any order.
func requireSame(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	got, want = slices.Clone(got), slices.Clone(want)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func keys[V any](m map[string]V) []string { return slices.Collect(maps.Keys(m)) }
