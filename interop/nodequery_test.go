package interop_test

import (
	"encoding/json"
	"slices"
	"testing"
)

// A Node.js node counts every subscriber of its request channel as a node and waits for all their answers. A Go node
// that stayed silent would make each of these calls time out for the whole cluster.
func TestNodeClusterAnswersQueries(t *testing.T) {
	t.Parallel()
	m := startMixed(t)
	m.join("red", "g1", "n1")

	var count int
	m.node.do("serverCount", nil, &count)
	if count != 2 {
		t.Fatalf("Node counts %d nodes, want 2", count)
	}

	var ids []string
	m.node.do("allSockets", params{"rooms": []string{"red"}}, &ids)
	requireSame(t, "allSockets, which the official adapter answers for its own node only", ids, m.ids["n1"])

	var rooms []string
	m.node.do("allRooms", nil, &rooms)
	requireSame(t, "rooms", rooms, "red", m.ids["g1"], m.ids["g2"], m.ids["n1"], m.ids["n2"])

	var sockets []struct {
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
	m.node.do("fetchSockets", params{"rooms": []string{"red"}}, &sockets)
	found := map[string]bool{}
	for _, socket := range sockets {
		found[socket.ID] = true
		if !slices.Contains(socket.Rooms, "red") || !slices.Contains(socket.Rooms, socket.ID) {
			t.Errorf("socket %s is said to be in %q", socket.ID, socket.Rooms)
		}
		h := socket.Handshake
		if h.Headers["host"] == nil || h.Time == "" || h.Address == "" || h.XDomain == nil || h.Secure == nil ||
			h.Issued == 0 || h.URL == "" || h.Query["EIO"] != "4" || h.Query["transport"] != "websocket" || len(h.Auth) == 0 {
			t.Errorf("handshake of %s is incomplete: %+v", socket.ID, h)
		}
	}
	if len(sockets) != 2 || !found[m.ids["g1"]] || !found[m.ids["n1"]] {
		t.Errorf("fetchSockets found %v, want g1 and n1 of %v", found, m.ids)
	}
}

func TestNodeClusterCollectsAcks(t *testing.T) {
	t.Parallel()
	m := startMixed(t)
	m.join("red", "g1", "n1")
	var answers []struct {
		Client string
		Args   json.RawMessage
	}
	m.node.do("broadcastAck", params{"event": "who", "args": []any{bin([]byte{1})}}, &answers)
	var names []string
	for _, answer := range answers {
		names = append(names, answer.Client)
		requireJSON(t, "what was asked", answer.Args, []any{bin([]byte{1})})
	}
	requireSame(t, "who answered Node's question", names, everyone...)

	m.node.do("broadcastAck", params{"event": "who", "rooms": []string{"nobody"}}, &answers)
	if len(answers) != 0 {
		t.Errorf("an empty room answered %v", answers)
	}
}

func TestNodeClusterEmitter(t *testing.T) {
	t.Parallel()
	m := startMixed(t)
	m.join("red", "g1", "n1")
	m.connect("g-custom", "/custom")
	emitter := startPeer(t, "emitter.mjs", m.redis.URL())
	from := publisher{"from the emitter", func(event string, to to, args ...any) {
		m.t.Helper()
		emitter.do("emit", to.params(event, args), nil)
	}}

	args := append(varied(), bin(pattern(1000)))
	from.emit("all", to{}, args...)
	for _, name := range everyone {
		got := m.clients.awaitEvents(name, "all", 1)
		requireJSON(t, "the emitter's event at "+name, got[0].Args, args)
	}
	m.requireReceived(from, "all", everyone...)
	from.emit("red", to{rooms: []string{"red"}})
	m.requireReceived(from, "red", "g1", "n1")
	from.emit("not red", to{except: []string{"red"}})
	m.requireReceived(from, "not red", "g2", "n2")
	from.emit("one", to{rooms: []string{m.ids["g2"]}, volatile: true})
	m.requireReceived(from, "one", "g2")
	from.emit("custom", to{namespace: "/custom"}, "x")
	m.clients.awaitEvents("g-custom", "custom", 1)
	m.requireReceived(from, "custom")

	emitter.do("socketsJoin", params{"rooms": []string{"red"}, "change": []string{"crimson"}}, nil)
	from.emit("crimson", to{rooms: []string{"crimson"}})
	m.requireReceived(from, "crimson", "g1", "n1")
	emitter.do("socketsLeave", params{"except": []string{m.ids["n1"]}, "change": []string{"crimson"}}, nil)
	from.emit("crimson again", to{rooms: []string{"crimson"}})
	m.requireReceived(from, "crimson again", "n1")

	emitter.do("disconnectSockets", params{"rooms": []string{m.ids["g1"]}}, nil)
	if reason := m.clients.awaitState("g1", "disconnect", 1); reason != "io server disconnect" {
		t.Errorf("g1 was told %q", reason)
	}
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
