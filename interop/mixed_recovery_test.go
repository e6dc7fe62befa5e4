//go:build unix

package interop_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/internal/testredis"
	"github.com/peal-dev/peal/interop/wire"
)

// logs are the wires of which the broker keeps what nodes broadcast, with how a test finds the session that a node has kept under a pid: "" if there is none.
var logs = map[string]func(b wire.Broker, pid string) (session string){
	"redisstreams": func(b wire.Broker, pid string) string {
		return strings.TrimSpace(b.(*testredis.Server).Do("GET", "sio:session:"+pid))
	},
}

// TestMixedRecovery has an official client lose its connection and come back to another node, of either kind: it has the
// same id, rooms and values, and gets what it missed, once and in order.
func TestMixedRecovery(t *testing.T) {
	for name, session := range logs {
		w := wire.ByName(name)
		t.Run(name, func(t *testing.T) {
			for _, kinds := range [][2]string{{goKind, goKind}, {goKind, nodeKind}, {nodeKind, nodeKind}} {
				t.Run(kinds[0]+"+"+kinds[1], func(t *testing.T) {
					t.Parallel()
					travel(t, w, session, kinds)
				})
			}
		})
	}
}

func travel(t *testing.T, w *wire.Wire, session func(b wire.Broker, pid string) string, kinds [2]string) {
	broker := w.Start(t)
	var nodes [2]*peer
	for i, kind := range kinds {
		if kind == goKind {
			nodes[i] = startGoPeer(t, w.Name, broker.URL(), "recovery")
		} else {
			nodes[i] = startPeer(t, "node-server.mjs", w.Name, broker.URL(), "recovery")
		}
	}
	const namespace = "/travel"
	clients := startPeer(t, "client.mjs")
	options := params{"transports": []string{"websocket"}, "reconnection": false}
	for i, node := range nodes {
		node.do("open", params{"namespace": namespace}, nil)
		watcher := fmt.Sprint("watcher ", i)
		clients.do("connect", params{"client": watcher, "url": node.url + namespace, "options": options}, nil)
		clients.do("ask", params{"client": watcher, "event": "join", "args": []any{"room"}}, nil)
	}
	sent := [2]int{}
	// publish sends one from each node, and returns when all watchers have them.
	publish := func() {
		t.Helper()
		for i, node := range nodes {
			node.do("emit", params{"namespace": namespace, "rooms": []string{"room"}, "event": fmt.Sprint("from ", i), "args": []any{sent[i], bin([]byte{1, 2})}}, nil)
			node.do("emit", params{"namespace": namespace, "rooms": []string{"elsewhere"}, "event": fmt.Sprint("from ", i), "args": []any{-1}}, nil)
			sent[i]++
		}
		for w := range nodes {
			for i := range nodes {
				clients.awaitEvents(fmt.Sprint("watcher ", w), fmt.Sprint("from ", i), sent[i])
			}
		}
	}
	var first struct{ ID string }
	clients.do("connect", params{"client": "c", "url": nodes[0].url + namespace, "options": options}, &first)
	clients.do("ask", params{"client": "c", "event": "join", "args": []any{"room"}}, nil)
	publish()
	for i := range nodes { // it has an offset that is the last
		clients.awaitEvents("c", fmt.Sprint("from ", i), 1)
	}
	at := 0
	for range 4 {
		from, to := at, 1-at
		var state struct{ PID string }
		clients.do("state", params{"client": "c"}, &state)
		before := session(broker, state.PID) // a Peal node has kept it since the client came
		clients.do("drop", params{"client": "c"}, nil)
		for deadline := time.Now().Add(patience); ; { // no event tells
			if now := session(broker, state.PID); now != "" && now != before {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("the %s node keeps no session", nodes[from].kind)
			}
		}
		publish()
		publish()
		nodes[from].do("emit", params{"namespace": namespace, "rooms": []string{first.ID}, "event": "alone", "args": []any{from}}, nil)
		publish()
		var back struct {
			ID        string
			Recovered bool
		}
		clients.do("move", params{"client": "c", "url": nodes[to].url + namespace}, &back)
		if !back.Recovered || back.ID != first.ID {
			t.Fatalf("from %s to %s: recovered: %v, as %s, was %s", nodes[from].kind, nodes[to].kind, back.Recovered, back.ID, first.ID)
		}
		at = to
		publish()
		for i := range nodes {
			got := clients.awaitEvents("c", fmt.Sprint("from ", i), sent[i])
			if len(got) != sent[i] {
				t.Fatalf("%d events from node %d, of which %d were sent", len(got), i, sent[i])
			}
			for n, r := range got {
				var args []json.RawMessage
				if json.Unmarshal(r.Args, &args) != nil || len(args) < 2 || string(args[0]) != fmt.Sprint(n) {
					t.Fatalf("event %d from node %d has the arguments %s", n, i, r.Args)
				}
			}
		}
		var answer [1][]string
		clients.do("ask", params{"client": "c", "event": "rooms"}, &answer)
		if rooms := answer[0]; len(rooms) != 2 || !slices.Contains(rooms, "room") || !slices.Contains(rooms, first.ID) {
			t.Fatalf("at the %s node it is in %q", nodes[to].kind, rooms)
		}
		var found []found
		nodes[to].do("fetchSockets", params{"namespace": namespace, "rooms": []string{first.ID}}, &found)
		if len(found) != 1 {
			t.Fatalf("%d sockets have its id", len(found))
		}
		requireJSON(t, "its data at the "+nodes[to].kind+" node", found[0].Data, params{"made": "by " + nodes[0].kind, "number": 7})
	}
	if got := clients.events("c", "alone"); len(got) != 4 {
		t.Errorf("%d events of 4 that were for it alone", len(got))
	}
}
