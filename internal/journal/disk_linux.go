package journal

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Reserve implements [File]. A file system without preallocation gets a file with holes.
func (f file) Reserve(size int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), 0, 0, size)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EOPNOTSUPP):
			return f.Truncate(size)
		default:
			return err
		}
	}
}

// SyncData implements [File].
func (f file) SyncData() error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
