package interop_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// transports are the ways the official client can be told to connect.
var transports = []struct {
	name    string
	options params
}{
	{"polling", params{"transports": []string{"polling"}}},
	{"websocket", params{"transports": []string{"websocket"}}},
	{"default", params{}},
}

// eachTransport runs test for each of them, with a client "a" already connected to a fresh server.
func eachTransport(t *testing.T, test func(t *testing.T, server *program, clients *peer)) {
	for _, transport := range transports {
		t.Run(transport.name, func(t *testing.T) {
			t.Parallel()
			server := startServer(t)
			clients := startPeer(t, "client.mjs")
			clients.do("connect", params{"client": "a", "url": server.url(), "options": transport.options}, nil)
			test(t, server, clients)
		})
	}
}

// startServer runs interop/server with the events of the sio profile and a heartbeat that a busy machine cannot miss.
func startServer(t *testing.T, args ...string) *program {
	t.Helper()
	args = append([]string{
		"--listen", "127.0.0.1:0", "--profile", "sio", "--ping-interval", "10s", "--ping-timeout", "10s",
	}, args...)
	return start(t, built(t, serverBinary), args...)
}

// varied are arguments of every kind JSON and Socket.IO know, nested.
func varied() []any {
	return []any{
		1.0, -2.5, "two", "žluťoučký 🐎 \u2028 \x00 \"quoted\" <&>", true, nil, []any{}, params{},
		params{"nested": []any{params{"deep": []any{1.0, nil}}, "x"}, "ключ": "значение"},
	}
}

// bin is a Buffer on the Node.js side.
func bin(data []byte) params { return params{"$bin": base64.StdEncoding.EncodeToString(data)} }

// pattern is size bytes, none of which look like text.
func pattern(size int) []byte {
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i*7 + i>>8)
	}
	return data
}

// requireJSON fails the test unless got is the JSON of want.
func requireJSON(t *testing.T, what string, got json.RawMessage, want any) {
	t.Helper()
	expected, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var a, b any
	if err := json.Unmarshal(got, &a); err != nil {
		t.Fatalf("%s is %.200q: %v", what, got, err)
	}
	if err := json.Unmarshal(expected, &b); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a, b) {
		t.Fatalf("%s is %.500s, want %.500s", what, got, expected)
	}
}

// requireNumbered fails the test unless the reports' last arguments are exactly 0..count-1, in this order.
func requireNumbered(t *testing.T, what string, reports []report, count int) {
	t.Helper()
	for i, r := range reports {
		var args []json.RawMessage
		if err := json.Unmarshal(r.Args, &args); err != nil || len(args) == 0 {
			t.Fatalf("%s: message %d has arguments %s", what, i, r.Args)
		}
		if got := string(args[len(args)-1]); got != fmt.Sprint(i) {
			t.Fatalf("%s: message %s where %d was expected (of %d): lost, duplicated or out of order", what, got, i, count)
		}
	}
	if len(reports) != count {
		t.Fatalf("%s: %d messages, want %d", what, len(reports), count)
	}
}

func TestClientConnectsWithAuth(t *testing.T) {
	t.Parallel()
	for _, transport := range transports {
		t.Run(transport.name, func(t *testing.T) {
			t.Parallel()
			server := startServer(t)
			clients := startPeer(t, "client.mjs")
			options := params{"auth": params{"token": "123", "nested": params{"n": 1}}}
			for key, value := range transport.options {
				options[key] = value
			}
			clients.do("connect", params{"client": "a", "url": server.url(), "options": options}, nil)
			got := clients.awaitEvents("a", "auth", 1)
			requireJSON(t, "auth", got[0].Args, []any{options["auth"]})

			clients.do("connect", params{"client": "b", "url": server.url(), "options": transport.options}, nil)
			got = clients.awaitEvents("b", "auth", 1)
			requireJSON(t, "no auth", got[0].Args, []any{params{}})
		})
	}
}

func TestClientUpgradesToWebSocket(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	clients := startPeer(t, "client.mjs")
	clients.do("connect", params{"client": "a", "url": server.url()}, nil)
	var transport string
	clients.do("upgraded", params{"client": "a"}, &transport)
	if transport != "websocket" {
		t.Fatalf("transport is %q after the upgrade", transport)
	}
}

func TestClientExchangesEventsAndAcks(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, _ *program, clients *peer) {
		args := append(varied(), bin(pattern(300)), params{"in": []any{bin([]byte{}), bin([]byte{1, 2, 3})}})

		clients.do("emit", params{"client": "a", "event": "message", "args": args}, nil)
		echoed := clients.awaitEvents("a", "message-back", 1)
		requireJSON(t, "the echoed event", echoed[0].Args, args)

		var answer json.RawMessage
		clients.do("ask", params{"client": "a", "event": "message-with-ack", "args": args}, &answer)
		requireJSON(t, "the server's acknowledgement", answer, args)

		clients.do("ask", params{"client": "a", "event": "message-with-ack"}, &answer)
		requireJSON(t, "the empty acknowledgement", answer, []any{})

		// The server asks back inside the handler and answers with what the client acknowledged.
		clients.do("ask", params{"client": "a", "event": "ask", "args": args}, &answer)
		requireJSON(t, "the client's acknowledgement", answer, []any{params{"client": "a", "args": args}})
	})
}

