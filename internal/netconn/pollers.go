package netconn

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/peal-dev/peal/internal/service"
)

// Pollers drive the connections of one or more Loops, a poller and a flusher for each core. Its zero value is ready to use:
// they start with the first connection that a poller can read, and end with the last Loop that had one. It is safe for
// concurrent use.
type Pollers struct {
	list   atomic.Pointer[[]*poller] // replaced, not changed; nil while there are none
	wanted atomic.Int32              // more than there are while the process has no descriptors
	next   atomic.Uint32             // whose turn it is to get a connection

	mu    sync.Mutex // protects the following
	loops int
	short bool // one could not be made, which was logged
}

// shared are the pollers of the Loops that have none of their own: two servers in a process need no two pollers for a core.
var shared Pollers

// of returns the pollers there are, for a connection of l. It makes those that are wanting: a process that has no descriptor
// to spare when it starts must not be without pollers for the rest of its life.
func (ps *Pollers) of(l *Loop) []*poller {
	if have := ps.list.Load(); have != nil && len(*have) >= int(ps.wanted.Load()) && l.polls.Load() {
		return *have
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if l.closed.Load() { // it may have left
		return nil
	}
	if !l.polls.Swap(true) {
		if ps.loops++; ps.loops == 1 {
			ps.wanted.Store(int32(runtime.GOMAXPROCS(0)))
		}
	}
	var have []*poller
	if before := ps.list.Load(); before != nil {
		have = append(have, *before...)
	}
	for want := int(ps.wanted.Load()); len(have) < want; {
		p, err := newPoller()
		if errors.Is(err, errors.ErrUnsupported) {
			return nil
		}
		if err != nil {
			l.unpolled.Add(1)
			if !ps.short {
				l.log().Warn("netconn: a poller cannot be made; it is tried again with every connection",
					slog.Int("pollers", len(have)), slog.Int("wanted", want), slog.Any("error", err))
			}
			ps.short = true
			break
		}
		p.flusher.wake = make(chan struct{}, 1)
		p.reading = service.Start(func(context.Context) { p.run() })
		p.flushing = service.Start(p.flusher.run)
		have = append(have, p)
	}
	if ps.short && len(have) == int(ps.wanted.Load()) {
		ps.short = false
		l.log().Info("netconn: all pollers are there", slog.Int("pollers", len(have)))
	}
	ps.list.Store(&have)
	return have
}

// leave closes the connections of l, which is closed, waits for their ends, and ends the pollers that nobody needs any more.
func (ps *Pollers) leave(l *Loop) {
	ps.mu.Lock() // so that whoever has found l open has listed it
	polls := l.polls.Load()
	ps.mu.Unlock()
	if !polls {
		return
	}
	if have := ps.list.Load(); have != nil {
		for _, p := range *have {
			p.closeAll(func(c *Conn) bool { return c.loop == l })
		}
	}
	l.running.Wait()
	ps.mu.Lock()
	var unused []*poller
	if ps.loops--; ps.loops == 0 {
		if have := ps.list.Swap(nil); have != nil {
			unused = *have
		}
		ps.short = false
	}
	ps.mu.Unlock()
	for _, p := range unused {
		p.stop()
	}
	for _, p := range unused {
		p.reading.Stop()
		p.flushing.Stop()
	}
}

// flusher writes the queues of connections that were marked dirty.
type flusher struct {
	mu    sync.Mutex
	dirty []*Conn
	spare []*Conn
	wake  chan struct{}
}

// add marks c dirty. The caller has set c's scheduled state, so that a connection is listed once.
func (f *flusher) add(c *Conn) {
	f.mu.Lock()
	f.dirty = append(f.dirty, c)
	first := len(f.dirty) == 1
	f.mu.Unlock()
	if first {
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
}

func (f *flusher) run(ctx context.Context) {
	for {
		select {
		case <-f.wake:
		case <-ctx.Done():
			return
		}
		for {
			f.mu.Lock()
			batch := f.dirty
			f.dirty, f.spare = f.spare[:0], nil
			f.mu.Unlock()
			if len(batch) == 0 {
				f.spare = batch
				break
			}
			for i, c := range batch {
				c.flushScheduled()
				batch[i] = nil
			}
			f.spare = batch
		}
	}
}
