//go:build !unix

package testserver

import (
	"errors"
	"os"
)

// There is no server where a process cannot be stopped, so no test gets here.
func pause(*os.Process) error  { return errors.ErrUnsupported }
func resume(*os.Process) error { return errors.ErrUnsupported }
