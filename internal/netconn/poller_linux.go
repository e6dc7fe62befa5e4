package netconn

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/peal-dev/peal/internal/service"
)

const (
	// pollBuffer is read into by all connections of a poller, one after the other. It is also how much may be left by one
	// whose turn is over.
	pollBuffer = 16 << 10
	// maxReads bounds the bytes of a turn, as turnTime does what is made of them.
	maxReads = 8
	// interest is edge-triggered and never changed, so that a connection costs one epoll_ctl in its life.
	interest = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET
)

// poller reads the connections it watches on one goroutine, and writes what is to leave together on another.
//
// Its epoll descriptor is itself watched by the Go runtime's poller: waiting parks the goroutine and holds no thread.
//
// A connection has a turn at a time. One that wants more waits in a list beside epoll, which costs it no system call, and
// has its next turn when those that had none have had theirs.
type poller struct {
	file              *os.File
	flusher           flusher
	reading, flushing *service.Service

	// Of the poller's goroutine alone.
	buf   []byte
	turn  Turn
	ready []*Conn          // yielded
	rest  map[*Conn]unread // what handlers have left

	mu      sync.Mutex
	conns   []*Conn // by slot
	free    []uint32
	gen     uint32
	stopped bool
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("netconn: epoll_create1: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // lets os.NewFile hand it to the runtime's poller
		_ = unix.Close(fd)
		return nil, fmt.Errorf("netconn: epoll descriptor: %w", err)
	}
	return &poller{file: os.NewFile(uintptr(fd), "epoll"), buf: make([]byte, pollBuffer), rest: make(map[*Conn]unread)}, nil
}

func (p *poller) watch(c *Conn) {
	p.mu.Lock()
	if p.stopped || c.loop.closed.Load() { // which closes, with p.mu held, what has been listed
		p.mu.Unlock()
		c.Close(ErrLoopClosed)
		p.letGo(c)
		return
	}
	var slot uint32
	if n := len(p.free); n > 0 {
		slot, p.free = p.free[n-1], p.free[:n-1]
	} else {
		slot = uint32(len(p.conns))
		p.conns = append(p.conns, nil)
	}
	p.conns[slot] = c
	p.gen++
	c.slot, c.gen = slot, p.gen
	c.loop.running.Add(1)
	p.mu.Unlock()
	c.loop.polled.Add(1)

	c.mu.Lock()
	c.status |= started
	isClosed := c.is(closed)
	var err error
	if !isClosed {
		err = p.control(unix.EPOLL_CTL_ADD, c)
	}
	c.mu.Unlock()
	if err != nil {
		c.Close(err)
	}
	if err != nil || isClosed {
		p.release(c)
	}
}

func (p *poller) control(op int, c *Conn) error {
	rc, err := p.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("netconn: epoll_ctl: %w", err)
	}
	ev := unix.EpollEvent{Events: interest, Fd: int32(c.slot), Pad: int32(c.gen)}
	var ctlErr error
	// Control keeps the epoll descriptor open meanwhile: stop may be closing it.
	if err := rc.Control(func(fd uintptr) { ctlErr = unix.EpollCtl(int(fd), op, int(c.fd), &ev) }); err != nil {
		return fmt.Errorf("netconn: epoll_ctl: %w", err)
	}
	if ctlErr != nil {
		return fmt.Errorf("netconn: epoll_ctl: %w", ctlErr)
	}
	return nil
}

// rearm makes the poller look at c again, whether or not anything has changed since it last did.
func (p *poller) rearm(c *Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.is(closed) {
		_ = p.control(unix.EPOLL_CTL_MOD, c) // fails only for a descriptor that is not watched
	}
}

// hangup shuts c down, which the poller sees as an event.
func (p *poller) hangup(c *Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.is(detached) {
		_ = unix.Shutdown(int(c.fd), unix.SHUT_RDWR) // fails if the peer has reset it, and is an event all the same
	}
}

func (p *poller) shutdownWrite(c *Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.is(detached) {
		_ = unix.Shutdown(int(c.fd), unix.SHUT_WR) // as in hangup
	}
}

// release forgets c after it was closed. Only the poller's goroutine calls it, or watch before that has seen c.
func (p *poller) release(c *Conn) {
	p.mu.Lock()
	if int(c.slot) >= len(p.conns) || p.conns[c.slot] != c {
		p.mu.Unlock()
		return
	}
	p.conns[c.slot] = nil
	p.free = append(p.free, c.slot)
	p.mu.Unlock()
	c.loop.polled.Add(-1)
	p.letGo(c)
	c.loop.running.Done()
}

func (p *poller) letGo(c *Conn) {
	c.mu.Lock()
	c.status |= letGo
	c.closeDescriptor()
	c.mu.Unlock()
	c.loop.conns.Add(-1)
	c.tellClosed()
}

func (p *poller) stop() { _ = p.file.Close() } // wakes run, which ends

// event is one connection and what epoll said of it.
type event struct {
	conn *Conn
	bits uint32
}

