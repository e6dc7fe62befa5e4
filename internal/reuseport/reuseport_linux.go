package reuseport

import (
	"context"
	"net"
	"os"
	"syscall"
)

// option is SO_REUSEPORT, which package syscall leaves out on some architectures.
const option = 15

// Control is for a [net.ListenConfig] whose address others may listen on too, if they say so as well.
func Control(_, _ string, c syscall.RawConn) (err error) {
	if e := c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, option, 1) }); e != nil {
		return e
	}
	return os.NewSyscallError("setsockopt", err)
}

// Reserve holds address for processes that listen on it by [Control], until release is called: nobody else gets it. It takes
// no connections itself. Bound is the address, with a free port if that was 0.
func Reserve(ctx context.Context, address string) (bound string, release func(), err error) {
	// A listener would take connections, so it is there only to work the address out.
	config := net.ListenConfig{Control: Control}
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return "", nil, err
	}
	defer l.Close()
	addr := l.Addr().(*net.TCPAddr)
	fd, err := bind(addr)
	if err != nil {
		return "", nil, err
	}
	return addr.String(), func() { _ = syscall.Close(fd) }, nil
}

func bind(addr *net.TCPAddr) (int, error) {
	family, to := syscall.AF_INET, syscall.Sockaddr(nil)
	if ip := addr.IP.To4(); ip != nil {
		to = &syscall.SockaddrInet4{Port: addr.Port, Addr: [4]byte(ip)}
	} else {
		family, to = syscall.AF_INET6, &syscall.SockaddrInet6{Port: addr.Port, Addr: [16]byte(addr.IP.To16())}
	}
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, option, 1); err == nil && family == syscall.AF_INET6 && addr.IP.IsUnspecified() {
		err = syscall.SetsockoptInt(fd, syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY, 0) // as package net listens
	}
	if err == nil {
		err = syscall.Bind(fd, to)
	}
	if err != nil {
		_ = syscall.Close(fd)
		return -1, os.NewSyscallError("bind", err)
	}
	return fd, nil
}
