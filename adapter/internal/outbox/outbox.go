// Package outbox is the sending side of a driver: what is given to it leaves in order, all that waits at once in one batch,
// and what waits is bounded.
package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/internal/service"
)

// Bounds of a batch, and of what waits and nobody waits for: answers to other nodes' questions, which may be large.
const (
	maxBatch      = 256
	maxBatchBytes = 8 << 20
	maxPosted     = 64 << 20
)

// A batch costs the broker, and the nodes that hear it, little more than one of its messages, so one may wait for company:
// linger long, if fewer than enough wait. Where nothing came twice, it is tried again after so many batches.
const (
	linger = 100 * time.Microsecond
	enough = 16
	again  = 32
)

// DefaultSize and DefaultTimeout are the defaults of [Options].
const (
	DefaultSize    = 4096
	DefaultTimeout = 3 * time.Second
)

// Options configure an [Outbox].
type Options[T any] struct {
	// Size is how many items may wait. 0 means DefaultSize.
	Size int
	// Timeout is how long an item may wait until its batch begins; half of it waiting for room. Flush is to take no longer
	// than about as much. 0 means DefaultTimeout.
	Timeout time.Duration
	// Flush sends a batch in its order and sets the Err of each item that was not accepted: errors that wrap those of
	// package adapter. It may set Value, to return something to the one who waits. ctx ends when the outbox is closed.
	// Required.
	Flush func(ctx context.Context, batch []*Item[T])
	// First reports whether v has to be the first of its batch: it depends on what became of all that was given before it. Nil
	// means that nothing does.
	First func(v *T) bool
}

// Item is something to be sent, and what became of it.
type Item[T any] struct {
	Value T
	Err   error

	size      int
	result    chan struct{} // nil if nobody waits
	deadline  time.Time
	abandoned atomic.Bool
}

// Outbox sends what is given to it. It is safe for concurrent use.
type Outbox[T any] struct {
	opts    Options[T]
	queue   chan *Item[T]
	posted  atomic.Int64 // bytes that wait and nobody waits for
	service *service.Service
	items   sync.Pool
}

// New returns an outbox. Close it.
func New[T any](opts Options[T]) *Outbox[T] {
	if opts.Size <= 0 {
		opts.Size = DefaultSize
	}
	if opts.Timeout <= 0 {
		opts.Timeout = DefaultTimeout
	}
	o := &Outbox[T]{opts: opts, queue: make(chan *Item[T], opts.Size)}
	o.service = service.Start(o.run)
	return o
}

// Close fails what waits with [adapter.ErrClosed], and returns when Flush has.
func (o *Outbox[T]) Close() { o.service.Stop() }

// Send sends v, of about size bytes, and returns when that is done, with what Flush made of it, or within about twice the
// Timeout with an error: Flush's own, or one that wraps [adapter.ErrOverloaded], [adapter.ErrUnavailable],
// [adapter.ErrClosed] or ctx's error. What ctx has given up while it waited is not sent.
func (o *Outbox[T]) Send(ctx context.Context, v T, size int) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	i, _ := o.items.Get().(*Item[T])
	if i == nil {
		i = &Item[T]{result: make(chan struct{}, 1)}
	}
	i.Value, i.Err, i.size, i.deadline = v, nil, size, time.Now().Add(o.opts.Timeout)
	select {
	case o.queue <- i:
	default:
		if err := o.room(ctx, i); err != nil {
			return none, err
		}
	}
	select {
	case <-i.result:
		v, err := i.Value, i.Err
		i.Value, i.Err = none, nil
		o.items.Put(i)
		return v, err
	case <-ctx.Done():
		// The item is not used again: its result may come yet.
		i.abandoned.Store(true)
		return none, ctx.Err()
	case <-o.service.Done():
		return none, adapter.ErrClosed
	}
}

// room puts i into a queue that is full, if there is room soon.
func (o *Outbox[T]) room(ctx context.Context, i *Item[T]) error {
	// Half, for when the broker hangs the queue moves on after the whole: the truth then is that too much waits.
	timer := time.NewTimer(o.opts.Timeout / 2)
	defer timer.Stop()
	select {
	case o.queue <- i:
		return nil
	case <-timer.C:
		return fmt.Errorf("%w: the queue of %d is full", adapter.ErrOverloaded, cap(o.queue))
	case <-ctx.Done():
		return ctx.Err()
	case <-o.service.Done():
		return adapter.ErrClosed
	}
}

var errPosted = fmt.Errorf("%w: too much waits that nobody waits for", adapter.ErrOverloaded)

// Post sends v, of about size bytes, and does not wait. It fails if too much waits already.
func (o *Outbox[T]) Post(v T, size int) error {
	if total := o.posted.Add(int64(size)); total > maxPosted && total > int64(size) {
		o.posted.Add(-int64(size))
		return errPosted
	}
	i := &Item[T]{Value: v, size: size, deadline: time.Now().Add(o.opts.Timeout)}
	select {
	case o.queue <- i:
		return nil
	default:
		o.posted.Add(-int64(size))
		return errPosted
	}
}

func (o *Outbox[T]) run(ctx context.Context) {
	var batch []*Item[T]
	var held *Item[T] // has no place in the batch before
	var company gathering
	for {
		first := held
		if first == nil {
			select {
			case <-ctx.Done():
				return
			case first = <-o.queue:
			}
		}
		company.wait(ctx, func() int { return len(o.queue) })
		batch, held = o.collect(append(batch[:0], first))
		company.last = len(batch)
		if len(batch) > 0 {
			o.opts.Flush(ctx, batch)
		}
		for _, i := range batch {
			if i.Err != nil && ctx.Err() != nil && !errors.Is(i.Err, adapter.ErrClosed) {
				i.Err = adapter.ErrClosed
			}
			o.finish(i)
		}
		clear(batch)
		if ctx.Err() != nil {
			return
		}
	}
}

// gathering is what a run knows of how items come.
type gathering struct {
	last   int // items of the batch before
	misses int // how often nothing came, in turn
	skip   int // batches that do not wait, as nothing came the last times
}

// wait lets more items come, if it looks as if they do: who was alone in the batch before is not held up, nor are
// publishers that wait for an answer each before they go on.
func (g *gathering) wait(ctx context.Context, waiting func() int) {
	before := waiting()
	if g.last < 2 || before >= enough {
		return
	}
	if g.skip > 0 {
		g.skip--
		return
	}
	timer := time.NewTimer(linger)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	if waiting() > before {
		g.misses = 0
	} else if g.misses++; g.misses >= 2 {
		g.skip = again
	}
}

// collect adds what else waits to the batch, without what was given up and what waited too long. It returns also what
// has no place in it.
func (o *Outbox[T]) collect(batch []*Item[T]) (kept []*Item[T], held *Item[T]) {
	for size := batch[0].size; len(batch) < maxBatch; {
		select {
		case i := <-o.queue:
			if size += i.size; size > maxBatchBytes || o.opts.First != nil && o.opts.First(&i.Value) {
				held = i
				break
			}
			batch = append(batch, i)
			continue
		default:
		}
		break
	}
	now := time.Now()
	kept = batch[:0]
	for _, i := range batch {
		switch {
		case i.abandoned.Load():
		case now.After(i.deadline):
			i.Err = fmt.Errorf("%w: waited too long to be published", adapter.ErrUnavailable)
			o.finish(i)
		default:
			kept = append(kept, i)
		}
	}
	return kept, held
}

func (o *Outbox[T]) finish(i *Item[T]) {
	if i.result == nil {
		o.posted.Add(-int64(i.size))
		return
	}
	i.result <- struct{}{}
}
