//go:build !unix

package testredis

import (
	"errors"
	"os"
)

// Redis itself does not run where a process cannot be stopped, so no test gets here.
func pause(*os.Process) error  { return errors.ErrUnsupported }
func resume(*os.Process) error { return errors.ErrUnsupported }
