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

// Loop is the connections of one owner. Its zero value is ready to use. Close ends them.
type Loop struct {
	// Goroutines makes every connection goroutine-driven, as where there is no poller. It must be set before the first
	// connection.
	Goroutines bool
	// Pollers drive the others. Nil means those that all such Loops of the process share.
	Pollers *Pollers
	// Logger is told of panics and of what keeps connections from their poller; nil means slog.Default().
	Logger *slog.Logger

	once    sync.Once
	started atomic.Bool
	polls   atomic.Bool // it has a part in the pollers
	closed  atomic.Bool // set with mu held
	writers writers

	mu      sync.Mutex
	streams map[*Conn]struct{} // goroutine-driven connections, for Close
	running sync.WaitGroup     // connections that were started; none is added once the Loop is closed

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
		l.started.Store(true)
	})
}

func (l *Loop) pollers() *Pollers {
	if l.Pollers != nil {
		return l.Pollers
	}
	return &shared
}

// polling returns what may poll a connection, if anything.
func (l *Loop) polling() []*poller {
	if l.Goroutines {
		return nil
	}
	return l.pollers().of(l)
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

// Close closes all connections and waits until their handlers have been told; other Loops go on. It must not be called by a
// handler. Connections adopted later are closed at once.
func (l *Loop) Close() {
	l.once.Do(func() { l.counts = make([]counts, 1) }) // so that nothing starts later
	l.mu.Lock()
	if l.closed.Swap(true) {
		l.mu.Unlock()
		return
	}
	streams := l.streams
	l.streams = nil
	l.mu.Unlock()
	for c := range streams {
		c.Close(ErrLoopClosed)
	}
	l.pollers().leave(l)
	l.running.Wait()
	l.writers.close()
}

// Adopt makes a Conn of nc, which belongs to the Loop from then on. At most limit bytes wait in its queue; zero means
// DefaultLimit. The Conn can be written to at once; it reads once it was started.
func (l *Loop) Adopt(nc net.Conn, limit int) *Conn {
	l.start()
	if pollable(nc) {
		if pollers := l.polling(); len(pollers) > 0 {
			fd, err := detach(nc)
			if err == nil {
				return l.adoptDescriptor(fd, pollers, limit)
			}
			if !errors.Is(err, errors.ErrUnsupported) {
				l.unpolled.Add(1)
			}
		}
	}
	c := l.adopt(limit)
	c.fd, c.stream = -1, &stream{nc: nc, moved: sync.Cond{L: &c.mu}}
	return c
}

// adoptDescriptor makes a Conn of a descriptor, for one of these pollers.
func (l *Loop) adoptDescriptor(fd int, pollers []*poller, limit int) *Conn {
	c := l.adopt(limit)
	c.fd, c.poller = int32(fd), pollers[int(c.core)%len(pollers)]
	return c
}

func (l *Loop) adopt(limit int) *Conn {
	if limit <= 0 {
		limit = DefaultLimit
	}
	l.conns.Add(1)
	n := l.pollers().next.Add(1)
	return &Conn{loop: l, limit: int32(min(limit, math.MaxInt32)), core: uint16(int(n) % len(l.counts))}
}
