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

// awaitKept returns when what clients have done so far is known beyond their node.
func awaitKept(t *testing.T, nodes ...*program) {
	t.Helper()
	for _, n := range nodes {
		for deadline := time.Now().Add(patience); n.usage(t)["peal_socketio_sessions_waiting"] > 0; {
			if time.Now().After(deadline) {
				t.Fatalf("sessions wait at %s", n.addr)
			}
		}
	}
}

// A node is killed in the middle of its work. Its official clients, on both transports and idle ones among them, come back to
// the others: all are recovered, and by their own count nothing is lost, comes twice, or out of order. An event stream goes on
// too.
func TestClientsSurviveTheirNode(t *testing.T) {
	t.Parallel()
	const each = 20
	nodes, url := startSharing(t)
	crowd, idle := startPeer(t, "crowd.mjs"), startPeer(t, "crowd.mjs")
	streams := startPeer(t, "client.mjs")
	for _, transport := range []string{"websocket", "polling"} {
		who := params{"url": url, "count": each, "transports": []string{transport}, "reconnectionDelay": 100, "room": "crowd"}
		crowd.do("join", who, nil)
		who["room"] = "idle" // they have no offset but the first
		idle.do("join", who, nil)
	}
	streams.do("open", params{"client": "s", "url": url + "/v1/events?room=crowd", "events": []string{"n", "peal:reset"}}, nil)
	sent := 0
	publish := func(alive []*program, n int) {
		t.Helper()
		for range n {
			post(t, alive[sent%len(alive)].url()+"/v1/publish", fmt.Sprintf(`{"rooms":["crowd"],"event":"n","args":[%d,"some text"]}`, sent))
			sent++
		}
	}
	publish(nodes, 50)
	awaitKept(t, nodes...)
	victims := int(nodes[0].usage(t)["peal_socketio_sockets"])
	nodes[0].kill(t)
	alive := nodes[1:]
	publish(alive, 100)
	post(t, alive[0].url()+"/v1/publish", `{"rooms":["idle"],"event":"n","args":[0,"some text"]}`)
	type tally struct{ Clients, Behind, Lost, Twice, Reconnects, Recovered int }
	var busy, quiet tally
	for deadline := time.Now().Add(patience); busy.Reconnects+quiet.Reconnects < victims; {
		publish(alive, 1)
		crowd.do("tally", params{"last": sent - 1, "ms": 1000}, &busy)
		idle.do("tally", params{"last": 0, "ms": 1000}, &quiet)
		if time.Now().After(deadline) {
			break
		}
	}
	publish(alive, 50)
	crowd.do("tally", params{"last": sent - 1, "ms": patience.Milliseconds()}, &busy)
	idle.do("tally", params{"last": 0, "ms": patience.Milliseconds()}, &quiet)
	t.Logf("%d messages; %d clients of the node that was killed; busy: %+v, idle: %+v", sent, victims, busy, quiet)
	for _, got := range []tally{busy, quiet} {
		if got.Lost != 0 || got.Twice != 0 || got.Behind != 0 {
			t.Errorf("%d lost, %d twice, %d clients without the last", got.Lost, got.Twice, got.Behind)
		}
		if got.Reconnects == 0 || got.Recovered != got.Reconnects {
			t.Errorf("%d came back, %d were recovered", got.Reconnects, got.Recovered)
		}
	}
	// Those that poll by way of the node come back too, from a node that has not found out yet.
	if back := busy.Reconnects + quiet.Reconnects; back < victims {
		t.Errorf("%d clients came back, %d were at the node", back, victims)
	}
	for i, r := range streams.awaitEvents("s", "n", sent) {
		if want := fmt.Sprintf(`[%d,"some text"]`, i); r.Data != want {
			t.Fatalf("event %d of the stream has the data %s", i, r.Data)
		}
	}
	if resets := streams.events("s", "peal:reset"); len(resets) > 0 {
		t.Errorf("the stream was told %d times that something is missing", len(resets))
	}
}

// The client of a Peal node that was killed, idle but for its first offset, goes on at a Node.js node, whose streams adapter finds
// what the Peal node has kept, and then at a Peal node again.
func TestClientsSurviveAtNodes(t *testing.T) {
	t.Parallel()
	w := wire.ByName("redisstreams")
	broker := w.Start(t)
	first := startGoPeer(t, w.Name, broker.URL(), "recovery")
	second := startPeer(t, "node-server.mjs", w.Name, broker.URL(), "recovery")
	const namespace = "/travel"
	clients := startPeer(t, "client.mjs")
	for _, n := range []*peer{first, second} {
		n.do("open", params{"namespace": namespace}, nil)
	}
	clients.do("connect", params{"client": "watcher", "url": second.url + namespace}, nil)
	clients.do("ask", params{"client": "watcher", "event": "join", "args": []any{"room"}}, nil)
	emit := func(n int) {
		t.Helper()
		second.do("emit", params{"namespace": namespace, "rooms": []string{"room"}, "event": "n", "args": []any{n, bin([]byte{1, 2})}}, nil)
		clients.awaitEvents("watcher", "n", n+1)
	}
	emit(0) // before its time
	var was, back struct {
		ID        string
		Recovered bool
	}
	clients.do("connect", params{"client": "c", "url": first.url + namespace, "options": params{"transports": []string{"websocket"}, "reconnection": false}}, &was)
	var state struct{ PID string }
	clients.do("state", params{"client": "c"}, &state)
	redis := broker.(*testredis.Server)
	kept := func() string { return strings.TrimSpace(redis.Do("GET", "sio:session:"+state.PID)) }
	for deadline := time.Now().Add(patience); kept() == ""; { // no event tells
		if time.Now().After(deadline) {
			t.Fatal("a client is not kept")
		}
	}
	before := kept()
	clients.do("ask", params{"client": "c", "event": "join", "args": []any{"room"}}, nil)
	for deadline := time.Now().Add(patience); ; { // no event tells that its room is known
		if now := kept(); now != "" && now != before {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the room of a client is not kept")
		}
	}
	first.kill()
	clients.awaitState("c", "disconnect", 1)
	emit(1)
	emit(2)
	clients.do("move", params{"client": "c", "url": second.url + namespace}, &back)
	if !back.Recovered || back.ID != was.ID {
		t.Fatalf("recovered: %v, as %s, was %s", back.Recovered, back.ID, was.ID)
	}
	emit(3)
	for i, r := range clients.awaitEvents("c", "n", 3) {
		var args []json.RawMessage
		if json.Unmarshal(r.Args, &args) != nil || string(args[0]) != fmt.Sprint(i+1) {
			t.Fatalf("event %d has the arguments %s", i, r.Args)
		}
	}
	var answer [1][]string
	clients.do("ask", params{"client": "c", "event": "rooms"}, &answer)
	if rooms := answer[0]; len(rooms) != 2 || !slices.Contains(rooms, "room") {
		t.Fatalf("it is in %q", rooms)
	}
	var sockets []found
	second.do("fetchSockets", params{"namespace": namespace, "rooms": []string{was.ID}}, &sockets)
	if len(sockets) != 1 {
		t.Fatalf("%d sockets have its id", len(sockets))
	}
	requireJSON(t, "its data", sockets[0].Data, params{"made": "by go", "number": 7})
}
