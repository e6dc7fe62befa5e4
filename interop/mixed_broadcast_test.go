//go:build unix

package interop_test

import (
	"fmt"
	"slices"
	"strings"
)

// payloads of every kind reach everyone as they are.
func payloads(s *stage) {
	long := strings.Repeat("žluťoučký 🐎 ", 50_000) // 1.1 MiB
	for _, payload := range []struct {
		name string
		args []any
	}{
		{"nothing", []any{}},
		{"text", []any{"hello"}},
		{"varied", varied()},
		{"binary", []any{bin(pattern(70_000))}},
		{"nested binary", []any{params{"a": []any{bin([]byte{0}), params{"b": bin([]byte{})}}}, "x", bin(pattern(256))}},
		{"large text", []any{long}},
		{"large binary", []any{params{"nested": []any{bin(pattern(1 << 20))}}}},
		// Integers above 2^64, such as 1e300, do not survive the official encoder.
		{"numbers", []any{
			0, -1, 127, 128, 255, 256, 65535, 65536, -32768, -32769, 2147483648, -2147483649, 4294967295, 4294967296,
			9007199254740991, -9007199254740991, 1.5, -1.5e-9, 0.1, 5e-324, 1.7976931348623157e308 / 1.0000001e290,
		}},
		{"odd keys", []any{params{"": 1, "__proto__x": 2, "a b": 3, "\u2028": 4, "7": 5, "🐎": 6}}},
	} {
		s.emit(s.a, payload.name, to{}, payload.args...)
		for _, client := range everyone {
			got := s.awaitEvents(client, payload.name, 1)
			requireJSON(s.t, payload.name+" at "+client, got[0].Args, payload.args)
		}
		s.requireReceived(s.a, "", payload.name, everyone...)
	}
}

// oddNames are names of events and rooms that are no patterns, numbers or paths to anybody.
var oddNames = []string{
	"7", "0", "-1", "a b", "ключ", "🐎", "a#b", "#", "a*", "[a-z]", "a?", `a\*`, `"quoted"`, "a/b", "a,b", "a:b", "{a}", "toString",
	"exactly20characters!", "\u2028", strings.Repeat("long", 60),
}

// names that are odd, of events and of rooms, are names like others.
func names(s *stage) {
	for _, name := range oddNames {
		s.join("room "+name, "a1")
		s.join(name, "b1", "a2")
	}
	for _, name := range oddNames {
		s.emit(s.a, name, to{rooms: []string{name}}, name)
	}
	s.fence(s.a, "", everyone...)
	for _, name := range oddNames {
		s.requireReceived(s.a, "", name, "b1", "a2")
	}
	got := s.fetch(s.a, to{rooms: []string{oddNames[0]}})
	if want := append([]string{s.ids["b1"]}, oddNames...); len(got) == 2 {
		requireSame(s.t, "rooms of b1", got["b1"].Rooms, want...)
	} else {
		s.t.Errorf("%v in room %q, want b1 and a2", keys(got), oddNames[0])
	}
}

// aims reach exactly those who are meant.
func aims(s *stage) {
	s.join("red", "a1", "b1")
	s.join("blue", "a2", "b1")
	for _, aim := range []struct {
		name      string
		to        to
		receivers []string
	}{
		{"everyone", to{}, everyone},
		{"a room", to{rooms: []string{"red"}}, []string{"a1", "b1"}},
		{"two rooms", to{rooms: []string{"red", "blue"}}, []string{"a1", "b1", "a2"}},
		{"a room nobody is in", to{rooms: []string{"green"}}, nil},
		{"all but a room", to{except: []string{"red"}}, []string{"a2", "b2"}},
		{"a room but another", to{rooms: []string{"red"}, except: []string{"blue"}}, []string{"a1"}},
		{"a socket here", to{rooms: []string{s.ids["a2"]}}, []string{"a2"}},
		{"a socket there", to{rooms: []string{s.ids["b2"]}}, []string{"b2"}},
		{"two sockets", to{rooms: []string{s.ids["a2"], s.ids["b2"]}}, []string{"a2", "b2"}},
		{"all but a socket here", to{except: []string{s.ids["a1"]}}, []string{"a2", "b1", "b2"}},
		{"all but a socket there", to{except: []string{s.ids["b1"]}}, []string{"a1", "a2", "b2"}},
		{"a room but a socket", to{rooms: []string{"red"}, except: []string{s.ids["b1"]}}, []string{"a1"}},
		{"volatile", to{volatile: true}, everyone},
		{"volatile to a room", to{rooms: []string{"blue"}, volatile: true}, []string{"a2", "b1"}},
		{"local", to{local: true}, []string{"a1", "a2"}},
		{"local to a room", to{rooms: []string{"red", "blue"}, local: true}, []string{"a1", "a2"}},
	} {
		event := aim.name + " in " + s.title // others may be in the root namespace
		s.emit(s.a, event, aim.to, "x")
		s.requireReceived(s.a, "", event, aim.receivers...)
	}
}

