package interop_test

import (
	"slices"
	"testing"
)

// A Node.js server joins two nodes of `peal serve` as the third: its broadcasts reach their sockets and event streams,
// theirs reach its sockets, and its orders are carried out.
func TestPealWithNodeAsThirdNode(t *testing.T) {
	t.Parallel()
	d := startDuo(t, nil, "to all", "to red", "to blue", "to grown", "published", "bytes")
	node := startPeer(t, "node-server.mjs", "redispubsub", d.redis.URL())
	order := func(op string, with params) {
		t.Helper()
		with["namespace"] = "/"
		node.do(op, with, nil)
	}
	order("open", params{})
	d.clients.do("connect", params{"client": "n", "url": node.url}, nil)
	d.clients.do("ask", params{"client": "n", "event": "join", "args": []any{"red"}}, nil)

	require := func(event string, want any, receivers ...string) {
		t.Helper()
		for _, name := range receivers {
			for _, r := range arguments(d.await(name, event, 1)) {
				requireJSON(t, event+" at "+name, r.Args, want)
			}
		}
	}
	order("emit", params{"event": "to all", "args": varied()})
	require("to all", varied(), slices.Concat(duoReceivers, []string{"n"})...)
	order("emit", params{"event": "to red", "rooms": []string{"red"}, "args": []any{1}})
	require("to red", []any{1}, "s1", "s2", "e1", "e2", "n")
	order("emit", params{"event": "to blue", "rooms": []string{"red", "blue"}, "except": []string{"red"}})
	require("to blue", []any{}, "f2")

	// An event stream has no bytes: it shows them in base64.
	order("emit", params{"event": "bytes", "args": []any{bin([]byte{1, 2, 3}), "x"}})
	require("bytes", []any{bin([]byte{1, 2, 3}), "x"}, "s1", "t2", "n")
	require("bytes", []any{"AQID", "x"}, "e1", "f2")

	for i, source := range d.sources() {
		source.emit("published", to{}, i)
		found := d.clients.awaitEvents("n", "published", i+1)
		requireJSON(t, "published by "+source.name, found[i].Args, []any{i})
	}

	// Streams are members of rooms like sockets are: a node's orders move and end them too.
	order("socketsJoin", params{"rooms": []string{"red"}, "change": []string{"grown"}})
	order("emit", params{"event": "to grown", "rooms": []string{"grown"}})
	require("to grown", []any{}, "s1", "s2", "e1", "e2")
	order("disconnectSockets", params{"rooms": []string{"grown"}, "close": true})
	for _, name := range []string{"s1", "s2"} {
		if reason := d.clients.awaitState(name, "disconnect", 1); reason != "io server disconnect" {
			t.Errorf("%s was told %q", name, reason)
		}
	}
	for _, name := range []string{"e1", "e2"} {
		d.streams.awaitState(name, "open", 2) // EventSource comes back by itself
	}

	d.fence("t1", "t2", "e1", "e2", "f1", "f2")
	d.requireReceived("to all", duoReceivers...)
	d.requireReceived("to red", "s1", "s2", "e1", "e2")
	d.requireReceived("to blue", "f2")
	d.requireReceived("to grown", "s1", "s2", "e1", "e2")
}
