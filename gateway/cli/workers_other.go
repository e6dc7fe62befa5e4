//go:build !unix

package cli

import (
	"os"
	"syscall"
)

// stopSignal asks a worker to end.
var stopSignal = os.Kill

// ownGroup keeps a terminal's signals from a worker.
func ownGroup() *syscall.SysProcAttr { return nil }
