package interop_test

import (
	"encoding/base64"
	"slices"
	"testing"
)

func unbin(text string) []byte {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		panic(err) // the tests' own literals
	}
	return data
}

func TestNodeClusterBroadcasts(t *testing.T) {
	t.Parallel()
	m := startMixed(t)
	m.join("red", "g1", "n1")
	m.join("blue", "g2", "n1")

	for _, from := range m.publishers() {
		for _, payload := range []struct {
			name string
			args []any
		}{
			{"nothing", []any{}},
			{"text", []any{"hello"}},
			{"varied", varied()},
			{"binary", []any{bin(pattern(70_000))}},
			{"nested binary", []any{params{"a": []any{bin([]byte{0}), params{"b": bin([]byte{})}}}, "x", bin(pattern(256))}},
			// Integers above 2^64, such as 1e300, do not survive the official encoder.
			{"numbers", []any{
				0, -1, 127, 128, 255, 256, 65535, 65536, -32768, -32769, 2147483648, -2147483649, 9007199254740991,
				1.5, -1.5e-9, 0.1,
			}},
		} {
			event := payload.name + " " + from.name
			from.emit(event, to{}, payload.args...)
			for _, name := range everyone {
				got := m.clients.awaitEvents(name, event, 1)
				requireJSON(t, event+" at "+name, got[0].Args, payload.args)
			}
			m.requireReceived(from, event, everyone...)
		}

		for _, aim := range []struct {
			name      string
			to        to
			receivers []string
		}{
			{"a room", to{rooms: []string{"red"}}, []string{"g1", "n1"}},
			{"two rooms", to{rooms: []string{"red", "blue"}}, []string{"g1", "n1", "g2"}},
			{"a room nobody is in", to{rooms: []string{"green"}}, nil},
			{"all but a room", to{except: []string{"red"}}, []string{"g2", "n2"}},
			{"a room but another", to{rooms: []string{"red"}, except: []string{"blue"}}, []string{"g1"}},
			{"a Go socket", to{rooms: []string{m.ids["g2"]}}, []string{"g2"}},
			{"a Node socket", to{rooms: []string{m.ids["n2"]}}, []string{"n2"}},
			{"all but a Go socket", to{except: []string{m.ids["g1"]}}, []string{"g2", "n1", "n2"}},
			{"all but a Node socket", to{except: []string{m.ids["n1"]}}, []string{"g1", "g2", "n2"}},
			{"volatile", to{volatile: true}, everyone},
			{"volatile to a room", to{rooms: []string{"blue"}, volatile: true}, []string{"g2", "n1"}},
		} {
			event := aim.name + " " + from.name
			from.emit(event, aim.to, "x")
			m.requireReceived(from, event, aim.receivers...)
		}
	}
}

// A client's message to its room reaches the room on both kinds of node, but not the client.
func TestNodeClusterBroadcastsOfClients(t *testing.T) {
	t.Parallel()
	m := startMixed(t)
	m.join("red", "g1", "n1", "n2")
	for i, from := range m.publishers() {
		sender := []string{"g1", "n1"}[i]
		event := "said by " + sender
		m.clients.do("emit", params{"client": sender, "event": "say", "args": []any{"red", event, bin([]byte{1})}}, nil)
		// The answer to a later event of the same client comes after the broadcast was made.
		m.clients.do("ask", params{"client": sender, "event": "rooms"}, nil)
		receivers := slices.DeleteFunc([]string{"g1", "n1", "n2"}, func(name string) bool { return name == sender })
		m.requireReceived(from, event, receivers...)
	}
}

func TestNodeClusterKeepsTheOrder(t *testing.T) {
	t.Parallel()
	const count = 1000
	m := startMixed(t)
	for _, from := range m.publishers() {
		event := "numbered " + from.name
		if from.name == "from Node" {
			m.node.do("burst", params{"event": event, "count": count}, nil)
		} else {
			for i := range count {
				from.emit(event, to{}, i)
			}
		}
		m.fence(from)
		for _, name := range everyone {
			requireNumbered(t, event+" at "+name, m.clients.events(name, event), count)
		}
	}
}

