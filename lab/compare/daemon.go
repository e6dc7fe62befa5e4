package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// daemon is a program that does not print where it listens: it is told a port and asked until it answers. Arguments,
// environment and files may contain {port}, the port, and {dir}, an empty directory of its own.
type daemon struct {
	path  string
	args  []string
	env   []string
	files map[string]string // by name in {dir}
}

// publishKey lets the generator publish; only servers on this machine's loopback interface have it.
const publishKey = "peal-bench-publishes-on-loopback"

// centrifugoDaemon is Centrifugo as its documentation sets it up, with channels open to anonymous clients and event
// streams; the rest is as it comes: no history, no presence.
func centrifugoDaemon() *daemon {
	return &daemon{env: []string{
		"CENTRIFUGO_HTTP_SERVER_ADDRESS=127.0.0.1", "CENTRIFUGO_HTTP_SERVER_PORT={port}",
		"CENTRIFUGO_CLIENT_ALLOW_ANONYMOUS_CONNECT_WITHOUT_TOKEN=true",
		"CENTRIFUGO_CHANNEL_WITHOUT_NAMESPACE_ALLOW_SUBSCRIBE_FOR_CLIENT=true",
		"CENTRIFUGO_CHANNEL_WITHOUT_NAMESPACE_ALLOW_SUBSCRIBE_FOR_ANONYMOUS=true",
		"CENTRIFUGO_CHANNEL_WITHOUT_NAMESPACE_ALLOW_PUBLISH_FOR_CLIENT=true",
		"CENTRIFUGO_CHANNEL_WITHOUT_NAMESPACE_ALLOW_PUBLISH_FOR_ANONYMOUS=true",
		"CENTRIFUGO_UNI_SSE_ENABLED=true", "CENTRIFUGO_HTTP_API_KEY=" + publishKey,
		"CENTRIFUGO_LOG_LEVEL=error", "CENTRIFUGO_USAGE_STATS_DISABLED=true",
	}}
}

// centrifugoNode is a Centrifugo that is one of several at a Redis.
func centrifugoNode(path, redis string) *daemon {
	d := centrifugoDaemon()
	d.path = path
	d.env = append(d.env, "CENTRIFUGO_ENGINE_TYPE=redis", "CENTRIFUGO_ENGINE_REDIS_ADDRESS="+redis)
	return d
}

// mercureDaemon is a Mercure hub as its documentation sets it up, without TLS and without a history on disk.
func mercureDaemon() *daemon {
	return &daemon{
		args: []string{"run", "--config", "{dir}/Caddyfile", "--adapter", "caddyfile"},
		env:  []string{"HOME={dir}", "XDG_DATA_HOME={dir}", "XDG_CONFIG_HOME={dir}"},
		files: map[string]string{"Caddyfile": `{
	admin off
	persist_config off
	log {
		level ERROR
	}
}
http://127.0.0.1:{port} {
	bind 127.0.0.1
	mercure {
		publisher_jwt ` + publishKey + `
		subscriber_jwt ` + publishKey + `
		anonymous
		transport local
	}
	respond "Not Found" 404
}
`},
	}
}

// startTimeout is how long a daemon may take until it listens, stopTimeout until it has ended.
const (
	startTimeout = 30 * time.Second
	stopTimeout  = 10 * time.Second
)

// running is a started daemon.
type running struct {
	url  string
	pid  int
	stop func()
}

// start starts the daemon and waits until it accepts connections.
func (d *daemon) start(ctx context.Context) (*running, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "peal-daemon-")
	if err != nil {
		return nil, fmt.Errorf("a directory for %s: %w", d.path, err)
	}
	_, port, _ := net.SplitHostPort(address)
	fill := strings.NewReplacer("{port}", port, "{dir}", dir)
	for name, text := range d.files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(fill.Replace(text)), 0o600); err != nil {
			return nil, errors.Join(fmt.Errorf("configuring %s: %w", d.path, err), os.RemoveAll(dir))
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	var args []string
	for _, arg := range d.args {
		args = append(args, fill.Replace(arg))
	}
	cmd := exec.CommandContext(ctx, d.path, args...) // our own arguments
	cmd.Dir, cmd.Stderr, cmd.Env = dir, os.Stderr, os.Environ()
	for _, entry := range d.env {
		cmd.Env = append(cmd.Env, fill.Replace(entry))
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTimeout
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, errors.Join(fmt.Errorf("starting %s: %w", d.path, err), os.RemoveAll(dir))
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()        // it was told to end, or says why on standard error
		_ = os.RemoveAll(dir) // the system cleans up what is left
	}()
	r := &running{url: "http://" + address, pid: cmd.Process.Pid, stop: func() { cancel(); <-ended }}
	if err := await(ctx, address, ended); err != nil {
		r.stop()
		return nil, fmt.Errorf("starting %s: %w", d.path, err)
	}
	return r, nil
}

func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("looking for a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// await connects until somebody accepts. A program that never says when it listens leaves nothing but to ask.
func await(ctx context.Context, address string, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		if conn, err := new(net.Dialer).DialContext(ctx, "tcp", address); err == nil {
			return conn.Close()
		}
		select {
		case <-again.C:
		case <-ended:
			return errors.New("it ended before it listened")
		case <-ctx.Done():
			return fmt.Errorf("it does not listen: %w", context.Cause(ctx))
		}
	}
}
