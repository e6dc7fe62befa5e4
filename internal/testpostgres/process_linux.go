package testpostgres

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// account is the user that the server runs as: PostgreSQL refuses to run as root.
type account struct{ uid, gid int }

func findAccount() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.Atoi(u.Uid)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.Atoi(u.Gid)
		return &account{uid, gid}, err
	}
	return nil, errors.New("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody")
}

// run has cmd run as a, in a process group of its own: a signal to the test's is not for the server.
func (a *account) run(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if a != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
}

// own gives a file to a.
func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	return os.Chown(path, a.uid, a.gid)
}

// The ways in which a server ends: "immediate" and "fast" in the words of PostgreSQL.
const (
	crash   = syscall.SIGQUIT
	orderly = syscall.SIGINT
)

// pause stops the server and its children, each of which leads a session of its own.
func pause(p *os.Process) error {
	if err := p.Signal(syscall.SIGSTOP); err != nil { // first, so that there are no new ones
		return err
	}
	return signalChildren(p.Pid, syscall.SIGSTOP)
}

func resume(p *os.Process) error {
	return errors.Join(signalChildren(p.Pid, syscall.SIGCONT), p.Signal(syscall.SIGCONT))
}

func signalChildren(pid int, signal syscall.Signal) error {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return err
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for _, field := range strings.Fields(string(text)) {
			child, err := strconv.Atoi(field)
			if err != nil {
				return err
			}
			if err := syscall.Kill(child, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
				return err
			}
		}
	}
	return nil
}
