//go:build unix

package local

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// errLocked says that another process has the lock.
var errLocked = errors.New("local: another process is the host")

// tryLock takes the lock that is the file at path, which is made if it is not there. It is given back by Close, and by the
// end of the process.
func tryLock(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errLocked
		}
		return nil, err
	}
	return f, nil
}