func TestNodeClusterNamespaces(t *testing.T) {
	t.Parallel()
	m := startMixed(t)
	for _, name := range []string{"g-custom", "n-custom"} {
		m.connect(name, "/custom")
	}
	for _, from := range m.publishers() {
		event := "custom " + from.name
		from.emit(event, to{namespace: "/custom"}, bin([]byte{1, 2}))
		for _, name := range []string{"g-custom", "n-custom"} {
			got := m.clients.awaitEvents(name, event, 1)
			requireJSON(t, event, got[0].Args, []any{bin([]byte{1, 2})})
		}
		m.requireReceived(from, event) // nobody in the root namespace
	}
}

// What one node orders for the sockets of a room, the other carries out for its own.
func TestNodeClusterManagesSockets(t *testing.T) {
	t.Parallel()
	m := startMixed(t)
	for _, by := range m.managers() {
		m.join("seed "+by.name, "g1", "n1", "n2")
		// A node carries out what another ordered in the order of the orders, so a fence makes it visible.
		by.join([]string{"seed " + by.name}, []string{m.ids["n2"]}, "grown "+by.name)
		by.emit("grown "+by.name, to{rooms: []string{"grown " + by.name}})
		m.requireReceived(by.publisher, "grown "+by.name, "g1", "n1")

		by.leave([]string{m.ids["g1"]}, nil, "grown "+by.name)
		by.emit("shrunk "+by.name, to{rooms: []string{"grown " + by.name}})
		m.requireReceived(by.publisher, "shrunk "+by.name, "n1")

		for _, name := range everyone {
			var answer [1][]string
			m.clients.do("ask", params{"client": name, "event": "rooms"}, &answer)
			if got, want := slices.Contains(answer[0], "grown "+by.name), name == "n1"; got != want {
				t.Errorf("%s: %s in the room: %v, want %v", by.name, name, got, want)
			}
		}
	}
}

func TestNodeClusterDisconnectsSockets(t *testing.T) {
	t.Parallel()
	for i := range 2 {
		m := startMixed(t)
		by := m.managers()[i]
		m.join("out", "g1", "n1")
		by.disconnect([]string{"out"}, false)
		for _, name := range []string{"g1", "n1"} {
			if reason := m.clients.awaitState(name, "disconnect", 1); reason != "io server disconnect" {
				t.Errorf("%s: %s was told %q", by.name, name, reason)
			}
		}
		by.disconnect([]string{m.ids["g2"], m.ids["n2"]}, true)
		for _, name := range []string{"g2", "n2"} {
			if reason := m.clients.awaitState(name, "disconnect", 1); reason != "io server disconnect" {
				t.Errorf("%s: %s was told %q as its connection was closed", by.name, name, reason)
			}
		}
	}
}

// manager orders changes of other sockets; there is one for each kind of node.
type manager struct {
	publisher
	join       func(rooms, except []string, change string)
	leave      func(rooms, except []string, change string)
	disconnect func(rooms []string, closeConnection bool)
}

func (m *mixed) managers() []manager {
	publishers := m.publishers()
	check := func(err error) {
		m.t.Helper()
		if err != nil {
			m.t.Fatal(err)
		}
	}
	change := func(op string) func(rooms, except []string, change string) {
		return func(rooms, except []string, change string) {
			p := to{rooms: rooms, except: except}.params("", nil)
			p["change"] = []string{change}
			m.node.do(op, p, nil)
			// A Node.js node carries its own order out when Redis brings it back. This answer comes behind that.
			m.node.do("fetchSockets", nil, nil)
		}
	}
	return []manager{
		{
			publisher: publishers[0],
			join: func(rooms, except []string, change string) {
				check(m.golang.To(rooms...).Except(except...).Join(m.t.Context(), change))
			},
			leave: func(rooms, except []string, change string) {
				check(m.golang.To(rooms...).Except(except...).Leave(m.t.Context(), change))
			},
			disconnect: func(rooms []string, closeConnection bool) {
				check(m.golang.To(rooms...).Disconnect(m.t.Context(), closeConnection))
			},
		},
		{
			publisher: publishers[1],
			join:      change("socketsJoin"),
			leave:     change("socketsLeave"),
			disconnect: func(rooms []string, closeConnection bool) {
				m.node.do("disconnectSockets", params{"rooms": rooms, "close": closeConnection}, nil)
			},
		},
	}
}
