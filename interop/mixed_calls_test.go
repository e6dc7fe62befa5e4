//go:build unix

package interop_test

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
)

// orders: what one node orders for the sockets of a room, the other carries out for its own.
func orders(s *stage) {
	s.join("seed", "a1", "b1", "b2")
	// A node carries out what another ordered in the order of the orders, so a fence makes it visible.
	s.change(s.a, "socketsJoin", to{rooms: []string{"seed"}, except: []string{s.ids["b2"]}}, "grown", "also grown")
	s.emit(s.a, "grown", to{rooms: []string{"grown"}})
	s.requireReceived(s.a, "", "grown", "a1", "b1")

	s.change(s.a, "socketsLeave", to{rooms: []string{s.ids["a1"]}}, "grown")
	s.emit(s.a, "shrunk", to{rooms: []string{"grown"}})
	s.requireReceived(s.a, "", "shrunk", "b1")

	for _, client := range everyone {
		var answer [1][]string
		s.ask(client, &answer, "rooms")
		if got, want := slices.Contains(answer[0], "grown"), client == "b1"; got != want {
			s.t.Errorf("%s in the room: %v, want %v", client, got, want)
		}
	}
	s.change(s.a, "socketsJoin", to{}, "all")
	if got := s.fetch(s.b, to{rooms: []string{"all"}}); len(got) != len(everyone) {
		s.t.Errorf("%v joined, want %v", keys(got), everyone)
	}
}

func disconnects(s *stage) {
	s.join("out", "a1", "b1")
	s.do(s.a, "disconnectSockets", to{rooms: []string{"out"}}.with(nil), nil)
	s.requireDisconnected("from the namespace", "a1", "b1")
	s.do(s.a, "disconnectSockets", to{rooms: []string{s.ids["a2"], s.ids["b2"]}}.with(params{"close": true}), nil)
	s.requireDisconnected("and closed", "a2", "b2")
}

// queries are answered with what all nodes know. A node that stayed silent would make each of these time out for the whole
// cluster, since official nodes wait for all who hear them.
func queries(s *stage) {
	s.join("red", "a1", "b1")
	var count int
	s.do(s.a, "serverCount", nil, &count)
	if count != 2 {
		s.t.Fatalf("%d nodes, want 2", count)
	}
	var ids []string
	s.do(s.a, "allSockets", params{"rooms": []string{"red"}}, &ids)
	requireSame(s.t, "allSockets, which the official adapters answer for their own node only", ids, s.ids["a1"])
	if s.a.kind == goKind && s.b.kind == goKind || s.pair.wire.Rooms {
		var rooms []string
		s.do(s.a, "allRooms", nil, &rooms)
		requireSame(s.t, "rooms", rooms, "red", s.ids["a1"], s.ids["a2"], s.ids["b1"], s.ids["b2"])
	}

	requireSame(s.t, "all sockets", keys(s.fetch(s.a, to{})), everyone...)
	requireSame(s.t, "sockets of a room nobody is in", keys(s.fetch(s.a, to{rooms: []string{"green"}})))
	requireSame(s.t, "sockets but those of a room", keys(s.fetch(s.a, to{except: []string{"red"}})), "a2", "b2")
	red := s.fetch(s.a, to{rooms: []string{"red"}})
	requireSame(s.t, "sockets of a room", keys(red), "a1", "b1")
	for client, socket := range red {
		requireSame(s.t, "rooms of "+client, socket.Rooms, "red", s.ids[client])
		h := socket.Handshake
		if h.Headers["host"] == nil || h.Time == "" || h.Address == "" || h.XDomain == nil || h.Secure == nil ||
			h.Issued == 0 || h.URL == "" || h.Query["EIO"] != "4" || h.Query["transport"] != "websocket" {
			s.t.Errorf("handshake of %s is incomplete: %+v", client, h)
		}
		requireJSON(s.t, "auth of "+client, h.Auth, params{"name": client})
		made := map[byte]string{'a': s.a.kind, 'b': s.b.kind}[client[0]]
		requireJSON(s.t, "data of "+client, socket.Data, params{"made": "by " + made, "number": 7})
	}
}

// remoteSockets are as good as sockets.
func remoteSockets(s *stage) {
	s.join("red", "b1")
	with := func(more params) params {
		p := params{"socket": s.ids["b1"]}
		maps.Copy(p, more)
		return p
	}
	s.do(s.a, "remoteJoin", with(params{"change": []string{"crimson", "scarlet"}}), nil)
	s.do(s.a, "remoteLeave", with(params{"change": []string{"red"}}), nil)
	s.do(s.a, "remoteEmit", with(params{"event": "to you", "args": []any{bin([]byte{1})}}), nil)
	requireJSON(s.t, "the event of one", s.awaitEvents("b1", "to you", 1)[0].Args, []any{bin([]byte{1})})
	s.requireReceived(s.a, "", "to you", "b1")
	var answer struct {
		Client string
		Args   json.RawMessage
	}
	s.do(s.a, "remoteAsk", with(params{"event": "who", "args": []any{bin([]byte{2}), "x"}}), &answer)
	if answer.Client != s.name("b1") {
		s.t.Errorf("%s answered, want b1", answer.Client)
	}
	requireJSON(s.t, "what b1 was asked", answer.Args, []any{bin([]byte{2}), "x"})
	requireSame(s.t, "rooms after the change", s.fetch(s.a, to{rooms: []string{"crimson"}})["b1"].Rooms, "crimson", "scarlet", s.ids["b1"])
	s.do(s.a, "remoteDisconnect", with(nil), nil)
	s.requireDisconnected("as one", "b1")
}