func TestClientExchangesLargeMessages(t *testing.T) {
	t.Parallel()
	const large = 900_000
	eachTransport(t, func(t *testing.T, _ *program, clients *peer) {
		var state struct{ Transport string }
		if t.Name() == "TestClientExchangesLargeMessages/default" {
			clients.do("upgraded", params{"client": "a"}, nil)
		}
		clients.do("state", params{"client": "a"}, &state)
		bytes := pattern(large)
		if state.Transport == "polling" {
			bytes = bytes[:large*3/4] // base64 makes it the same size on the wire, below maxPayload
		}
		for _, args := range [][]any{
			{strings.Repeat("x", large)},
			{strings.Repeat("é🐎", large/6)},
			{bin(bytes)},
		} {
			var answer json.RawMessage
			clients.do("ask", params{"client": "a", "event": "message-with-ack", "args": args}, &answer)
			requireJSON(t, "the large acknowledgement", answer, args)
		}
	})
}

func TestClientKeepsTheOrderOfManyMessages(t *testing.T) {
	t.Parallel()
	const count = 1000
	eachTransport(t, func(t *testing.T, _ *program, clients *peer) {
		clients.do("burst", params{"client": "a", "event": "message", "count": count}, nil)
		clients.do("emit", params{"client": "a", "event": "burst", "args": []any{count}}, nil)
		clients.do("ask", params{"client": "a", "event": "message-with-ack"}, nil) // behind everything else
		requireNumbered(t, "echoes", clients.events("a", "message-back"), count)
		requireNumbered(t, "server's burst", clients.events("a", "burst"), count)
	})
}

func TestClientLosesNothingDuringUpgrade(t *testing.T) {
	t.Parallel()
	const count = 1000
	server := startServer(t)
	clients := startPeer(t, "client.mjs")
	clients.do("connect", params{"client": "a", "url": server.url(), "hold": true}, nil)
	clients.do("emit", params{"client": "a", "event": "burst", "args": []any{count}}, nil)
	var straddled struct {
		SentBefore int
		Transport  string
	}
	clients.do("straddle", params{"client": "a", "event": "message", "count": count}, &straddled)
	if straddled.Transport != "websocket" || straddled.SentBefore < count/4 || straddled.SentBefore > count*3/4 {
		t.Fatalf("the upgrade did not happen amid the messages: %+v", straddled)
	}
	clients.do("ask", params{"client": "a", "event": "message-with-ack"}, nil)
	requireNumbered(t, "echoes", clients.events("a", "message-back"), count)
	requireNumbered(t, "server's burst", clients.events("a", "burst"), count)
}

func TestClientUsesNamespaces(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, server *program, clients *peer) {
		clients.do("share", params{
			"client": "custom", "of": "a", "namespace": "/custom", "auth": params{"as": "custom"},
		}, nil)
		auth := clients.awaitEvents("custom", "auth", 1)
		requireJSON(t, "the namespace's auth", auth[0].Args, []any{params{"as": "custom"}})

		for _, name := range []string{"a", "custom"} {
			clients.do("emit", params{"client": name, "event": "message", "args": []any{name, bin([]byte(name))}}, nil)
			got := clients.awaitEvents(name, "message-back", 1)
			requireJSON(t, "the echo at "+name, got[0].Args, []any{name, bin([]byte(name))})
		}

		refused := clients.try("share", params{"client": "random", "of": "a", "namespace": "/random"})
		if refused.Error != "Invalid namespace" {
			t.Fatalf("an unknown namespace was answered with %q", refused.Error)
		}

		// Leaving one namespace keeps the other.
		clients.do("disconnect", params{"client": "custom"}, nil)
		clients.do("ask", params{"client": "a", "event": "message-with-ack"}, nil)
	})
}

func TestClientLearnsWhyItWasDisconnected(t *testing.T) {
	t.Parallel()
	for _, end := range []struct {
		name, reason string
		by           func(t *testing.T, server *program, clients *peer)
	}{
		{"client", "io client disconnect", func(_ *testing.T, _ *program, clients *peer) {
			clients.do("disconnect", params{"client": "a"}, nil)
		}},
		{"server", "io server disconnect", func(_ *testing.T, _ *program, clients *peer) {
			clients.do("emit", params{"client": "a", "event": "kick", "args": []any{false}}, nil)
		}},
		{"server closing the connection", "io server disconnect", func(_ *testing.T, _ *program, clients *peer) {
			clients.do("emit", params{"client": "a", "event": "kick", "args": []any{true}}, nil)
		}},
		{"shutdown", "transport", func(t *testing.T, server *program, _ *peer) { server.stop(t) }},
	} {
		t.Run(end.name, func(t *testing.T) {
			eachTransport(t, func(t *testing.T, server *program, clients *peer) {
				end.by(t, server, clients)
				// A polling client that is between two polls learns of a shutdown by "transport error", any other by
				// "transport close".
				if reason := clients.awaitState("a", "disconnect", 1); !strings.HasPrefix(reason, end.reason) {
					t.Fatalf("the client was told %q, want %q", reason, end.reason)
				}
			})
		})
	}
}

func TestClientReconnects(t *testing.T) {
	t.Parallel()
	for _, end := range []struct {
		name string
		by   func(*program, *testing.T)
	}{{"after a restart", (*program).stop}, {"after a crash", (*program).kill}} {
		t.Run(end.name, func(t *testing.T) {
			eachTransport(t, func(t *testing.T, server *program, clients *peer) {
				var first, second struct{ ID string }
				clients.do("state", params{"client": "a"}, &first)
				end.by(server, t)
				clients.awaitState("a", "disconnect", 1)
				startServer(t, "--listen", server.addr)
				clients.awaitState("a", "connect", 2)
				clients.do("state", params{"client": "a"}, &second)
				if first.ID == second.ID {
					t.Fatalf("the new socket has the id of the old one, %s", first.ID)
				}
				clients.do("ask", params{"client": "a", "event": "message-with-ack"}, nil)
			})
		})
	}
}
