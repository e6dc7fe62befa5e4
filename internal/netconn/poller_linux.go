package netconn

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// pollBuffer is read into by all connections of a poller, one after the other.
	pollBuffer = 64 << 10
	// maxReads bounds how long one connection may keep a poller from the others.
	maxReads = 16
	// interest is edge-triggered and never changed, so that a connection costs one epoll_ctl in its life.
	interest = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET
)

// poller reads the connections it watches on one goroutine.
//
// Its epoll descriptor is itself watched by the Go runtime's poller: waiting parks the goroutine and holds no thread.
type poller struct {
	loop *Loop
	file *os.File

	mu      sync.Mutex
	conns   []*Conn // by slot
	free    []uint32
	gen     uint32
	stopped bool
}

func newPoller(l *Loop) (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("netconn: epoll_create1: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // lets os.NewFile hand it to the runtime's poller
		_ = unix.Close(fd)
		return nil, fmt.Errorf("netconn: epoll descriptor: %w", err)
	}
	return &poller{loop: l, file: os.NewFile(uintptr(fd), "epoll")}, nil
}

// detach takes the descriptor of a plain TCP or Unix connection away from the Go runtime.
func detach(nc net.Conn) (fd int, ok bool) {
	switch nc := nc.(type) {
	case *net.TCPConn, *net.UnixConn:
	case descriptorTaker:
		return nc.TakeDescriptor()
	default:
		return 0, false
	}
	rc, err := nc.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0, false
	}
	var dup int
	var dupErr error
	err = rc.Control(func(old uintptr) { dup, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
	if err != nil || dupErr != nil {
		return 0, false // out of descriptors, say: the goroutine-driven way still works
	}
	_ = nc.Close() // the duplicate keeps the connection
	return dup, true
}

func closeFD(fd int) { _ = unix.Close(fd) } // the descriptor is gone whatever close says

func (p *poller) watch(c *Conn) {
	p.mu.Lock()
	if p.stopped {
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
	p.mu.Unlock()
	p.loop.polled.Add(1)

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
		_ = unix.Shutdown(int(c.fd), unix.SHUT_RDWR) // fails if the peer has reset it, which is an event as well
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
	p.loop.polled.Add(-1)
	p.letGo(c)
}

func (p *poller) letGo(c *Conn) {
	c.mu.Lock()
	c.status |= letGo
	c.closeDescriptor()
	c.mu.Unlock()
	p.loop.conns.Add(-1)
	c.handler.Closed(c, c.cause)
}

func (p *poller) stop() { _ = p.file.Close() } // wakes run, which ends

// event is one connection and what epoll said of it.
type event struct {
	conn *Conn
	bits uint32
}

func (p *poller) run() {
	defer p.closeAll()
	rc, err := p.file.SyscallConn()
	if err != nil {
		return // stopped before it began
	}
	raw := make([]unix.EpollEvent, 256)
	events := make([]event, 0, len(raw))
	buf := make([]byte, pollBuffer)
	for {
		n := 0
		err := rc.Read(func(fd uintptr) bool {
			n = epollWait(fd, raw)
			return n != 0
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
			p.handle(ev.conn, ev.bits, buf)
		}
		clear(events)
	}
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

func (p *poller) handle(c *Conn, bits uint32, buf []byte) {
	if bits&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		p.read(c, bits&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0, buf)
	}
	c.mu.Lock()
	if c.is(closed) {
		c.mu.Unlock()
		p.release(c)
		return
	}
	switch {
	case bits&unix.EPOLLOUT == 0:
	case c.is(writing):
		c.status |= writable
	case c.is(blocked):
		c.status &^= blocked
		c.flush()
		return
	}
	c.mu.Unlock()
}

// read reads what there is. With ending set there is an end behind the data, which must be seen too.
func (p *poller) read(c *Conn, ending bool, buf []byte) {
	for range maxReads {
		c.mu.Lock()
		stop := c.is(paused | closed)
		c.mu.Unlock()
		if stop {
			return // Resume looks again
		}
		n, err := call(unix.SYS_READ, int(c.fd), unsafe.Pointer(&buf[0]), len(buf))
		switch {
		case n > 0:
			if err := c.handler.Data(c, buf[:n]); err != nil {
				c.markClosed(err)
				return
			}
			if n < len(buf) && !ending {
				return // drained: more bytes will be another event
			}
		case n == 0 && err == nil:
			c.markClosed(io.EOF)
			return
		case errors.Is(err, unix.EAGAIN):
			return
		case errors.Is(err, unix.EINTR):
		default:
			c.markClosed(fmt.Errorf("netconn: read: %w", err))
			return
		}
	}
	p.rearm(c) // the others first
}

// closeAll ends the connections of a stopped poller.
func (p *poller) closeAll() {
	p.mu.Lock()
	p.stopped = true
	conns := append([]*Conn(nil), p.conns...)
	p.mu.Unlock()
	for _, c := range conns {
		if c != nil {
			c.Close(ErrLoopClosed)
			p.release(c)
		}
	}
}

var iovecs = sync.Pool{New: func() any { return new([maxBatch]unix.Iovec) }}

// writeBatch writes as much of b as the kernel takes now; again says that it did not take all.
func writeBatch(fd int, b batch) (n int, again bool, err error) {
	if len(b.rest) == 0 {
		first := b.first
		n, err = call(unix.SYS_WRITE, fd, unsafe.Pointer(&first[0]), len(first))
		return wrote(n, len(first), err)
	}
	vec := iovecs.Get().(*[maxBatch]unix.Iovec)
	defer iovecs.Put(vec)
	count, total := 0, 0
	add := func(p []byte) {
		vec[count].Base = &p[0]
		vec[count].SetLen(len(p))
		count++
		total += len(p)
	}
	if len(b.first) > 0 {
		add(b.first)
	}
	for _, p := range b.rest {
		add(p)
	}
	n, err = call(unix.SYS_WRITEV, fd, unsafe.Pointer(vec), count)
	clear(vec[:count])
	return wrote(n, total, err)
}

// call makes a system call that does not block, which the scheduler then need not know of.
func call(trap uintptr, fd int, p unsafe.Pointer, n int) (int, error) {
	r, _, errno := unix.RawSyscall(trap, uintptr(fd), uintptr(p), uintptr(n))
	if errno != 0 {
		return -1, errno
	}
	return int(r), nil
}

func wrote(n, total int, err error) (int, bool, error) {
	switch {
	case err == nil:
		return n, n < total, nil
	case errors.Is(err, unix.EAGAIN):
		return 0, true, nil
	case errors.Is(err, unix.EINTR):
		return 0, false, nil
	default:
		return 0, false, fmt.Errorf("netconn: write: %w", err)
	}
}
