package groups

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// Defaults of [Options].
const (
	DefaultLease  = 30 * time.Second
	DefaultLeases = 1000
)

// ErrLost says that a delivery is another consumer's by now, or was acknowledged.
var ErrLost = errors.New("groups: the lease is over")

// Options are those of a [Group]. The zero value means the defaults.
type Options struct {
	// Lease is how long a consumer has for what it was given, unless it extends that. 0 means DefaultLease.
	Lease time.Duration
	// Leases is how many deliveries of the group may be out at once. 0 means DefaultLeases.
	Leases int
}

// Group is a group of consumers of a topic. [Open] makes one; it needs no closing. It is safe for concurrent use.
type Group struct {
	topic, log eventlog.Topic
	opts       Options

	mu      sync.Mutex // protects the following
	after   message.Offset
	n       uint64 // number of the next change, from 1 on
	state   state
	changes int // since the last summary
}

// prefix begins the names of the topics of groups.
const prefix = "__group/"

// author is the producer that numbers changes.
const author = "group"

// Open returns a group of a topic by its name, which is made if there is none and then begins with the oldest item. The store
// must outlive it. Nil options mean the defaults.
func Open(ctx context.Context, store eventlog.Store, topic, name string, o *Options) (*Group, error) {
	if err := eventlog.CheckName("group", name); err != nil {
		return nil, err
	}
	t, err := store.Topic(ctx, topic, nil)
	if err != nil {
		return nil, fmt.Errorf("groups: %w", err)
	}
	log, err := store.Topic(ctx, prefix+topic+"/"+name, &eventlog.Policy{Age: -1, Count: -1, Bytes: -1})
	if err != nil {
		return nil, fmt.Errorf("groups: group %q of topic %q: %w", name, topic, err)
	}
	g := &Group{topic: t, log: log, n: 1}
	if o != nil {
		g.opts = *o
	}
	g.opts.Lease = cmp.Or(g.opts.Lease, DefaultLease)
	g.opts.Leases = cmp.Or(g.opts.Leases, DefaultLeases)
	return g, g.sync(ctx)
}

// Status says how far a group is.
type Status struct {
	Cursor message.Offset // up to here all was acknowledged
	Next   message.Offset // behind this nothing was given to anybody
	Leases int            // deliveries that are out, or wait for another consumer
}

// Status reads how far the group is.
func (g *Group) Status(ctx context.Context) (Status, error) {
	if err := g.sync(ctx); err != nil {
		return Status{}, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return Status{Cursor: g.state.cursor(), Next: g.state.Next, Leases: len(g.state.Leases)}, nil
}

// readChanges is how many changes are read at once.
const readChanges = 1000

// sync reads what others have changed.
func (g *Group) sync(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		items, err := g.log.Read(ctx, g.after, readChanges)
		var lost *eventlog.OffsetError
		if errors.As(err, &lost) && !g.after.IsZero() { // another one has summed up and trimmed
			g.after, g.n, g.state = message.Offset{}, 1, state{}
			continue
		}
		if err != nil {
			return fmt.Errorf("groups: %w", err)
		}
		if len(items) == 0 {
			return nil
		}
		for i := range items {
			var r record
			if err := json.Unmarshal(items[i].Data, &r); err != nil {
				return fmt.Errorf("groups: the change at %s: %w", items[i].Offset, err)
			}
			g.state.apply(&r)
			g.n, g.after = r.N+1, items[i].Offset
			g.changes++
			if r.All != nil {
				g.changes = 0
			}
		}
	}
}

// view returns the state, the number of the change that may come next, and behind what that will be.
func (g *Group) view() (s state, n uint64, after message.Offset) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return state{Next: g.state.Next, Leases: slices.Clone(g.state.Leases)}, g.n, g.after
}

// change appends r as number n, and reads it. It reports false if another one was first.
func (g *Group) change(ctx context.Context, n uint64, r record) (bool, error) {
	r.N = n
	data, err := json.Marshal(r)
	if err != nil {
		return false, fmt.Errorf("groups: %w", err)
	}
	a, err := g.log.Append(ctx, &eventlog.Batch{Items: []eventlog.Item{{Data: data}}, Producer: author, Seq: n - 1})
	if err != nil {
		return false, fmt.Errorf("groups: %w", err)
	}
	if err := g.sync(ctx); err != nil {
		return false, err
	}
	return !a.Duplicate, g.sumUp(ctx)
}

// maxChanges is how many changes there are before they are summed up.
const maxChanges = 1000

// sumUp writes what the group has come to and trims what led there, once in a while.
func (g *Group) sumUp(ctx context.Context) error {
	g.mu.Lock()
	worth, floor, n := g.changes >= maxChanges, g.after, g.n
	all := state{Next: g.state.Next, Leases: slices.Clone(g.state.Leases)}
	g.mu.Unlock()
	if !worth {
		return nil
	}
	data, err := json.Marshal(record{N: n, All: &all})
	if err != nil {
		return fmt.Errorf("groups: %w", err)
	}
	a, err := g.log.Append(ctx, &eventlog.Batch{Items: []eventlog.Item{{Data: data}}, Producer: author, Seq: n - 1})
	if err != nil || a.Duplicate {
		return err // another time
	}
	if err := g.sync(ctx); err != nil {
		return err
	}
	return g.log.Trim(ctx, floor)
}
