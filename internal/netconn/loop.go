package netconn

import (
	"errors"
	"log/slog"
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
	Panics  uint64 // of handlers; each has closed its connection
	// Unpolled counts what kept connections from a poller, such as the lack of descriptors: goroutines read them.
	Unpolled uint64
}

// Loop drives connections. Its zero value is ready to use: pollers and flushers, one per core, start with the first
// connection. Close ends them.
type Loop struct {
	// Goroutines makes every connection goroutine-driven, as where there is no poller. It must be set before the first
	// connection.
	Goroutines bool
	// Logger is told of panics and of what keeps connections from their poller; nil means slog.Default().
	Logger *slog.Logger

	once     sync.Once
	started  atomic.Bool
	pollers  atomic.Pointer[[]*poller] // replaced, not changed; fewer than wanted while there are no descriptors
	wanted   atomic.Int32              // pollers
	flushers []*flusher
	writers  writers
	next     atomic.Uint32

	mu      sync.Mutex // guards the following
	short   bool       // a poller could not be made, which was logged
	closed  bool
	streams map[*Conn]struct{} // goroutine-driven connections, for Close
	running int                // goroutines
	idle    *sync.Cond         // no goroutine is left; nil until Close waits

	conns, polled, slow, dropped, panics, unpolled atomic.Int64

	counts []counts // by core
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
			f := &flusher{wake: make(chan struct{}, 1), quit: make(chan struct{})}
			l.flushers = append(l.flushers, f)
			l.spawn(f.run)
		}
		if !l.Goroutines {
			l.wanted.Store(int32(runtime.GOMAXPROCS(0)))
		}
		l.started.Store(true)
	})
}

// polling returns the pollers there are. It makes those that are wanting: a process that has no descriptor to spare when
// it starts must not be without pollers for the rest of its life.
func (l *Loop) polling() []*poller {
	var have []*poller
	if p := l.pollers.Load(); p != nil {
		have = *p
	}
	if len(have) >= int(l.wanted.Load()) {
		return have
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	if p := l.pollers.Load(); p != nil {
		have = append(have, *p...)
	}
	for want := int(l.wanted.Load()); len(have) < want; {
		p, err := newPoller(l)
		if errors.Is(err, errors.ErrUnsupported) {
			l.wanted.Store(0)
			return nil
		}
		if err != nil {
			l.unpolled.Add(1)
			if !l.short {
				l.log().Warn("netconn: a poller cannot be made; it is tried again with every connection",
					slog.Int("pollers", len(have)), slog.Int("wanted", want), slog.Any("error", err))
			}
			l.short = true
			break
		}
		have = append(have, p)
		l.running++
		go l.ending(p.run)
	}
	if l.short && len(have) == int(l.wanted.Load()) {
		l.short = false
		l.log().Info("netconn: all pollers are there", slog.Int("pollers", len(have)))
	}
	l.pollers.Store(&have)
	return have
}

func (l *Loop) log() *slog.Logger {
	if l.Logger != nil {
		return l.Logger
	}
	return slog.Default()
}

// Stats returns the counters.
func (l *Loop) Stats() Stats {
	s := Stats{
		Conns: l.conns.Load(), Polled: l.polled.Load(),
		Slow: uint64(l.slow.Load()), Dropped: uint64(l.dropped.Load()),
		Panics: uint64(l.panics.Load()), Unpolled: uint64(l.unpolled.Load()),
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
	pollers := l.pollers.Load()
	l.mu.Unlock()
	for c := range streams {
		c.Close(ErrLoopClosed)
	}
	if pollers != nil {
		for _, p := range *pollers {
			p.stop()
		}
	}
	for _, f := range l.flushers {
		close(f.quit)
	}
	l.mu.Lock()
	l.idle = sync.NewCond(&l.mu)
	for l.running > 0 {
		l.idle.Wait()
	}
	l.mu.Unlock()
	l.writers.close()
}

// spawn runs f on a goroutine that Close waits for. A connection may be adopted, and so need one, while Close is waiting:
// a WaitGroup would not allow that.
func (l *Loop) spawn(f func()) {
	l.mu.Lock()
	l.running++
	l.mu.Unlock()
	go l.ending(f)
}

// ending runs f on a goroutine that has been counted.
func (l *Loop) ending(f func()) {
	f()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
	if l.running == 0 && l.idle != nil {
		l.idle.Broadcast()
	}
}

// Adopt makes a Conn of nc, which belongs to the Loop from then on. At most limit bytes wait in its queue; zero means
// DefaultLimit. The Conn can be written to at once; it reads once it was started.
func (l *Loop) Adopt(nc net.Conn, limit int) *Conn {
	l.start()
	if pollable(nc) && len(l.polling()) > 0 {
		fd, err := detach(nc)
		if err == nil {
			return l.adopt(fd, nil, limit)
		}
		if !errors.Is(err, errors.ErrUnsupported) {
			l.unpolled.Add(1)
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
		pollers := *l.pollers.Load()
		c.poller = pollers[int(c.core)%len(pollers)]
	} else {
		c.stream = &stream{nc: nc, moved: sync.Cond{L: &c.mu}}
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
