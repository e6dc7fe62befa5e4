package adapter_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// An adapter without a log has nothing of its driver's: delivery is local first, without an offset and without an allocation,
// whether or not the cluster is there.
func TestBroadcastWithoutALogCostsNothing(t *testing.T) {
	c := adaptertest.NewCluster()
	d := c.NewSequencer()
	a, err := adapter.New(t.Context(), "/", d, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(a.Close(context.Background()), d.Close(context.Background())) })
	m := &reader{id: "m"}
	if _, err := a.Add(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	c.Fail(errors.New("away"))
	if err := a.Broadcast(t.Context(), message.New([]byte(`["n",1]`)), message.Target{}); !errors.Is(err, adapter.ErrUnavailable) {
		t.Fatalf("error %v", err)
	}
	if a.Shared() || a.Logged() || fmt.Sprint(m.got(), m.offsets) != "[[1]] [0-0]" {
		t.Fatalf("given %v at %v", m.got(), m.offsets)
	}
	c.Fail(nil)
	a.Remove("m")
	quiet := &silent{}
	if _, err := a.Add(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	msg := message.New([]byte(`["n",1]`))
	if n := testing.AllocsPerRun(100, func() { _ = a.Broadcast(t.Context(), msg, message.Target{Local: true}) }); n > 0 {
		t.Errorf("%v allocations for a broadcast", n)
	}
}

// silent is a member that keeps nothing.
type silent struct{}

func (*silent) ID() string               { return "silent" }
func (*silent) Deliver(*message.Message) {}
func (*silent) Disconnect(bool)          {}

// With a common log nobody gets what the cluster did not take; one that joins in the background is followed when it is there.
func TestBackgroundFollows(t *testing.T) {
	t.Parallel()
	c := adaptertest.NewCluster()
	d := c.NewSequencer()
	release := c.Hold()
	a, err := adapter.New(t.Context(), "/", adapter.Background(d, nil), &adapter.Options{Log: eventlog.NewMemory(nil)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(a.Close(context.Background()), d.Close(context.Background())) })
	m := adaptertest.NewMember("m")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Add(ended, m); !a.Shared() || !errors.Is(err, context.Canceled) {
		t.Fatalf("shared: %v, %v", a.Shared(), err)
	}
	if err := a.Broadcast(ended, message.New([]byte(`["lost"]`)), message.Target{}); err == nil {
		t.Fatal("taken by a cluster that hangs")
	}
	release()
	if err := a.Broadcast(t.Context(), message.New([]byte(`["kept"]`)), message.Target{}); err != nil {
		t.Fatal(err)
	}
	if got := m.Next(t); got.Event() != "kept" || got.Offset.IsZero() {
		t.Fatalf("%q at %v", got.Event(), got.Offset)
	}
	if err := a.SaveSessions(t.Context(), []*adapter.Session{{PID: "p", ID: "x"}}, 1); err != nil {
		t.Fatal(err)
	}
	if s, err := a.TakeSession(t.Context(), "p"); err != nil || s == nil || s.ID != "x" {
		t.Fatalf("%v, %v", s, err)
	}
}

// Two nodes with a common log: a member that was cut off the one goes on at the other.
func ExampleSequencer() {
	ctx := context.Background()
	cluster := adaptertest.NewCluster() // in a program: redisstreams.New
	var nodes [2]*adapter.Adapter
	for i := range nodes {
		driver := cluster.NewSequencer()
		defer driver.Close(ctx)
		var err error
		if nodes[i], err = adapter.New(ctx, "/", driver, &adapter.Options{Log: eventlog.NewMemory(nil)}); err != nil {
			fmt.Println(err)
			return
		}
		defer nodes[i].Close(ctx)
	}
	m := &reader{id: "m"}
	if _, err := nodes[0].Add(ctx, m, "news"); err != nil {
		fmt.Println(err)
		return
	}
	send := func(n int) {
		if err := nodes[0].Broadcast(ctx, message.New(fmt.Appendf(nil, `["n",%d]`, n)), message.Target{Rooms: []string{"news"}}); err != nil {
			fmt.Println(err)
		}
	}
	send(1)
	absence, _ := nodes[0].Suspend(m)
	session := absence.Session()
	send(2)

	back := &reader{id: "m", came: make(chan struct{}, 1)}
	away := nodes[1].Adopt(session)
	nodes[1].Claim(away, back)
	_, err := nodes[1].Resume(ctx, back, adapter.Resumption{Absence: away, After: m.offsets[0]})
	<-back.came // with Resume, or right after it, if this node comes to the message later than the other
	fmt.Println(m.got(), back.got(), err)
	// Output: [[1]] [[2]] <nil>
}
