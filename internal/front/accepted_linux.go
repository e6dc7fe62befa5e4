package front

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// accepted is a connection that a front leaves to net/http. It is what *net.TCPConn is, on the descriptor that the front
// has: net makes a net.Conn of a duplicate only.
type accepted struct {
	file        *os.File // the runtime waits for it
	local, peer *net.TCPAddr

	mu   sync.Mutex
	rest []byte // has been read by the front
}

// newAccepted makes a net.Conn of a connected descriptor that does not block, of which rest has been read already. The
// descriptor belongs to it, also if it fails.
func newAccepted(fd int, local, peer netip.AddrPort, rest []byte) (*accepted, error) {
	file := os.NewFile(uintptr(fd), "tcp")
	if err := file.SetDeadline(time.Time{}); err != nil { // NewFile does not say that the runtime could not take it
		_ = file.Close() // nothing was written
		return nil, fmt.Errorf("front: watch an accepted connection: %w", err)
	}
	return &accepted{file: file, local: net.TCPAddrFromAddrPort(local), peer: net.TCPAddrFromAddrPort(peer), rest: rest}, nil
}

// TakeUnread takes what was read of the connection before it was one away from it.
func (c *accepted) TakeUnread() (rest []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	rest, c.rest = c.rest, nil
	return rest
}

// TakeDescriptor gives the connection away as a descriptor, unless there is something to read that the descriptor no
// longer has.
func (c *accepted) TakeDescriptor() (fd int, ok bool) {
	c.mu.Lock()
	unread := len(c.rest) > 0
	c.mu.Unlock()
	if unread {
		return 0, false
	}
	rc, err := c.file.SyscallConn()
	if err != nil {
		return 0, false
	}
	// A duplicate, for os.File does not part with its own.
	var dupErr error
	err = rc.Control(func(old uintptr) { fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
	if err != nil || dupErr != nil {
		return 0, false // closed, or out of descriptors
	}
	_ = c.file.Close() // the duplicate keeps the connection
	return fd, true
}

// explain makes an error of the file one of net.
func (c *accepted) explain(op string, err error) error {
	if err == nil || err == io.EOF { // as Read must return it
		return err
	}
	if path, ok := err.(*os.PathError); ok { // package os wraps no further, and every timeout comes by here
		err = path.Err
	}
	if err == os.ErrClosed { // likewise
		err = net.ErrClosed
	}
	if errno, ok := err.(syscall.Errno); ok { // likewise
		err = os.NewSyscallError(op, errno)
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.peer, Err: err}
}

// Read implements net.Conn. First comes what the front has read.
func (c *accepted) Read(p []byte) (int, error) {
	c.mu.Lock()
	if len(c.rest) > 0 {
		defer c.mu.Unlock()
		n := copy(p, c.rest)
		if c.rest = c.rest[n:]; len(c.rest) == 0 {
			c.rest = nil
		}
		return n, nil
	}
	c.mu.Unlock()
	n, err := c.file.Read(p)
	return n, c.explain("read", err)
}

// Write implements net.Conn.
func (c *accepted) Write(p []byte) (int, error) {
	n, err := c.file.Write(p)
	return n, c.explain("write", err)
}

// maxSend is how much one system call sends of a file.
const maxSend = 4 << 20

// ReadFrom implements io.ReaderFrom, by which net/http has the kernel send files.
func (c *accepted) ReadFrom(r io.Reader) (n int64, err error) {
	remain, source := int64(-1), r
	limited, _ := r.(*io.LimitedReader)
	if limited != nil {
		remain, source = limited.N, limited.R
	}
	if file, ok := source.(*os.File); ok {
		n, err = c.sendFile(file, remain)
		if limited != nil {
			limited.N -= n
		}
		if err != nil {
			return n, c.explain("sendfile", err)
		}
	}
	// What is left: all, if the kernel cannot send of this file, and else nothing.
	more, err := io.Copy(struct{ io.Writer }{c}, r)
	return n + more, err
}

// sendFile sends at most remain bytes of file, or all of it if remain is negative, as long as the kernel can.
func (c *accepted) sendFile(file *os.File, remain int64) (sent int64, err error) {
	source, err := file.SyscallConn()
	if err != nil {
		return 0, nil // reading from it will say what is wrong
	}
	target, err := c.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	var sendErr error
	send := func(from, to uintptr) bool {
		for remain != 0 {
			count := maxSend
			if remain > 0 {
				count = int(min(remain, maxSend))
			}
			n, err := unix.Sendfile(int(to), int(from), nil, count)
			switch {
			case n > 0:
				sent += int64(n)
				if remain > 0 {
					remain -= int64(n)
				}
			case errors.Is(err, unix.EAGAIN):
				return false
			case errors.Is(err, unix.EINTR):
			case errors.Is(err, unix.EPIPE), errors.Is(err, unix.ECONNRESET):
				sendErr = err
				return true
			default: // the end of the file, or one that the kernel does not send of
				return true
			}
		}
		return true
	}
	var waitErr error
	err = source.Control(func(from uintptr) {
		waitErr = target.Write(func(to uintptr) bool { return send(from, to) })
	})
	switch {
	case err != nil:
		return 0, nil // the file is closed, which reading from it says
	case waitErr != nil && !errors.Is(waitErr, os.ErrDeadlineExceeded):
		return sent, os.ErrClosed // internal/poll's own error for that is nobody else's
	case waitErr != nil:
		return sent, waitErr
	}
	return sent, sendErr
}

// Close implements net.Conn.
func (c *accepted) Close() error { return c.explain("close", c.file.Close()) }

// CloseRead shuts the reading side down, CloseWrite the writing side, as those of *net.TCPConn.
func (c *accepted) CloseRead() error  { return c.shutdown(unix.SHUT_RD) }
func (c *accepted) CloseWrite() error { return c.shutdown(unix.SHUT_WR) }

func (c *accepted) shutdown(how int) error {
	var err error
	rc, closedErr := c.file.SyscallConn()
	if closedErr == nil {
		closedErr = rc.Control(func(fd uintptr) { err = unix.Shutdown(int(fd), how) })
	}
	if closedErr != nil {
		err = os.ErrClosed
	}
	return c.explain("shutdown", err)
}

// SyscallConn implements syscall.Conn.
func (c *accepted) SyscallConn() (syscall.RawConn, error) {
	rc, err := c.file.SyscallConn()
	return rc, c.explain("raw-control", err)
}

// LocalAddr and RemoteAddr implement net.Conn.
func (c *accepted) LocalAddr() net.Addr  { return c.local }
func (c *accepted) RemoteAddr() net.Addr { return c.peer }

// SetDeadline, SetReadDeadline and SetWriteDeadline implement net.Conn.
func (c *accepted) SetDeadline(t time.Time) error      { return c.set(c.file.SetDeadline(t)) }
func (c *accepted) SetReadDeadline(t time.Time) error  { return c.set(c.file.SetReadDeadline(t)) }
func (c *accepted) SetWriteDeadline(t time.Time) error { return c.set(c.file.SetWriteDeadline(t)) }

// set explains why there is no deadline: the only reason is that the connection was closed.
func (c *accepted) set(err error) error {
	if err != nil {
		err = &net.OpError{Op: "set", Net: "tcp", Addr: c.local, Err: net.ErrClosed}
	}
	return err
}
