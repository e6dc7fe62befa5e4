package chaos

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/interop/wire"
	"github.com/peal-dev/peal/message"
)

// counting is how long it takes until what is lost in a room that was joined is counted: then there was a beat of every node.
const counting = 3 * time.Second

// patience is how long what must come is waited for.
const patience = 30 * time.Second

// Options say what is played.
type Options struct {
	Wire *wire.Wire
	// URLs lead each node to the broker. Their number is that of the nodes.
	URLs []string
	// Rate is how many messages each node publishes in a second, one after another, to each audience; while the broker is
	// away it is what the driver lets through.
	Rate int
	// Hold is how long a fault lasts.
	Hold time.Duration
	// Hit is how many of the nodes the fault hits, the first ones. 0 means all.
	Hit int
	// Fault makes it, and returns what ends it and says when the broker was back.
	Fault func() (end func() (back time.Time))
}

// audiences are those who are published to: a number counts for one of them, as nothing is promised about the order of what
// is for different ones.
var audiences = []struct {
	name   string
	target message.Target
}{
	{"all", message.Target{}},
	{"room", message.Target{Rooms: []string{"room"}}},
}

// node is one of the cluster, with a member that hears everything.
type node struct {
	driver  adapter.Driver
	adapter *adapter.Adapter
	ear     *ear
	sent    [][]sending // by audience and number
}

// sending is one attempt to publish.
type sending struct {
	at  time.Time
	err error
}

// Run plays one fault and returns what it cost. It takes the time of the fault and about a second more.
func Run(t testing.TB, o Options) *Report {
	t.Helper()
	nodes := make([]*node, len(o.URLs))
	for i, url := range o.URLs {
		nodes[i] = startNode(t, o.Wire, url, len(o.URLs))
	}
	stop := make(chan struct{})
	var publishing sync.WaitGroup
	for i, n := range nodes {
		publishing.Go(func() { n.publish(i, o.Rate, stop) })
	}
	var once sync.Once
	quiet := func() { once.Do(func() { close(stop); publishing.Wait() }) }
	t.Cleanup(quiet)

	begun := time.Now()
	awaitHeard(t, nodes, begun, "before the fault")
	if o.Wire.Counts {
		time.Sleep(counting)
	}
	end := o.Fault()
	time.Sleep(o.Hold)
	back := end()
	awaitHeard(t, nodes, back, "after the fault")
	time.Sleep(min(o.Hold, time.Second)) // so that what is not whole yet shows
	quiet()
	last := time.Now()
	settle(nodes)
	r := evaluate(nodes, o.Hit, back)
	for deadline := time.Now().Add(patience); o.Wire.Counts && r.Found < uint64(r.Lost) && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		heal := r.Heal
		r = evaluate(nodes, o.Hit, back)
		r.Heal = heal
	}
	r.Counting = time.Since(last)
	return r
}

func startNode(t testing.TB, w *wire.Wire, url string, count int) *node {
	t.Helper()
	driver, err := w.Driver(url, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	n := &node{driver: driver, ear: newEar(count), sent: make([][]sending, len(audiences))}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if n.adapter != nil {
			_ = n.adapter.Close(ctx) // the broker may be gone
		}
		if err := driver.Close(ctx); err != nil {
			t.Errorf("closing the driver: %v", err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if n.adapter, err = adapter.New(ctx, "/", driver, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := n.adapter.Add(ctx, n.ear, "room"); err != nil {
		t.Fatal(err)
	}
	return n
}

// publish publishes until it is stopped.
func (n *node) publish(self, rate int, stop <-chan struct{}) {
	ticker := time.NewTicker(time.Second / time.Duration(rate))
	defer ticker.Stop()
	for number := 0; ; number++ {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		for i, audience := range audiences {
			at := time.Now()
			m := message.New(fmt.Appendf(nil, `["%d:%d:%d:%d"]`, i, self, number, at.UnixMicro()))
			err := n.adapter.Broadcast(context.Background(), m, audience.target)
			n.sent[i] = append(n.sent[i], sending{at, err})
		}
	}
}

// awaitHeard waits until every node has heard every other, in each audience, with something that was published after then.
func awaitHeard(t testing.TB, nodes []*node, then time.Time, when string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		deaf := ""
		for r, receiver := range nodes {
			for p := range nodes {
				for a := range audiences {
					if receiver.ear.last(a, p).published.Before(then) {
						deaf = fmt.Sprintf("node %d hears nothing of node %d for %s", r, p, audiences[a].name)
					}
				}
			}
		}
		if deaf == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s %s", deaf, when)
		}
	}
}

// settle waits until the last that was published has arrived, or long enough.
func settle(nodes []*node) {
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		whole := true
		for _, receiver := range nodes {
			for p, publisher := range nodes {
				for a := range audiences {
					whole = whole && receiver.ear.last(a, p).number == len(publisher.sent[a])-1
				}
			}
		}
		if whole {
			return
		}
	}
}