func (p *poller) run() {
	defer p.end()
	rc, err := p.file.SyscallConn()
	if err != nil {
		return // stopped before it began
	}
	raw := make([]unix.EpollEvent, 256)
	events := make([]event, 0, len(raw))
	for {
		n := 0
		err := rc.Read(func(fd uintptr) bool {
			n = epollWait(fd, raw)
			return n != 0 || len(p.ready) > 0
		})
		if err != nil || n < 0 {
			return
		}
		events = events[:0]
		p.mu.Lock()
		for _, ev := range raw[:n] {
			if c := p.conns[ev.Fd]; c != nil && c.gen == uint32(ev.Pad) { // else it has gone meanwhile
				events = append(events, event{c, ev.Events})
			}
		}
		p.mu.Unlock()
		for _, ev := range events {
			p.handle(ev.conn, ev.bits)
		}
		clear(events)
		if len(p.ready) > 0 {
			p.again()
		}
	}
}

// again gives those that have yielded another turn each, as far as the time of a round goes.
func (p *poller) again() {
	began := time.Now()
	had := 0
	for n := len(p.ready); had < n && (had == 0 || time.Since(began) < roundTime); had++ {
		c := p.ready[had]
		c.mu.Lock()
		c.status &^= yielded
		gone := c.is(letGo)
		c.mu.Unlock()
		if !gone {
			p.handle(c, unix.EPOLLIN|unix.EPOLLRDHUP) // the event that told of an end may have been seen
		}
	}
	left := copy(p.ready, p.ready[had:])
	clear(p.ready[left:])
	p.ready = p.ready[:left]
	// The poller does not park now, and what the others have asked for waits for a core.
	runtime.Gosched()
}

// epollWait asks for events without waiting, as a raw system call: it does not block, so the scheduler need not know.
func epollWait(fd uintptr, events []unix.EpollEvent) int {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, fd, uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
		switch errno {
		case 0:
			return int(n)
		case unix.EINTR:
		default:
			return -1
		}
	}
}

func (p *poller) handle(c *Conn, bits uint32) {
	again := false
	// After a pause all may have been read: then the kernel tells no more than that c can be written to, or tells it once it
	// can, and what the handler has left is due all the same.
	if bits&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 || p.hasRest(c) {
		again = p.read(c, bits&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0)
	}
	c.mu.Lock()
	if c.is(closed) {
		c.mu.Unlock()
		rest := p.takeRest(c)
		rest.free()
		p.release(c)
		return
	}
	if again {
		c.status |= yielded
		p.ready = append(p.ready, c)
	}
	due := c.is(corked) && (c.queue.bytes > 0 || c.is(finishing) && !c.is(finished))
	c.status &^= corked
	if bits&unix.EPOLLOUT != 0 {
		switch {
		case c.is(writing):
			c.status |= writable
		case c.is(blocked):
			c.status &^= blocked
			due = true
		}
	}
	if due && !c.is(writing|blocked) {
		c.flush()
		return
	}
	c.mu.Unlock()
}

// read gives c a turn and reports whether it wants another. With ending set there is an end behind the data, which must
// be seen too.
func (p *poller) read(c *Conn, ending bool) (again bool) {
	p.turn.next()
	rest := p.takeRest(c)
	drained := false
	for reads := 0; ; {
		c.mu.Lock()
		stop := c.is(paused | closed | yielded)
		if !stop {
			c.status |= corked
		}
		c.mu.Unlock()
		switch {
		case stop:
			p.keep(c, rest)
			return false // Resume looks again, and who has yielded has its turn later
		case len(rest.bytes) > 0:
		case drained:
			return false // more bytes will be another event
		case reads == maxReads || p.turn.over:
			return true
		default:
			reads++
			n, err := call(unix.SYS_READ, int(c.fd), unsafe.Pointer(&p.buf[0]), len(p.buf), len(p.buf))
			switch {
			case n > 0:
				rest.bytes = p.buf[:n]
				drained = n < len(p.buf) && !ending
			case n == 0 && err == nil:
				if !c.endInput() {
					c.markClosed(io.EOF)
				}
				return false
			case errors.Is(err, unix.EAGAIN):
				return false
			case errors.Is(err, unix.EINTR):
				continue
			default:
				c.markClosed(fmt.Errorf("netconn: read: %w", err))
				return false
			}
		}
		var err error
		rest.bytes, err = c.data(rest.bytes, &p.turn)
		switch {
		case err != nil:
			c.markClosed(err)
			rest.free()
			return false
		case len(rest.bytes) > 0:
			p.keep(c, rest)
			return true
		}
		rest.free()
	}
}

// closeAll closes the connections that are meant; their ends come as events.
func (p *poller) closeAll(meant func(*Conn) bool) (closed []*Conn) {
	p.mu.Lock()
	for _, c := range p.conns {
		if c != nil && meant(c) {
			closed = append(closed, c)
		}
	}
	p.mu.Unlock()
	for _, c := range closed {
		c.Close(ErrLoopClosed)
	}
	return closed
}

// end lets go of what a poller that has stopped still watches: nothing, unless the system has failed it.
func (p *poller) end() {
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	for _, c := range p.closeAll(func(*Conn) bool { return true }) {
		p.release(c)
	}
}
