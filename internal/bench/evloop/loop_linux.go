package evloop

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

type poll struct {
	events []unix.EpollEvent
	coarse bool // the kernel counts in milliseconds only
}

// New returns an empty loop. Close frees it.
func New() (*Loop, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	return &Loop{epoll: fd, buf: make([]byte, readBuffer), poll: poll{events: make([]unix.EpollEvent, 512)}}, nil
}

// Close closes all connections, without telling their handlers, and the loop.
func (l *Loop) Close() {
	for _, c := range l.conns {
		if c != nil {
			c.Close()
		}
	}
	_ = unix.Close(l.epoll) // gone whatever close says
}

// ethernetSegment is what of a TCP segment in an Ethernet frame is data.
const ethernetSegment = 1460

// Dial begins to connect to target; h learns of the outcome, perhaps before Dial returns: over the loopback interface a
// connection stands at once. A valid source is the local address to connect from.
func (l *Loop) Dial(source netip.Addr, target netip.AddrPort, h Handler) (*Conn, error) {
	return l.DialNarrow(source, target, h, 0)
}

// DialNarrow is Dial for a connection on which little is under way, as on a network that is not the machine's own: the
// kernel keeps about so many bytes for a reader that does not read (SO_RCVBUF), and the segments have Ethernet's size.
// On the loopback interface they have 64 KiB, and the sender's kernel makes room for twenty from the start. Zero bytes
// change nothing.
func (l *Loop) DialNarrow(source netip.Addr, target netip.AddrPort, h Handler, receive int) (*Conn, error) {
	family := unix.AF_INET
	if target.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	c := &Conn{loop: l, handler: h, fd: fd, wants: unix.EPOLLIN | unix.EPOLLOUT}
	if receive > 0 {
		err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receive),
			unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_MAXSEG, ethernetSegment))
	}
	if err != nil {
		_ = unix.Close(fd) // the error to report is that of the options
		return nil, fmt.Errorf("making a connection narrow: %w", err)
	}
	if err := c.connect(source, target); err != nil {
		_ = unix.Close(fd) // the error to report is connect's
		return nil, err
	}
	l.add(c)
	// What the handler says leaves before anybody waits for the answer: that is one epoll_ctl for a connection.
	if c.up = connected(fd); c.up {
		c.wants = unix.EPOLLIN
		if h.Connected(c); c.closed {
			return c, nil
		}
	}
	c.watched = true
	ev := unix.EpollEvent{Events: c.wants, Fd: int32(c.slot), Pad: int32(c.gen)}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		c.Close()
		return nil, fmt.Errorf("epoll_ctl: %w", err)
	}
	return c, nil
}

func (c *Conn) connect(source netip.Addr, target netip.AddrPort) error {
	if err := unix.SetsockoptInt(c.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return fmt.Errorf("TCP_NODELAY: %w", err)
	}
	if source.Is4() {
		// The port is chosen by connect, which knows the target: the same port may serve several targets.
		if err := unix.SetsockoptInt(c.fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
			return fmt.Errorf("IP_BIND_ADDRESS_NO_PORT: %w", err)
		}
		if err := unix.Bind(c.fd, &unix.SockaddrInet4{Addr: source.As4()}); err != nil {
			return fmt.Errorf("bind to %s: %w", source, err)
		}
	}
	if err := unix.Connect(c.fd, sockaddr(target)); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return fmt.Errorf("connect to %s: %w", target, err)
	}
	return nil
}

// connected reports whether the connection stands, which is when it has a peer.
func connected(fd int) bool {
	var peer unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	_, _, errno := unix.RawSyscall(unix.SYS_GETPEERNAME, uintptr(fd), uintptr(unsafe.Pointer(&peer)), uintptr(unsafe.Pointer(&size)))
	return errno == 0
}

