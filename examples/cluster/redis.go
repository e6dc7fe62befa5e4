package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
)

// redis is a redis-server of this program's own, with nothing on disk.
type redis struct {
	url  string
	cmd  *exec.Cmd
	done chan struct{} // closed once the server is gone
}

func startRedis(ctx context.Context) (*redis, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	// Not bound to ctx: the nodes still need Redis while they shut down.
	cmd := exec.Command("redis-server", "--port", strconv.Itoa(port), "--bind", "127.0.0.1",
		"--save", "", "--appendonly", "no", "--daemonize", "no")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting redis-server (install it, or give --redis): %w", err)
	}
	r := &redis{url: fmt.Sprintf("redis://127.0.0.1:%d", port), cmd: cmd, done: make(chan struct{})}
	ready := make(chan struct{})
	go func() {
		defer close(r.done)
		lines := bufio.NewScanner(stdout)
		for said := false; lines.Scan(); {
			if !said && strings.Contains(lines.Text(), "Ready to accept connections") {
				said = true
				close(ready)
			}
		}
		_ = cmd.Wait()
	}()
	select {
	case <-ready:
		return r, nil
	case <-r.done:
		return nil, fmt.Errorf("redis-server on port %d ended: %s", port, cmd.ProcessState)
	case <-ctx.Done():
		r.stop()
		return nil, ctx.Err()
	}
}

func (r *redis) stop() {
	_ = r.cmd.Process.Kill() // it holds nothing that would have to be saved
	<-r.done
}

// freePort is a port nobody listened on a moment ago.
func freePort(ctx context.Context) (int, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("looking for a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
