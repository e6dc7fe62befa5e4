package journal

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// errDiskFull is what this system says when there is no room.
const errDiskFull = windows.ERROR_DISK_FULL

// lock takes f for this process.
func lock(f *os.File) error {
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return ErrLocked
	}
	return err
}

// SyncDir implements [Disk]: this system has no such thing, a name is durable with its file.
func (machine) SyncDir(string) error { return nil }
