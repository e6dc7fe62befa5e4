package broker

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Redis is a running Redis server.
type Redis struct {
	Addr string // host:port

	cmd     *exec.Cmd
	cancel  context.CancelFunc
	drained chan struct{}
}

// stopTimeout is how long Redis may take to end when asked to.
const stopTimeout = 10 * time.Second

// StartRedis starts a Redis on a free port of the loopback interface and waits until it says that it accepts connections.
// It ends with Stop, or when ctx is done. An empty program is redis-server.
func StartRedis(ctx context.Context, program string) (*Redis, error) {
	if program == "" {
		program = "redis-server"
	}
	addr, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addr) // we have it from the kernel
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, program, "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--daemonize", "no", // the user's own program
		"--logfile", "", "--loglevel", "notice", "--dir", os.TempDir())
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTimeout
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		cancel()
		return nil, fmt.Errorf("starting Redis: %w", err)
	}
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("starting Redis: %w", err)
	}
	r := &Redis{Addr: addr, cmd: cmd, cancel: cancel, drained: make(chan struct{})}
	lines := bufio.NewScanner(stdout)
	last, ready := "", false
	for !ready && lines.Scan() {
		last = lines.Text()
		ready = strings.Contains(last, "Ready to accept connections")
	}
	go func() {
		defer close(r.drained)
		_, _ = io.Copy(io.Discard, stdout) // ends with the process
	}()
	if !ready {
		r.Stop()
		return nil, fmt.Errorf("redis %s did not come up on %s; it said last: %q", program, addr, last)
	}
	return r, nil
}

// PID returns the server's process id.
func (r *Redis) PID() int { return r.cmd.Process.Pid }

// Stop ends the server and waits for it.
func (r *Redis) Stop() {
	r.cancel()
	<-r.drained
	_ = r.cmd.Wait() // it was told to end, or said why
}

// freeAddress returns a loopback address that nobody listens on now.
func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("looking for a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}
