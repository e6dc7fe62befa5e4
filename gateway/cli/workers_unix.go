//go:build unix

package cli

import (
	"os"
	"syscall"
)

// stopSignal asks a worker to end.
var stopSignal os.Signal = syscall.SIGTERM

// ownGroup keeps a terminal's signals from a worker.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
