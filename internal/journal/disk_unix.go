//go:build unix

package journal

import (
	"errors"
	"os"
	"syscall"
)

// errDiskFull is what this system says when there is no room.
const errDiskFull = syscall.ENOSPC

// lock takes f for this process.
func lock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}

// SyncDir implements [Disk].
func (machine) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
