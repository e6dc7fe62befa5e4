package netconn

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

var iovecs = sync.Pool{New: func() any { return new([maxBatch]unix.Iovec) }}

// writeBatch writes as much of b as the kernel takes now; again says that it did not take all.
func writeBatch(fd int, b batch) (n int, again bool, err error) {
	if len(b.rest) == 0 {
		first := b.first
		n, err = call(unix.SYS_WRITE, fd, unsafe.Pointer(&first[0]), len(first), len(first))
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
	n, err = call(unix.SYS_WRITEV, fd, unsafe.Pointer(vec), count, total)
	clear(vec[:count])
	return wrote(n, total, err)
}

// call makes a system call that does not wait for the peer, which the scheduler then need not know of: that would cost
// a small one more than a tenth. One that moves much may have to wait for memory, and tells it.
func call(trap uintptr, fd int, p unsafe.Pointer, n, bytes int) (int, error) {
	var r uintptr
	var errno syscall.Errno
	if bytes < soft {
		r, _, errno = unix.RawSyscall(trap, uintptr(fd), uintptr(p), uintptr(n))
	} else {
		r, _, errno = unix.Syscall(trap, uintptr(fd), uintptr(p), uintptr(n))
	}
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
