package groups_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/eventlog/filelog"
	"github.com/peal-dev/peal/eventlog/groups"
	"github.com/peal-dev/peal/eventlog/memlog"
	"github.com/peal-dev/peal/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// fill appends the numbers from a to b, each as an item of its own.
func fill(t *testing.T, store eventlog.Store, from, to int, p *eventlog.Policy) eventlog.Topic {
	t.Helper()
	topic, err := store.Topic(t.Context(), "jobs", p)
	if err != nil {
		t.Fatal(err)
	}
	for i := from; i < to; i++ {
		if _, err := topic.Append(t.Context(), &eventlog.Batch{Items: []eventlog.Item{{Data: fmt.Append(nil, i)}}}); err != nil {
			t.Fatal(err)
		}
	}
	return topic
}

func open(t *testing.T, store eventlog.Store, o *groups.Options) *groups.Group {
	t.Helper()
	g, err := groups.Open(t.Context(), store, "jobs", "workers", o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func next(t *testing.T, g *groups.Group, n int) *groups.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	d, err := g.Next(ctx, "a", n)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func text(d *groups.Delivery) (all []string) {
	for _, i := range d.Items {
		all = append(all, string(i.Data))
	}
	return all
}

func same(t *testing.T, d *groups.Delivery, attempt int, want ...string) {
	t.Helper()
	if got := text(d); !slices.Equal(got, want) || d.Attempt != attempt {
		t.Fatalf("delivered %q, the attempt %d; want %q, %d", got, d.Attempt, want, attempt)
	}
}

// Consumers of two nodes share a topic while it grows: each item is dealt with once.
func TestShare(t *testing.T) {
	t.Parallel()
	store := memlog.New()
	const items, consumers = 3000, 8
	nodes := []*groups.Group{open(t, store, nil), open(t, store, nil)}
	var (
		mu      sync.Mutex
		seen    = map[string]int{}
		working sync.WaitGroup
	)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i := range consumers {
		working.Go(func() {
			for {
				d, err := nodes[i%2].Next(ctx, fmt.Sprint(i), 3)
				if errors.Is(err, eventlog.ErrEnded) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for _, s := range text(d) {
					seen[s]++
				}
				mu.Unlock()
				if err := d.Ack(ctx); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	topic := fill(t, store, 0, items, nil)
	if _, err := topic.Append(ctx, &eventlog.Batch{End: true}); err != nil {
		t.Fatal(err)
	}
	working.Wait()
	for i := range items {
		if n := seen[fmt.Sprint(i)]; n != 1 {
			t.Fatalf("item %d was given %d times", i, n)
		}
	}
	log, err := store.Topic(ctx, "__group/jobs/workers", nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := log.Bounds(ctx); err != nil || b.Count > 1100 {
		t.Errorf("the group has %d changes, %v", b.Count, err)
	}
	if st, err := open(t, store, nil).Status(ctx); err != nil || st.Leases != 0 || st.Cursor != st.Next {
		t.Errorf("the group is %+v, %v", st, err)
	}
}

// Who waits while others deal with the last items hears that it is over.
func TestEndIsHeard(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range 500 {
		store := memlog.New()
		topic := fill(t, store, 0, 4, nil)
		if _, err := topic.Append(ctx, &eventlog.Batch{End: true}); err != nil {
			t.Fatal(err)
		}
		g := open(t, store, nil)
		var working sync.WaitGroup
		for range 4 {
			working.Go(func() {
				for {
					d, err := g.Next(ctx, "a", 1)
					if errors.Is(err, eventlog.ErrEnded) {
						return
					}
					if err == nil {
						err = d.Ack(ctx)
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		working.Wait()
	}
}

// What a consumer does not acknowledge in time another one gets, before what is new; and the first one is told.
func TestTakeover(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memlog.New()
		fill(t, store, 0, 4, nil)
		g, other := open(t, store, &groups.Options{Lease: time.Minute}), open(t, store, &groups.Options{Lease: time.Minute})
		dead, slow := next(t, g, 2), next(t, other, 1)
		same(t, dead, 1, "0", "1")
		same(t, slow, 1, "2")
		time.Sleep(40 * time.Second)
		if err := slow.Extend(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(25 * time.Second)
		again := next(t, other, 2)
		same(t, again, 2, "0", "1")
		same(t, next(t, g, 5), 1, "3")
		for _, f := range []func(context.Context) error{dead.Ack, dead.Extend, dead.Release} {
			if err := f(t.Context()); !errors.Is(err, groups.ErrLost) {
				t.Errorf("who came too late is told %v", err)
			}
		}
		if err := slow.Ack(t.Context()); err != nil {
			t.Error(err)
		}
		if err := again.Release(t.Context()); err != nil {
			t.Error(err)
		}
		third := next(t, g, 2)
		same(t, third, 3, "0", "1")
		if st, err := g.Status(t.Context()); err != nil || st.Leases != 2 || !st.Cursor.IsZero() && st.Cursor != third.Items[0].Prev {
			t.Errorf("the group is %+v, %v", st, err)
		}
		// Who waits gets it when the lease is over, though nothing happens otherwise.
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if d, err := other.Next(ctx, "b", 1); err != nil || time.Since(start) > 61*time.Second {
			t.Errorf("waited %v: %v, %v", time.Since(start), d, err)
		}
	})
}

// A group is where it was after a restart, and what was not acknowledged comes again.
func TestRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for round := range 3 {
		store, err := filelog.Open(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		fill(t, store, round*2, round*2+2, nil)
		g := open(t, store, nil)
		d := next(t, g, 1)
		if round == 0 {
			same(t, d, 1, "0")
		} else {
			same(t, d, 2, fmt.Sprint(round*2-1))
			if err := d.Ack(t.Context()); err != nil {
				t.Fatal(err)
			}
			d = next(t, g, 1)
			same(t, d, 1, fmt.Sprint(round*2))
		}
		if err := d.Ack(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := next(t, g, 1).Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Items that were trimmed before they were dealt with are told, once, and the rest is given.
func TestTrimmed(t *testing.T) {
	t.Parallel()
	store := memlog.New()
	fill(t, store, 0, 3, &eventlog.Policy{Count: 3})
	g := open(t, store, nil)
	same(t, next(t, g, 1), 1, "0")
	fill(t, store, 3, 8, nil)
	var lost *eventlog.OffsetError
	if _, err := g.Next(t.Context(), "a", 1); !errors.As(err, &lost) {
		t.Fatalf("told %v", err)
	}
	same(t, next(t, g, 2), 1, "5", "6")
}

// There are at most so many deliveries out.
func TestBound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memlog.New()
		fill(t, store, 0, 3, nil)
		g := open(t, store, &groups.Options{Leases: 2})
		first := next(t, g, 1)
		next(t, g, 1)
		got := make(chan *groups.Delivery, 1)
		go func() {
			d, _ := g.Next(t.Context(), "b", 1)
			got <- d
		}()
		synctest.Wait()
		select {
		case d := <-got:
			t.Fatalf("a third delivery: %q", text(d))
		default:
		}
		if err := first.Ack(t.Context()); err != nil {
			t.Fatal(err)
		}
		same(t, <-got, 1, "2")
	})
}

func Example() {
	ctx := context.Background()
	store := memlog.New()
	defer func() { _ = store.Close() }()
	topic, err := store.Topic(ctx, "jobs", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = topic.Append(ctx, &eventlog.Batch{Items: []eventlog.Item{{Data: []byte("resize 17")}, {Data: []byte("resize 18")}}})
	group, err := groups.Open(ctx, store, "jobs", "resizers", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	delivery, err := group.Next(ctx, "worker-1", 10)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, item := range delivery.Items {
		fmt.Println(string(item.Data))
	}
	fmt.Println(delivery.Ack(ctx))
	st, err := group.Status(ctx)
	fmt.Println(st.Cursor == delivery.Items[1].Offset, st.Next != message.Offset{}, err)
	// Output:
	// resize 17
	// resize 18
	// <nil>
	// true true <nil>
}
