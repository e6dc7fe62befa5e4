//go:build unix

package interop_test

import (
	"encoding/json"
	"slices"
	"syscall"
	"time"
)

// freeze stops the peer until the returned function lets it go on.
func (p *peer) freeze() (thaw func()) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		p.t.Fatal(err)
	}
	// The signal reaches one of its threads first, and another may yet answer.
	err := error(syscall.EINTR)
	for err == syscall.EINTR {
		_, err = syscall.Wait4(p.cmd.Process.Pid, nil, syscall.WUNTRACED, nil)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	thaw = func() { _ = p.cmd.Process.Signal(syscall.SIGCONT) }
	p.t.Cleanup(thaw)
	return thaw
}

// burstSize is how many numbered messages are under way when a node is lost.
func (s *stage) burstSize() int {
	if s.pair.wire.Rate > 0 {
		return 100
	}
	return 500
}

// underway is what node a has begun.
type underway struct {
	burst, fetch, ack, ask <-chan reply
}

// begin has node a send a burst, of which b's clients have something when it returns.
func (s *stage) begin() *underway {
	s.t.Helper()
	u := &underway{burst: s.a.begin("burst", s.here(params{"event": "n", "count": s.burstSize(), "timeout": patience.Milliseconds()}))}
	s.awaitEvents("b1", "n", 1)
	return u
}

// call begins each kind of call, and an order. It waits for no longer than timeout ms, where a node can be told so.
func (s *stage) call(u *underway, timeout int) {
	s.t.Helper()
	u.fetch = s.a.begin("fetchSockets", s.here(params{"timeout": timeout}))
	u.ask = s.a.begin("serverSideAsk", s.here(params{"event": "greet", "timeout": timeout}))
	u.ack = s.a.begin("broadcastAck", s.here(params{"event": "who", "timeout": timeout}))
	s.do(s.a, "socketsJoin", params{"change": []string{"joined"}}, nil)
	s.awaitEvents("a1", "who", 1)
	if s.a.kind == nodeKind {
		// It asks its broker how many nodes there are and does not wait for that: it is answered in turn.
		s.awaitNodes(s.a, s.namespace, 2)
	}
}

// requireEnded waits until all that was begun is over, and requires it to be whole or to be said not to be; what node a
// has itself is always there. It returns the errors.
func (s *stage) requireEnded(u *underway) map[string]reply {
	s.t.Helper()
	if r := s.a.finish("burst", u.burst); r.Error != "" {
		s.t.Errorf("burst: %s", r.Error)
	}
	failed := map[string]reply{}
	note := func(op string, answer <-chan reply) json.RawMessage {
		s.t.Helper()
		r := s.a.finish(op, answer)
		if r.Error != "" {
			failed[op] = r
		}
		return r.Result
	}
	var answers acknowledgements
	s.decode(note("broadcastAck", u.ack), &answers)
	for _, client := range []string{"a1", "a2"} {
		if !slices.Contains(answers.clients(), s.name(client)) {
			s.t.Errorf("%s is not among those who answered: %v", client, answers.clients())
		}
	}
	// An official node has no part of an answer, only all or nothing.
	if result := note("fetchSockets", u.fetch); failed["fetchSockets"].Error == "" || s.a.kind == goKind {
		var list []found
		s.decode(result, &list)
		sockets := s.byClient(list)
		if _, ok := sockets["a1"]; !ok {
			s.t.Errorf("found %v", keys(sockets))
		}
		if len(sockets) < 4 && failed["fetchSockets"].Error == "" { // then its node has left, which its client may learn later
			s.clients.awaitState(s.name("b1"), "disconnect", 1)
		}
	}
	note("serverSideAsk", u.ask)
	return failed
}

func (s *stage) decode(raw json.RawMessage, v any) {
	s.t.Helper()
	if err := json.Unmarshal(raw, v); err != nil {
		s.t.Fatalf("%s: %v", raw, err)
	}
}

// requireBurst requires clients to have received the whole burst.
func (s *stage) requireBurst(clients ...string) {
	s.t.Helper()
	for _, client := range clients {
		s.awaitEvents(client, "n", s.burstSize())
		requireNumbered(s.t, "burst at "+client, s.events(client, "n"), s.burstSize())
	}
}

