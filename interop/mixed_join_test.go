//go:build unix

package interop_test

import (
	"encoding/json"
	"testing"
)

// stream is numbered messages that a node sends at a steady rate.
type stream struct {
	stop chan struct{}
	sent chan int // how many, when it has stopped; negative if one was not
}

// streamRate is how many messages a second a stream has.
func (s *stage) streamRate() int {
	if s.pair.wire.Rate > 0 {
		return s.pair.wire.Rate
	}
	return 500
}

// stream has a node send messages, called n, until finish.
func (s *stage) stream(from *peer) *stream {
	rate := s.streamRate()
	f := &stream{make(chan struct{}), make(chan int, 1)}
	next := func(n int) <-chan reply {
		return from.begin("burst", s.here(params{"event": "n", "from": n, "count": rate / 5, "rate": rate, "timeout": patience.Milliseconds()}))
	}
	answer := next(0)
	go func() {
		for n := rate / 5; ; n += rate / 5 {
			select {
			case r := <-answer:
				if r.Error != "" {
					f.sent <- -1
					return
				}
			case <-from.ended:
				f.sent <- -1
				return
			}
			select {
			case <-f.stop:
				f.sent <- n
				return
			default:
				answer = next(n)
			}
		}
	}()
	return f
}

// finish ends the stream and returns how many messages it had.
func (f *stream) finish(t *testing.T) int {
	t.Helper()
	close(f.stop)
	n := <-f.sent
	if n < 0 {
		t.Fatal("the stream broke off")
	}
	return n
}

// cameLater: an official node starts while messages go. Once it is ready it gets all there are, once and in order, and those who
// were there before miss nothing of it.
func cameLater(s *stage) {
	flow := s.stream(s.a)
	s.awaitEvents("a1", "n", 1)
	c := startPeer(s.t, "node-server.mjs", s.pair.wire.Name, s.pair.broker.URL())
	c.do("open", params{"namespace": s.namespace}, nil)
	for _, node := range []*peer{s.a, s.b, c} {
		s.awaitNodes(node, s.namespace, 3)
	}
	s.clients.do("connect", params{
		"client": s.name("c1"), "url": c.url + s.namespace, "msgpack": s.pair.wire.Msgpack,
		"options": params{"transports": []string{"websocket"}, "reconnection": false, "auth": params{"name": "c1"}},
	}, nil)
	s.emit(s.a, "ready", to{}) // what the client next to the stream has behind it was sent later
	s.awaitEvents("c1", "n", max(s.streamRate()/5, 10))
	total := flow.finish(s.t)
	s.fence(s.a, "", append([]string{"c1"}, everyone...)...)
	for _, client := range everyone {
		requireNumbered(s.t, "stream at "+client, s.events(client, "n"), total)
	}
	before := 0
	for _, r := range s.clients.of(func(r report) bool { return r.Client == s.name("a1") && (r.Event == "n" || r.Event == "ready") }) {
		if r.Event == "ready" {
			break
		}
		before++
	}
	requireTail(s.t, "stream at the node that came", s.events("c1", "n"), before, total)
	c.close()
	for _, node := range []*peer{s.a, s.b} {
		s.awaitNodes(node, s.namespace, 2)
	}
}

// requireTail requires the messages from some number, which is not above first, to the last: each once and in order.
func requireTail(t *testing.T, what string, reports []report, first, total int) {
	t.Helper()
	next := -1
	for _, r := range reports {
		var args []int
		if err := json.Unmarshal(r.Args, &args); err != nil || len(args) != 1 {
			t.Fatalf("%s: arguments %s", what, r.Args)
		}
		if next < 0 {
			next = args[0]
			if next > first {
				t.Errorf("%s begins with message %d, want %d or before", what, next, first)
			}
		}
		if args[0] != next {
			t.Fatalf("%s: message %d where %d was expected (of %d): lost, duplicated or out of order", what, args[0], next, total)
		}
		next++
	}
	if next != total {
		t.Errorf("%s ends before message %d, want %d", what, next, total)
	}
	t.Logf("%s: from %d on, of %d, of which %d were sent before it was ready", what, total-len(reports), total, first)
}
