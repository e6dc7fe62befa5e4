package netconn

import (
	"errors"
	"math"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
)

// ErrLoopClosed is the cause with which the connections of a closed Loop end.
var ErrLoopClosed = errors.New("netconn: the server is shutting down")

// Stats counts what happened to the connections of a Loop since it was made.
type Stats struct {
	Conns   int64  // open now
	Polled  int64  // of these, driven by the poller
	Slow    uint64 // closed because their queue was full
	Dropped uint64 // droppable writes that a connection could not take
	Writes  uint64 // system calls that wrote
	Frames  uint64 // slices these took along
}

// Loop drives connections. Its zero value is ready to use: pollers and flushers, one per core, start with the first
// connection. Close ends them.
type Loop struct {
	// Goroutines makes every connection goroutine-driven, as where there is no poller. It must be set before the first
	// connection.
	Goroutines bool

	once     sync.Once
	started  atomic.Bool
	pollers  []*poller
	flushers []*flusher
	next     atomic.Uint32

	mu      sync.Mutex // guards the following
	closed  bool
	streams map[*Conn]struct{} // goroutine-driven connections, for Close
	running int                // goroutines
	idle    *sync.Cond         // no goroutine is left; nil until Close waits

	conns, polled, slow, dropped atomic.Int64
	counts                       []counts // by core
}

// counts are what a core counts with every write, on a cache line of its own.
type counts struct {
	writes, frames atomic.Uint64
	_              [48]byte
}

func (l *Loop) start() {
	l.once.Do(func() {
		l.streams = make(map[*Conn]struct{})
		l.counts = make([]counts, runtime.GOMAXPROCS(0))
		for range runtime.GOMAXPROCS(0) {
			if !l.Goroutines {
				if p, err := newPoller(l); err == nil && p != nil {
					l.pollers = append(l.pollers, p)
					l.spawn(p.run)
				}
			}
			f := &flusher{wake: make(chan struct{}, 1), quit: make(chan struct{})}
			l.flushers = append(l.flushers, f)
			l.spawn(f.run)
		}
		l.started.Store(true)
	})
}

// Stats returns the counters.
func (l *Loop) Stats() Stats {
	s := Stats{
		Conns: l.conns.Load(), Polled: l.polled.Load(),
		Slow: uint64(l.slow.Load()), Dropped: uint64(l.dropped.Load()),
	}
	if !l.started.Load() {
		return s
	}
	for i := range l.counts {
		s.Writes += l.counts[i].writes.Load()
		s.Frames += l.counts[i].frames.Load()
	}
	return s
}

// Close closes all connections and waits for the goroutines of the Loop to end. Connections adopted later are closed at
// once.
func (l *Loop) Close() {
	l.once.Do(func() { l.counts = make([]counts, 1) }) // so that nothing starts later
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.closed = true
	streams := l.streams
	l.streams = nil
	l.mu.Unlock()
	for c := range streams {
		c.Close(ErrLoopClosed)
	}
	for _, p := range l.pollers {
		p.stop()
	}
	for _, f := range l.flushers {
		close(f.quit)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.idle = sync.NewCond(&l.mu)
	for l.running > 0 {
		l.idle.Wait()
	}
}

// spawn runs f on a goroutine that Close waits for. A connection may be adopted, and so need one, while Close is waiting:
// a WaitGroup would not allow that.
func (l *Loop) spawn(f func()) {
	l.mu.Lock()
	l.running++
	l.mu.Unlock()
	go func() {
		f()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.running--
		if l.running == 0 && l.idle != nil {
			l.idle.Broadcast()
		}
	}()
}

// Adopt makes a Conn of nc, which belongs to the Loop from then on. At most limit bytes wait in its queue; zero means
// DefaultLimit. The Conn can be written to at once; it reads once it was started.
func (l *Loop) Adopt(nc net.Conn, limit int) *Conn {
	l.start()
	if len(l.pollers) > 0 {
		if fd, ok := detach(nc); ok {
			return l.adopt(fd, nil, limit)
		}
	}
	return l.adopt(-1, nc, limit)
}

// adopt makes a Conn of a descriptor for a poller, or of nc.
func (l *Loop) adopt(fd int, nc net.Conn, limit int) *Conn {
	if limit <= 0 {
		limit = DefaultLimit
	}
	n := l.next.Add(1)
	c := &Conn{loop: l, limit: int32(min(limit, math.MaxInt32)), fd: int32(fd)}
	if cores := len(l.flushers); cores > 0 { // else the Loop was closed before it began
		c.core = uint16(int(n) % cores)
	}
	if nc == nil {
		c.poller = l.pollers[int(c.core)%len(l.pollers)]
	} else {
		c.stream = &stream{nc: nc}
	}
	l.conns.Add(1)
	return c
}

// flusher writes the queues of connections that were marked dirty.
type flusher struct {
	mu    sync.Mutex
	dirty []*Conn
	spare []*Conn
	wake  chan struct{}
	quit  chan struct{}
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

func (f *flusher) run() {
	for {
		select {
		case <-f.wake:
		case <-f.quit:
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
