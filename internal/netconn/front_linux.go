package netconn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/peal-dev/peal/internal/workers"
)

// front is a listener that serves requests for WebSockets itself.
type front struct {
	net.Listener
	handler http.Handler
	base    context.Context //nolint:containedctx // what the contexts of all requests begin with, as http.Server.BaseContext
	file    *os.File        // the same socket; the runtime waits for its clients
	raw     syscall.RawConn
	work    workers.Pool // for handlers: their stacks have grown
	closing sync.Once

	mu  sync.Mutex // one Accept at a time
	buf []byte
}

func newFront(l net.Listener, h http.Handler) net.Listener {
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
			// Both are inherited by connections. A connection without a request is of no use yet; it is accepted after a second.
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 1)
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		})
	}
	if err != nil {
		_ = file.Close() // nothing was written
		return l
	}
	return &front{
		Listener: l, handler: h, file: file, raw: raw, buf: make([]byte, 4<<10),
		base: context.WithValue(context.Background(), http.LocalAddrContextKey, l.Addr()),
	}
}

// Close ends Accept. Handlers that run go on. The http.Server closes a listener as soon as Accept has ended, which is not
// to take the first one's success away.
func (f *front) Close() error {
	err := net.ErrClosed
	f.closing.Do(func() {
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		_ = f.work.Wait(gone) // keeps no goroutine any more, and waits for none
		err = errors.Join(f.file.Close(), f.Listener.Close())
	})
	return err
}

// Accept returns the next connection that is for the http.Server.
func (f *front) Accept() (net.Conn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		fd, peer, err := f.accept()
		switch {
		case errors.Is(err, unix.ECONNABORTED), errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, err
		}
		n, err := call(unix.SYS_READ, fd, unsafe.Pointer(&f.buf[0]), len(f.buf))
		if n > 0 && err == nil && f.serve(fd, peer, f.buf[:n]) {
			continue
		}
		nc, err := fileConn(fd)
		if err != nil { // out of descriptors, say: the next client may have more luck
			continue
		}
		if n > 0 {
			nc = &prefixed{nc, bytes.Clone(f.buf[:n])}
		}
		return nc, nil // an end or an error will be read again
	}
}

// serve serves the request that p is, unless it is not for a front.
func (f *front) serve(fd int, peer netip.AddrPort, p []byte) bool {
	if !peer.IsValid() {
		return false
	}
	r := parseUpgrade(p)
	if r == nil {
		return false
	}
	r.RemoteAddr = peer.String()
	f.work.Run(&answer{front: f, request: r, fd: fd})
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
		return -1, peer, fmt.Errorf("netconn: accept: %w", net.ErrClosed)
	}
	if errno != 0 {
		return -1, peer, &net.OpError{Op: "accept", Net: "tcp", Addr: f.Addr(), Err: errno}
	}
	return fd, peerOf(&address), nil
}

// peerOf reads an address. It is not valid for one that needs a zone.
func peerOf(a *unix.RawSockaddrAny) netip.AddrPort {
	var port *[2]byte
	var addr netip.Addr
	switch a.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(a))
		port, addr = (*[2]byte)(unsafe.Pointer(&in.Port)), netip.AddrFrom4(in.Addr)
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(a))
		port, addr = (*[2]byte)(unsafe.Pointer(&in.Port)), netip.AddrFrom16(in.Addr).Unmap()
		if addr.IsLinkLocalUnicast() && addr.Is6() {
			return netip.AddrPort{}
		}
	default:
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(addr, uint16(port[0])<<8|uint16(port[1]))
}

// fileConn makes a net.Conn of a descriptor, which is not to be used any more, also if it fails.
func fileConn(fd int) (net.Conn, error) {
	file := os.NewFile(uintptr(fd), "tcp")
	nc, err := net.FileConn(file)
	_ = file.Close() // net has a duplicate
	if err != nil {
		return nil, fmt.Errorf("netconn: connection of a descriptor: %w", err)
	}
	return nc, nil
}
