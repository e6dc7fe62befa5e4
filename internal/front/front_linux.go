package front

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/peal-dev/peal/internal/workers"
)

// front is a listener that serves requests for WebSockets itself.
type front struct {
	net.Listener
	server *http.Server
	later  *later
	file   *os.File // the same socket; the runtime waits for its clients
	raw    syscall.RawConn
	many   bool           // listens on all addresses of the machine
	work   workers.Pool   // for handlers: their stacks have grown
	count  sync.WaitGroup // handlers whose connection is not somebody else's yet

	closing sync.Once
	drained chan struct{} // closed once these have ended after Close

	mu      sync.Mutex // one Accept at a time
	begun   bool
	closed  bool
	passing bool // nothing is served here
	context func(local netip.AddrPort) context.Context
	buf     []byte
}

func newFront(l net.Listener, server *http.Server, keepAlive time.Duration) net.Listener {
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return l
	}
	file, err := tcp.File()
	if err != nil {
		return l // works as well, only not as fast
	}
	raw, err := file.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) {
			// A connection without a request is of no use yet; it is accepted after a second.
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 1)
			inherit(int(fd), keepAlive)
		})
	}
	if err != nil {
		_ = file.Close() // nothing was written
		return l
	}
	address, _ := l.Addr().(*net.TCPAddr)
	return &front{
		Listener: l, server: server, file: file, raw: raw, buf: make([]byte, 4<<10), drained: make(chan struct{}),
		many: address == nil || address.IP.IsUnspecified(),
	}
}

// begin looks at the server's settings, once it serves and they are fixed.
func (f *front) begin() {
	f.begun = true
	f.passing = f.server.ConnContext != nil // it is to see every connection before its request
	base := context.Background()
	if f.server.BaseContext != nil {
		base = f.server.BaseContext(f)
	}
	base = context.WithValue(base, http.ServerContextKey, f.server)
	usual := context.WithValue(base, http.LocalAddrContextKey, f.Addr())
	f.context = func(local netip.AddrPort) context.Context {
		if local.IsValid() {
			return context.WithValue(base, http.LocalAddrContextKey, net.TCPAddrFromAddrPort(local))
		}
		return usual
	}
	f.later = newLater(f.Addr(), f.server, f.serveHTTP)
}

// serveHTTP serves a request as the server would.
func (f *front) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if h := f.server.Handler; h != nil {
		h.ServeHTTP(w, r)
		return
	}
	http.DefaultServeMux.ServeHTTP(w, r)
}

func (f *front) logf(format string, args ...any) {
	if f.server.ErrorLog != nil {
		f.server.ErrorLog.Printf(format, args...)
		return
	}
	slog.Error(fmt.Sprintf(format, args...))
}

// inherit gives the listening socket the options that package net sets on each connection: they are born with them.
func inherit(fd int, keepAlive time.Duration) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if keepAlive < 0 {
		return
	}
	const usual = 15 // seconds
	idle := usual
	if keepAlive > 0 {
		idle = int((keepAlive + time.Second - 1) / time.Second)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, idle)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, usual)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9)
}

// grace is how long handlers may go on after Close, and how long they are waited for once their contexts have ended.
const grace = 2 * time.Second

// Close ends Accept and, after a grace, what it has begun. The http.Server closes a listener as soon as Accept has ended,
// which is not to take the first one's success away.
func (f *front) Close() error {
	err := net.ErrClosed
	f.closing.Do(func() {
		err = errors.Join(f.file.Close(), f.Listener.Close())
		go f.drain() // Accept waits for it
	})
	return err
}

// drain ends what the front has begun.
func (f *front) drain() {
	defer close(f.drained)
	f.mu.Lock() // Accept has ended
	f.closed = true
	begun := f.begun
	f.mu.Unlock()
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	_ = f.work.Wait(gone) // keeps no goroutine any more, and waits for none
	if !begun {
		return
	}
	over := make(chan struct{})
	go func() { // ends with the last handler
		f.count.Wait()
		close(over)
	}()
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	select {
	case <-over:
		if f.later.server.Shutdown(ctx) == nil {
			return
		}
	case <-ctx.Done():
	}
	_ = f.later.Close()        // fails never
	_ = f.later.server.Close() // to handlers it is as if their clients had left
	ctx, cancel = context.WithTimeout(context.Background(), grace)
	defer cancel()
	select {
	case <-over:
	case <-ctx.Done():
		f.logf("front: a handler goes on after its context has ended")
	}
}

