//go:build !unix

package local

import (
	"errors"
	"io"
)

var errLocked = errors.New("local: another process is the host")

// tryLock fails: without a lock that ends with the process two could be the host.
func tryLock(string) (io.Closer, error) {
	return nil, errors.New("this system has no file locks that end with the process; use Redis to join processes")
}
