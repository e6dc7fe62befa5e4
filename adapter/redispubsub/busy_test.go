package redispubsub_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/internal/testredis"
	"github.com/peal-dev/peal/message"
)

// gate is a member whose walk is held up until it is opened, as thousands of members would.
type gate struct {
	*adaptertest.Member
	reached chan struct{} // closed at the first delivery or description
	open    chan struct{}
}

func newGate(id string) *gate {
	return &gate{adaptertest.NewMember(id), make(chan struct{}), make(chan struct{})}
}

func (g *gate) wait() {
	select {
	case <-g.reached:
	default:
		close(g.reached)
	}
	<-g.open
}

func (g *gate) Deliver(m *message.Message) {
	g.wait()
	g.Member.Deliver(m)
}

func (g *gate) Snapshot() ([]byte, error) {
	g.wait()
	return fmt.Appendf(nil, `{"id":%q}`, g.ID()), nil
}

// joinNamespace returns an adapter of namespace on d.
func joinNamespace(t *testing.T, d adapter.Driver, namespace string) *adapter.Adapter {
	t.Helper()
	a, err := adapter.New(t.Context(), namespace, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestNamespacesDoNotWait holds up the walk of one namespace: the others receive, and readiness tells which is stuck.
func TestNamespacesDoNotWait(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	near, far := newDriver(t, redispubsub.Options{URL: server.URL(), Timeout: time.Second}), newDriver(t, redispubsub.Options{URL: server.URL()})
	slow, fast := joinNamespace(t, near, "/slow"), joinNamespace(t, near, "/fast")
	toSlow, toFast := joinNamespace(t, far, "/slow"), joinNamespace(t, far, "/fast")
	g, m := newGate("g"), adaptertest.NewMember("m")
	slow.Add(t.Context(), g)
	fast.Add(t.Context(), m)

	const each = 100
	for i := range each {
		if err := errors.Join(toSlow.Broadcast(t.Context(), newMessage(fmt.Sprint(i)), message.Target{}),
			toFast.Broadcast(t.Context(), newMessage(fmt.Sprint(i)), message.Target{})); err != nil {
			t.Fatal(err)
		}
	}
	<-g.reached
	for i := range each {
		if got := m.Next(t).Event(); got != fmt.Sprint(i) {
			t.Fatalf("message %d is %s", i, got)
		}
	}
	// Busy is ready at first, and stuck is not.
	for {
		err := slow.Ping(t.Context())
		if errors.Is(err, adapter.ErrUnavailable) && strings.Contains(err.Error(), "wait for") {
			break
		}
		if err != nil {
			t.Fatalf("Ping of the namespace that is held up: %v", err)
		}
	}
	if err := fast.Ping(t.Context()); err != nil {
		t.Errorf("Ping of the other namespace: %v", err)
	}
	close(g.open)
	for i := range each {
		if got := g.Next(t).Event(); got != fmt.Sprint(i) {
			t.Fatalf("message %d is %s", i, got)
		}
	}
	if err := slow.Ping(t.Context()); err != nil {
		t.Errorf("Ping of the namespace that goes on: %v", err)
	}
	if s := near.Stats(); s.Dropped != 0 || s.Waiting != 0 {
		t.Errorf("stats = %+v", s)
	}
}

// TestOverflow sends more than waits at most: what is dropped is counted and told as a gap, changes of rooms are kept, and
// what is delivered is in order.
func TestOverflow(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	const size, sent = 16, 100
	var log logBuffer
	near := newDriver(t, redispubsub.Options{URL: server.URL(), InboxSize: size, Logger: log.logger()})
	slow := joinNamespace(t, near, "/slow")
	far := joinNamespace(t, newDriver(t, redispubsub.Options{URL: server.URL()}), "/slow")
	g := newGate("g")
	slow.Add(t.Context(), g)
	publish := func(event string) {
		t.Helper()
		if err := far.Broadcast(t.Context(), newMessage(event), message.Target{}); err != nil {
			t.Fatal(err)
		}
	}
	publish("first")
	<-g.reached
	for i := range sent {
		publish(fmt.Sprint(i))
	}
	if err := far.JoinRooms(t.Context(), message.Target{}, "joined"); err != nil {
		t.Fatal(err)
	}
	if err := slow.Ping(t.Context()); err != nil { // comes after all of it
		t.Fatal(err)
	}
	s := near.Stats()
	if s.Dropped != sent-size || s.Gaps[adapter.GapOverflow] != 1 || !s.LastGap.To.IsZero() || s.LastGap.Namespace != "/slow" || s.Waiting != size+1 {
		t.Errorf("stats = %+v, want %d dropped and a gap that lasts", s, sent-size)
	}
	close(g.open)
	for _, want := range append([]string{"first"}, numbers(size)...) {
		if got := g.Next(t).Event(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	publish("after")
	if got := g.Next(t).Event(); got != "after" {
		t.Errorf("got %s after the overflow", got)
	}
	if !slow.HasRoom("joined") {
		t.Error("the join was dropped")
	}
	s = near.Stats()
	if s.Gaps[adapter.GapOverflow] != 1 || s.LastGap.To.Before(s.LastGap.From) || s.LastGap.Dropped != sent-size {
		t.Errorf("stats = %+v, want a gap of %d messages that is over", s, sent-size)
	}
	if got := log.text(); !strings.Contains(got, "may be missing") || !strings.Contains(got, fmt.Sprint("dropped=", sent-size)) {
		t.Errorf("the log does not tell of the gap:\n%s", got)
	}
}

func numbers(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprint(i))
	}
	return list
}

// TestQuestionsDoNotHoldUp asks for the sockets of a node again and again while the answer takes for ever: messages and
// probes pass by, what waits is bounded, and the same question is answered once for many.
func TestQuestionsDoNotHoldUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g := newGate("g")
	b.a.Add(t.Context(), g, "room")
	ask := func(id, room string) {
		b.publish("socket.io-request#/#", fmt.Sprintf(`{"uid":"2eQfCs","requestId":%q,"type":5,"opts":{"rooms":[%q],"except":[]}}`, id, room))
	}
	ask("in hand", "room")
	<-g.reached
	const same, others = 50, 500
	for i := range others {
		ask(fmt.Sprint("other", i), fmt.Sprint("nobody", i))
	}
	for i := range same {
		ask(fmt.Sprint("same", i), "room")
	}
	b.publish("socket.io-request#/#", `{"uid":"2eQfCs","type":2,"opts":{"rooms":["m"],"except":[]},"rooms":["joined"]}`)
	b.fence(b.m)
	if !b.a.HasRoom("joined") {
		t.Error("a join waits for answers")
	}
	if err := b.a.Ping(t.Context()); err != nil {
		t.Errorf("Ping while questions wait: %v", err)
	}
	unanswered := int(b.a.Stats().Unanswered)
	if unanswered < others-100 {
		t.Errorf("%d of %d questions were given up", unanswered, others)
	}
	close(g.open)
	answers := map[string]string{}
	for len(answers) < 1+same+others-unanswered {
		m := b.next()
		if id, rest, ok := strings.Cut(strings.TrimPrefix(m.payload, `{"requestId":"`), `","sockets":`); ok {
			answers[id] = rest
		}
	}
	for i := range same {
		if got := answers[fmt.Sprint("same", i)]; got != `[{"id":"g"}]}` {
			t.Errorf("answer to same%d: %q", i, got)
		}
	}
	if got := answers[fmt.Sprint("other", others-1)]; got != `[]}` {
		t.Errorf("answer to the last of the others: %q", got)
	}
	if _, ok := answers["other0"]; ok {
		t.Error("the oldest question was not the first to be given up")
	}
}