// Accept returns the next connection that is for the http.Server.
func (f *front) Accept() (net.Conn, error) {
	nc, err := f.next()
	if errors.Is(err, net.ErrClosed) {
		<-f.drained // Shutdown and Close of the http.Server wait for us, and so for the handlers
	}
	return nc, err
}

func (f *front) next() (net.Conn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, net.ErrClosed
	}
	if !f.begun {
		f.begin()
	}
	for {
		fd, peer, err := f.accept()
		switch {
		case errors.Is(err, unix.ECONNABORTED), errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, err
		}
		n, err := read(fd, f.buf)
		if n > 0 && err == nil && f.serve(fd, peer, f.buf[:n]) {
			continue
		}
		nc, err := newAccepted(fd, localOf(fd), peer, bytes.Clone(f.buf[:max(n, 0)])) // an end or an error will be read again
		if err != nil {                                                               // out of memory, say: the next client may have more luck
			continue
		}
		return nc, nil
	}
}

// read reads what there is, as a raw system call: it does not block, so the scheduler need not know.
func read(fd int, p []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func closeFD(fd int) { _ = unix.Close(fd) } // the descriptor is gone whatever close says

// serve serves the request that p is, unless it is not for a front.
func (f *front) serve(fd int, peer netip.AddrPort, p []byte) bool {
	if f.passing {
		return false
	}
	r := parseUpgrade(p)
	if r == nil {
		return false
	}
	r.RemoteAddr = peer.String()
	a := &answer{front: f, request: r, fd: fd, peer: peer}
	if f.many {
		a.local = localOf(fd)
	}
	f.count.Add(1)
	f.work.Run(a)
	return true
}

// accept waits for the next client.
func (f *front) accept() (fd int, peer netip.AddrPort, err error) {
	var address unix.RawSockaddrAny
	var errno unix.Errno
	wait := func(listener uintptr) bool {
		size := uint32(unix.SizeofSockaddrAny)
		var n uintptr
		n, _, errno = unix.RawSyscall6(unix.SYS_ACCEPT4, listener, uintptr(unsafe.Pointer(&address)), uintptr(unsafe.Pointer(&size)),
			unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		fd = int(n)
		return errno != unix.EAGAIN
	}
	if f.raw.Read(wait) != nil { // it fails on a closed file only, with an error that nobody else knows
		return -1, peer, fmt.Errorf("front: accept: %w", net.ErrClosed)
	}
	if errno != 0 {
		return -1, peer, &net.OpError{Op: "accept", Net: "tcp", Addr: f.Addr(), Err: errno}
	}
	return fd, addrPort(&address), nil
}

// localOf returns the address of the connection's own end.
func localOf(fd int) netip.AddrPort {
	var address unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	_, _, errno := unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&address)), uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return netip.AddrPort{}
	}
	return addrPort(&address)
}

// addrPort reads an address, which package net would write in the same way.
func addrPort(a *unix.RawSockaddrAny) netip.AddrPort {
	var port *[2]byte
	var addr netip.Addr
	switch a.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(a))
		port, addr = (*[2]byte)(unsafe.Pointer(&in.Port)), netip.AddrFrom4(in.Addr)
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(a))
		port, addr = (*[2]byte)(unsafe.Pointer(&in.Port)), netip.AddrFrom16(in.Addr).Unmap()
		if in.Scope_id != 0 {
			addr = addr.WithZone(zone(in.Scope_id))
		}
	default:
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(addr, uint16(port[0])<<8|uint16(port[1]))
}

// zone names an interface. Only link-local addresses have one.
func zone(index uint32) string {
	if i, err := net.InterfaceByIndex(int(index)); err == nil {
		return i.Name
	}
	return strconv.FormatUint(uint64(index), 10)
}