// call makes a system call that does not block, of which Go's scheduler need not know.
func call(number uintptr, fd int, p []byte) (int, error) {
	n, _, errno := unix.RawSyscall(number, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}

func (l *Loop) add(c *Conn) {
	if n := len(l.free); n > 0 {
		c.slot, l.free = l.free[n-1], l.free[:n-1]
	} else {
		c.slot = uint32(len(l.conns))
		l.conns = append(l.conns, nil)
	}
	l.gen++
	c.gen = l.gen
	l.conns[c.slot] = c
	l.open++
}

// Poll waits for events, at most so long, and hands them to the connections' handlers. A negative time waits for ever.
func (l *Loop) Poll(wait time.Duration) error {
	n, err := l.wait(wait)
	if err != nil {
		if errors.Is(err, unix.EINTR) {
			return nil
		}
		return fmt.Errorf("epoll_wait: %w", err)
	}
	for _, ev := range l.poll.events[:n] {
		if c := l.conns[ev.Fd]; c != nil && c.gen == uint32(ev.Pad) { // else a handler has closed it meanwhile
			c.event(ev.Events)
		}
	}
	return nil
}

// wait waits for events: to the nanosecond where the kernel can (Linux 5.11), so that a message may leave when it is due,
// else rounded up to milliseconds.
func (l *Loop) wait(d time.Duration) (int, error) {
	if d >= 0 && !l.poll.coarse {
		until := struct{ seconds, nanoseconds int64 }{int64(d / time.Second), int64(d % time.Second)} // the kernel's, on every architecture
		n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(l.epoll), uintptr(unsafe.Pointer(unsafe.SliceData(l.poll.events))),
			uintptr(len(l.poll.events)), uintptr(unsafe.Pointer(&until)), 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.ENOSYS, unix.EPERM: // an old kernel, or a container that knows a list of calls
			l.poll.coarse = true
		default:
			return 0, errno
		}
	}
	ms := -1
	if d >= 0 {
		ms = int((d + time.Millisecond - 1) / time.Millisecond)
	}
	return unix.EpollWait(l.epoll, l.poll.events, ms)
}

func (c *Conn) event(bits uint32) {
	if bits&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) != 0 && !c.up {
		if code, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || code != 0 {
			c.fail(fmt.Errorf("connect: %w", unix.Errno(code)))
			return
		}
		c.up = true
		c.handler.Connected(c)
	}
	if bits&unix.EPOLLOUT != 0 && !c.closed {
		c.flush()
	}
	if bits&(unix.EPOLLIN|unix.EPOLLERR|unix.EPOLLHUP) != 0 && !c.closed {
		c.read()
	}
}

func (c *Conn) read() {
	n, err := call(unix.SYS_READ, c.fd, c.loop.buf)
	switch {
	case n > 0:
		if err := c.deliver(c.loop.buf[:n]); err != nil {
			c.fail(err)
		}
	case n == 0 && err == nil:
		c.fail(io.EOF)
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR): // the next Poll says so again
	default:
		c.fail(fmt.Errorf("read: %w", err))
	}
}

func (c *Conn) fail(cause error) {
	if !c.closed {
		c.Close()
		c.handler.Closed(c, cause)
	}
}

// Write sends b; what the kernel does not take now is copied and sent later. A broken connection shows in Closed.
func (c *Conn) Write(b []byte) {
	if c.closed {
		return
	}
	if c.up && len(c.out) == 0 {
		n, err := call(unix.SYS_WRITE, c.fd, b)
		if n == len(b) || err != nil && !errors.Is(err, unix.EAGAIN) {
			return // reading reports what is wrong
		}
		b = b[max(n, 0):]
	}
	c.out = append(c.out, b...)
	c.want(c.wants | unix.EPOLLOUT)
}

func (c *Conn) flush() {
	if len(c.out) > 0 {
		n, err := call(unix.SYS_WRITE, c.fd, c.out)
		if err != nil {
			return // as in Write
		}
		c.out = c.out[:copy(c.out, c.out[n:])]
	}
	if len(c.out) == 0 {
		c.out = nil
		c.want(c.wants &^ unix.EPOLLOUT)
	}
}

// Pause stops reading, as a client does that has stalled; Resume continues.
func (c *Conn) Pause() { c.want(c.wants &^ unix.EPOLLIN) }

// Resume undoes Pause.
func (c *Conn) Resume() { c.want(c.wants | unix.EPOLLIN) }

func (c *Conn) want(events uint32) {
	if c.closed || c.wants == events {
		return
	}
	c.wants = events
	if !c.watched {
		return // Dial is about to ask
	}
	ev := unix.EpollEvent{Events: events, Fd: int32(c.slot), Pad: int32(c.gen)}
	if err := unix.EpollCtl(c.loop.epoll, unix.EPOLL_CTL_MOD, c.fd, &ev); err != nil {
		c.fail(fmt.Errorf("epoll_ctl: %w", err))
	}
}

// Close closes the connection at once; its handler is not told.
func (c *Conn) Close() {
	if c.closed {
		return
	}
	c.closed = true
	c.rest, c.out = nil, nil
	c.loop.conns[c.slot] = nil
	c.loop.free = append(c.loop.free, c.slot)
	c.loop.open--
	_ = unix.Close(c.fd) // gone whatever close says
}

// MaxOpen returns how many descriptors this process may have open, after raising its limit as far as it may.
func MaxOpen() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	if limit.Cur < limit.Max {
		limit.Cur = limit.Max
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) // the next call says what came of it
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return 1024
		}
	}
	return int(min(limit.Cur, 1<<30))
}
