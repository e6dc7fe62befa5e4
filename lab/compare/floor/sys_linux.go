package main

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

func sys(number uintptr, fd int, p []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(number, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if errno != 0 {
		return -1, errno
	}
	return int(n), 0
}
