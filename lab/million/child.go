//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
)

// child is a process that this program started. It ends with this program, however that ends.
type child struct {
	name     string
	cmd      *exec.Cmd
	stderr   tail
	stopping atomic.Bool
	done     chan struct{} // closed when the process has ended
}

// startChild starts a process whose output goes to stdout, which is closed when the process has ended. If it ends by
// itself ended is told why.
func startChild(name string, cmd *exec.Cmd, stdout io.WriteCloser, ended func(error)) (*child, error) {
	c := &child{name: name, cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = stdout, &c.stderr
	// In a group of its own, so that Ctrl-C reaches this program only, which then stops its children in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		_ = stdout.Close() // nobody has written
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		defer close(c.done)
		err := cmd.Wait()
		_ = stdout.Close() // a pipe in memory
		if !c.stopping.Load() {
			ended(fmt.Errorf("%s ended: %w%s", name, orEOF(err), c.stderr.said()))
		}
	}()
	return c, nil
}

func orEOF(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// kill ends the process; wait returns when it has ended. A node keeps nothing that is worth a clean end, and a million
// farewells would take longer than the measurement.
func (c *child) kill() {
	c.stopping.Store(true)
	if err := c.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		fmt.Fprintf(os.Stderr, "million: stopping %s: %v\n", c.name, err)
	}
}

func (c *child) wait() { <-c.done }

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	const most = 2 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if n := len(t.text) - most; n > 0 {
		t.text = append(t.text[:0], t.text[n:]...)
	}
	return len(p), nil
}

// said returns the text for the end of an error.
func (t *tail) said() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.text) == 0 {
		return ""
	}
	return "; it said: " + string(t.text)
}

// address is a writer that finds, in what a server prints, where it listens.
type address struct {
	text  []byte
	found chan string // has room for one
	told  bool
}

// Write implements io.Writer.
func (a *address) Write(p []byte) (int, error) {
	if a.told {
		return len(p), nil
	}
	a.text = append(a.text, p...)
	if m := listening.FindSubmatch(a.text); m != nil {
		a.told, a.text = true, nil
		a.found <- string(m[1])
	}
	return len(p), nil
}

// Close implements io.Closer.
func (a *address) Close() error {
	close(a.found)
	return nil
}
