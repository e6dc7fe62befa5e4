//go:build unix

package testserver

import (
	"os"
	"syscall"
)

// pause returns when the process has stopped: a signal reaches one of its threads first, and another may yet answer.
func pause(p *os.Process) error {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	var status syscall.WaitStatus
	for {
		if _, err := syscall.Wait4(p.Pid, &status, syscall.WUNTRACED, nil); err != syscall.EINTR {
			return err
		}
	}
}

func resume(p *os.Process) error { return p.Signal(syscall.SIGCONT) }