// requireWhole requires the cluster to work with these clients.
func (s *stage) requireWhole(clients ...string) {
	s.t.Helper()
	requireSame(s.t, "who is found", keys(s.fetch(s.a, to{})), clients...)
	var got acknowledgements
	s.do(s.a, "broadcastAck", params{"event": "who"}, &got)
	var names []string
	for _, client := range clients {
		names = append(names, s.name(client))
	}
	requireSame(s.t, "who answers", got.clients(), names...)
	for _, node := range []*peer{s.a, s.b} {
		select {
		case <-node.ended:
		default:
			s.fence(node, "", clients...)
		}
	}
}

// requireMissing requires every call to have failed, and a Go node to have said that one node was missing.
func (s *stage) requireMissing(failed map[string]reply) {
	s.t.Helper()
	for _, op := range []string{"fetchSockets", "broadcastAck", "serverSideAsk"} {
		r, ok := failed[op]
		if !ok {
			s.t.Errorf("%s was answered without node b", op)
		} else if s.a.kind == goKind && r.Missing != 1 {
			s.t.Errorf("%s: %d nodes are missing, want 1: %s", op, r.Missing, r.Error)
		}
	}
}

// stopped: a node that hangs costs the answers it would have given and the time of the calls, and nothing else.
func stopped(s *stage) {
	u := s.begin()
	thaw := s.b.freeze()
	s.call(u, 1500)
	s.requireMissing(s.requireEnded(u))
	s.requireBurst("a1", "a2")
	thaw()
	s.requireBurst("b1", "b2")
	s.fence(s.a, "", everyone...)
	if got := s.fetch(s.a, to{rooms: []string{"joined"}}); len(got) != len(everyone) {
		s.t.Errorf("%v joined, want all", keys(got))
	}
	s.requireWhole(everyone...) // late answers harm nothing
}

// frozen: who hangs is known to be missing, though nobody is in a hurry, and there again when it goes on. Between Go nodes
// that takes three seconds; an official node sets its time, and so does who asks one.
func frozen(s *stage) {
	u := s.begin()
	timeout := 1500
	if s.a.kind == goKind && s.b.kind == goKind && s.pair.wire.Beats {
		timeout = 3_600_000
	}
	began := time.Now()
	thaw := s.b.freeze()
	s.call(u, timeout)
	s.requireMissing(s.requireEnded(u))
	s.t.Logf("%v after node b was frozen nobody waited for it", time.Since(began).Round(time.Millisecond))
	s.requireBurst("a1", "a2")
	thaw()
	s.requireBurst("b1", "b2")
	for _, node := range []*peer{s.a, s.b} {
		s.awaitNodes(node, s.namespace, 2)
	}
	s.awaitAnswers()
	s.requireWhole(everyone...)
}

// awaitAnswers waits until all answer node a. It asks again and again: no event tells.
func (s *stage) awaitAnswers() {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		r := s.a.finish("fetchSockets", s.a.begin("fetchSockets", s.here(nil)))
		if r.Error == "" {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("not all answer: %s", r.Error)
		}
	}
}

// gone: nobody waits for a node that leaves in good order.
func gone(s *stage) {
	u := s.begin()
	s.call(u, 3000)
	s.b.close()
	s.requireEnded(u)
	s.requireAlone()
}

// killed: nobody waits for a node that was killed, for longer than it takes to know.
func killed(s *stage) {
	u := s.begin()
	s.b.freeze()
	timeout := 3000
	if s.a.kind == goKind {
		timeout = 3_600_000 // an official node waits for the whole of it
	}
	s.call(u, timeout)
	s.b.kill()
	s.requireMissing(s.requireEnded(u))
	s.requireAlone()
}

// requireAlone requires node a to go on alone, and then with another node.
func (s *stage) requireAlone() {
	s.t.Helper()
	s.awaitNodes(s.a, s.namespace, 1)
	s.requireBurst("a1", "a2")
	for _, client := range []string{"b1", "b2"} {
		s.clients.awaitState(s.name(client), "disconnect", 1)
		received := s.events(client, "n")
		requireNumbered(s.t, "beginning of the burst at "+client, received, len(received))
	}
	s.requireWhole("a1", "a2")
	s.replaceB()
	s.b = (*s.cast.b).in(s.t)
	s.open(s.namespace)
	s.connect("b1", s.namespace)
	s.requireWhole("a1", "a2", "b1")
}
