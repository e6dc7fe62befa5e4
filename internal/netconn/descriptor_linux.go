package netconn

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// pollable reports whether nc has a descriptor to give.
func pollable(nc net.Conn) bool {
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn, descriptorTaker:
		return true
	}
	return false
}

// detach takes the descriptor of a pollable connection away from the Go runtime. After an error, such as the lack of
// descriptors, a goroutine can still read nc; errors.ErrUnsupported says that only a goroutine can.
func detach(nc net.Conn) (fd int, err error) {
	if taker, ok := nc.(descriptorTaker); ok {
		if fd, ok := taker.TakeDescriptor(); ok {
			return fd, nil
		}
		return -1, errors.ErrUnsupported
	}
	rc, err := nc.(syscall.Conn).SyscallConn()
	if err != nil {
		return -1, fmt.Errorf("netconn: descriptor: %w", err)
	}
	var dup int
	var dupErr error
	err = rc.Control(func(old uintptr) { dup, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
	if err := errors.Join(err, dupErr); err != nil {
		return -1, fmt.Errorf("netconn: descriptor: %w", err)
	}
	_ = nc.Close() // the duplicate keeps the connection
	return dup, nil
}

func closeFD(fd int) { _ = unix.Close(fd) } // the descriptor is gone whatever close says