// acknowledgements are what a broadcast collected.
type acknowledgements struct {
	Answers []answer
	Of      map[string]answer // by socket id, where that is known
}

type answer struct {
	Client string
	Args   json.RawMessage
}

func (a acknowledgements) clients() (names []string) {
	for _, answer := range a.Answers {
		names = append(names, answer.Client)
	}
	return names
}

// acks: a broadcast collects the acknowledgements of all nodes' clients, and ends with the last.
func acks(s *stage) {
	s.join("red", "a1", "b1")
	every := make([]string, len(everyone))
	for i, client := range everyone {
		every[i] = s.name(client)
	}
	var got acknowledgements
	s.do(s.a, "broadcastAck", params{"event": "who", "args": []any{bin([]byte{1})}}, &got)
	requireSame(s.t, "who answered", got.clients(), every...)
	for _, answer := range got.Answers {
		requireJSON(s.t, "what was asked", answer.Args, []any{bin([]byte{1})})
	}
	// A Go node knows whose an answer is, but for those of Node.js nodes, which do not say it.
	if s.a.kind == goKind {
		named := map[string]bool{"a1": true, "a2": true, "b1": s.b.kind == goKind, "b2": s.b.kind == goKind}
		for client, want := range named {
			if answer, ok := got.Of[s.ids[client]]; ok != want || ok && answer.Client != s.name(client) {
				s.t.Errorf("answer of %s: %v, %v", client, answer, ok)
			}
		}
	}

	s.do(s.a, "broadcastAck", to{rooms: []string{"red"}}.with(params{"event": "who"}), &got)
	requireSame(s.t, "who answered in the room", got.clients(), s.name("a1"), s.name("b1"))
	s.do(s.a, "broadcastAck", to{rooms: []string{"nobody"}}.with(params{"event": "who"}), &got)
	requireSame(s.t, "who answered in an empty room", got.clients())

	// Clients do not answer an event "silent"; those on one node only do not answer this one.
	silences := map[string][]string{"silent": nil, "silent at b": {"a1", "a2"}, "silent at a": {"b1", "b2"}}
	asked := map[string]<-chan reply{}
	for event := range silences {
		asked[event] = s.a.begin("broadcastAck", s.here(params{"event": event, "timeout": 1000}))
	}
	for event, clients := range silences {
		r := s.a.finish("broadcastAck", asked[event])
		if r.Error == "" {
			s.t.Errorf("%s: no error, though not everyone answered", event)
		}
		var got acknowledgements
		s.decode(r.Result, &got)
		var want []string
		for _, client := range clients {
			want = append(want, s.name(client))
		}
		requireSame(s.t, event, got.clients(), want...)
	}
}

// questionsOfClients: a socket asks its room, and is asked itself.
func questionsOfClients(s *stage) {
	s.join("red", "a1", "a2", "b1")
	var answers [1][]answer
	s.ask("a1", &answers, "question", "red", "who")
	requireSame(s.t, "who answered a1", acknowledgements{Answers: answers[0]}.clients(), s.name("a2"), s.name("b1"))
	var own answer
	s.do(s.a, "socketAsk", params{"socket": s.ids["a1"], "event": "who", "args": []any{1}}, &own)
	if own.Client != s.name("a1") {
		s.t.Errorf("%s answered, want a1", own.Client)
	}
	requireJSON(s.t, "what a1 was asked", own.Args, []any{1})
}

// serverSideEvents are for nodes, with and without acknowledgement.
func serverSideEvents(s *stage) {
	args := []any{"from a", 1, params{"deep": []any{nil, 1.5}}}
	if s.a.kind == goKind || !s.pair.wire.TextEvents {
		args = append(args, bin([]byte{1, 2}))
	}
	var answers []string
	s.do(s.a, "serverSideAsk", params{"event": "greet", "args": args}, &answers)
	requireSame(s.t, "answers", answers, s.b.kind)
	s.do(s.a, "serverSideEmit", params{"event": "greet", "args": []any{"told"}}, nil)
	greeted := func(ack bool) report {
		s.t.Helper()
		return s.b.await(1, "greetings", func(r report) bool {
			return r.Client == s.namespace && r.Event == "greet" && r.Ack == ack
		})[0]
	}
	requireJSON(s.t, "what b was asked", greeted(true).Args, args)
	requireJSON(s.t, "what b was told", greeted(false).Args, []any{"told"})

	// An event without a handler is answered by nobody.
	if r := s.a.try("serverSideAsk", s.here(params{"event": "nothing that is handled", "timeout": 1000})); r.Error == "" {
		s.t.Errorf("an event without a handler was answered with %s", r.Result)
	} else {
		requireJSON(s.t, "the answers to it", r.Result, []any{})
	}
	// None of it is heard by the node itself, or by clients.
	for _, r := range s.a.of(func(r report) bool { return r.Client == s.namespace }) {
		s.t.Errorf("a heard its own event %q", r.Event)
	}
	s.requireReceived(s.a, "", "greet")
}