// saidByClients: what a client says to its room reaches the room on both nodes, but not the client.
func saidByClients(s *stage) {
	s.join("red", "a1", "b1", "b2")
	s.clients.do("emit", params{
		"client": s.name("a1"), "event": "say", "args": []any{"red", "said", bin([]byte{1})},
	}, nil)
	// The answer to a later event of the same client comes after the broadcast was made.
	s.ask("a1", nil, "rooms")
	for _, client := range []string{"b1", "b2"} { // a fence may overtake bytes: not every official adapter keeps their place
		s.awaitEvents(client, "said", 1)
	}
	s.requireReceived(s.a, "", "said", "b1", "b2")
}

// order: 1,000 messages of each node, to everyone and to a room, arrive once and in order.
func order(s *stage) {
	count := 1000
	if s.pair.wire.Rate > 0 {
		count /= 4 // of each kind
	}
	s.join("red", "a1", "b1")
	var sent []<-chan reply
	for _, node := range []*peer{s.a, s.b} {
		sent = append(sent,
			node.begin("burst", s.here(params{"event": "to all by " + nodeName(s, node), "count": count, "timeout": patience.Milliseconds()})),
			node.begin("burst", s.here(params{"event": "to red by " + nodeName(s, node), "count": count, "timeout": patience.Milliseconds(), "rooms": []string{"red"}})))
	}
	for i, node := range []*peer{s.a, s.a, s.b, s.b} {
		if r := node.finish("burst", sent[i]); r.Error != "" {
			s.t.Fatalf("burst: %s", r.Error)
		}
	}
	for _, node := range []*peer{s.a, s.b} {
		s.fence(node, "", everyone...)
		for _, aim := range []struct {
			event     string
			receivers []string
		}{{"to all", everyone}, {"to red", []string{"a1", "b1"}}} {
			event := aim.event + " by " + nodeName(s, node)
			for _, client := range everyone {
				want := 0
				if slices.Contains(aim.receivers, client) {
					want = count
				}
				requireNumbered(s.t, event+" at "+client, s.events(client, event), want)
			}
		}
	}
}

func nodeName(s *stage, node *peer) string {
	if node == s.a {
		return "a"
	}
	return "b"
}

// namespaces are apart.
func namespaces(s *stage) {
	other := s.namespace + "/other"
	s.open(other)
	s.connect("a3", other)
	s.connect("b3", other)
	s.do(s.a, "emit", params{"namespace": other, "event": "other", "args": []any{bin([]byte{1, 2})}}, nil)
	for _, client := range []string{"a3", "b3"} {
		requireJSON(s.t, "other", s.awaitEvents(client, "other", 1)[0].Args, []any{bin([]byte{1, 2})})
	}
	s.requireReceived(s.a, "", "other") // nobody in this one
	s.emit(s.a, "this", to{})
	s.requireReceived(s.a, "", "this", everyone...)
	for _, client := range []string{"a3", "b3"} {
		if got := s.events(client, "this"); len(got) != 0 {
			s.t.Errorf("%s received what was for another namespace", client)
		}
	}
	if got := s.fetch(s.a, to{}); len(got) != len(everyone) {
		s.t.Errorf("%v in the namespace, want %v", keys(got), everyone)
	}
}

// dynamicNamespaces come up while the nodes run: on a Node.js node with the first client in one that matches a pattern, on
// a Go node when the program wants it. A node that does not have one is not waited for.
func dynamicNamespaces(s *stage) {
	dynamic := "/dynamic-" + strings.ToLower(strings.ReplaceAll(s.cast.name, "+", "-"))
	for _, node := range []*peer{s.a, s.b} {
		if node.kind == goKind {
			node.do("open", params{"namespace": dynamic}, nil)
		}
	}
	s.connect("a3", dynamic)
	if s.b.kind == nodeKind {
		var alone []found
		s.do(s.a, "fetchSockets", params{"namespace": dynamic}, &alone)
		requireSame(s.t, "those in a namespace of one node", keys(s.byClient(alone)), "a3")
	}
	s.connect("b3", dynamic)
	s.open(dynamic)
	for i, node := range []*peer{s.a, s.b} {
		event := fmt.Sprint("event ", i)
		s.do(node, "emit", params{"namespace": dynamic, "event": event, "args": []any{i}}, nil)
		for _, client := range []string{"a3", "b3"} {
			requireJSON(s.t, event, s.awaitEvents(client, event, 1)[0].Args, []any{i})
		}
		var all []found
		s.do(node, "fetchSockets", params{"namespace": dynamic}, &all)
		requireSame(s.t, "those in a namespace of both", keys(s.byClient(all)), "a3", "b3")
	}
}