// emitters publish as processes do that are no nodes.
func emitters(s *stage) { emitted(s, s.a) }

// emitted has from, which has an emitter or is one, publish.
func emitted(s *stage, from *peer) {
	by := func(to to) to { to.by = "emitter"; return to }
	s.join("red", "a1", "b1")
	args := append(varied(), bin(pattern(1000)))
	s.emit(from, "all", by(to{}), args...)
	for _, client := range everyone {
		requireJSON(s.t, "the emitter's event at "+client, s.awaitEvents(client, "all", 1)[0].Args, args)
	}
	s.requireReceived(from, "emitter", "all", everyone...)
	s.emit(from, "red", by(to{rooms: []string{"red"}}))
	s.requireReceived(from, "emitter", "red", "a1", "b1")
	s.emit(from, "not red", by(to{except: []string{"red"}}))
	s.requireReceived(from, "emitter", "not red", "a2", "b2")
	s.emit(from, "one", by(to{rooms: []string{s.ids["b2"]}, volatile: true}))
	s.requireReceived(from, "emitter", "one", "b2")

	order := func(op string, to to, more params) { s.do(from, op, by(to).with(more), nil) }
	order("socketsJoin", to{rooms: []string{"red"}}, params{"change": []string{"crimson"}})
	s.emit(from, "crimson", by(to{rooms: []string{"crimson"}}))
	s.requireReceived(from, "emitter", "crimson", "a1", "b1")
	order("socketsLeave", to{except: []string{s.ids["a1"]}}, params{"change": []string{"crimson"}})
	s.emit(from, "crimson again", by(to{rooms: []string{"crimson"}}))
	s.requireReceived(from, "emitter", "crimson again", "a1")
	order("serverSideEmit", to{}, params{"event": "greet", "args": []any{"by the emitter"}})
	for _, node := range []*peer{s.a, s.b} {
		node.await(1, "greetings", func(r report) bool { return r.Client == s.namespace && r.Event == "greet" })
	}
	order("disconnectSockets", to{rooms: []string{s.ids["b1"]}}, nil)
	s.requireDisconnected("by the emitter", "b1")
}

// eventStreams are members like sockets, on the nodes that have them: what a node sends reaches them, and its orders move and
// end them. They have no bytes, and show them in base64.
func eventStreams(s *stage) {
	var streams, red []string
	for name, node := range map[string]*peer{"a": s.a, "b": s.b} {
		if node.kind != goKind {
			continue
		}
		for suffix, room := range map[string]string{" in red": "&room=red", "": ""} {
			s.clients.do("open", params{
				"client": s.name(name + suffix), "url": node.url + "/events?namespace=" + url.QueryEscape(s.namespace) + room,
				"events": []string{"to all", "to red", "bytes", "grown", "after all", "fence"},
			}, nil)
			if streams = append(streams, name+suffix); room != "" {
				red = append(red, name+suffix)
			}
		}
	}
	for _, aim := range []struct {
		event string
		to    to
		args  []any
		want  []any // as streams have it
	}{
		{"to all", to{}, varied(), varied()},
		{"to red", to{rooms: []string{"red"}}, []any{1}, []any{1}},
		{"bytes", to{}, []any{bin([]byte{1, 2, 3}), "x"}, []any{"AQID", "x"}},
		{"grown", to{rooms: []string{"grown"}}, []any{}, []any{}},
	} {
		if aim.event == "grown" {
			s.change(s.a, "socketsJoin", to{rooms: []string{"red"}}, "grown")
		}
		s.emit(s.a, aim.event, aim.to, aim.args...)
		receivers := streams
		if aim.to.rooms != nil {
			receivers = red
		}
		for _, stream := range receivers { // before the fence, which may overtake bytes
			s.awaitEvents(stream, aim.event, 1)
		}
		s.fence(s.a, "", streams...)
		for _, stream := range streams {
			got := s.events(stream, aim.event)
			if want := slices.Contains(receivers, stream); len(got) != map[bool]int{true: 1}[want] {
				s.t.Errorf("stream %q received %q %d times, want it: %v", stream, aim.event, len(got), want)
			}
			for _, r := range got {
				requireJSON(s.t, aim.event+" at stream "+stream, r.Args, aim.want)
			}
		}
	}
	s.do(s.a, "disconnectSockets", to{rooms: []string{"grown"}}.with(params{"close": true}), nil)
	for _, stream := range red {
		s.clients.awaitState(s.name(stream), "open", 2) // EventSource comes back by itself
	}
	s.emit(s.a, "after all", to{})
	s.fence(s.a, "", streams...)
	for _, stream := range streams {
		if got := len(s.events(stream, "after all")); got != 1 {
			s.t.Errorf("stream %q received an event %d times after the orders", stream, got)
		}
	}
}
