package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/peal-dev/peal/internal/bench/process"
	"github.com/peal-dev/peal/lab/broker"
)

// programs are what is started.
type programs struct{ peal, floor, redis string }

// shownPeal is the command of a node as the reader would write it.
const shownPeal = "interop/server --profile bench --listen 127.0.0.1:0"

// build compiles the servers into a directory.
func build(ctx context.Context, dir, redis string) (programs, error) {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", dir+"/", "./lab/compare/floor", "./interop/server")
	if out, err := cmd.CombinedOutput(); err != nil {
		return programs{}, fmt.Errorf("building the servers (run this at the root of the repository): %w\n%s", err, out)
	}
	return programs{peal: filepath.Join(dir, "server"), floor: filepath.Join(dir, "floor"), redis: redis}, nil
}

// servers are the running nodes of a point, and their Redis if they have one.
type servers struct {
	nodes []*process.Server
	addrs []netip.AddrPort
	redis *broker.Redis
}

// start starts what a load asks for. stop is to be called even if there is an error.
func start(ctx context.Context, p programs, l load, floor bool) (*servers, error) {
	s := new(servers)
	command := fmt.Sprintf("'%s' --profile bench --listen 127.0.0.1:0", p.peal)
	if floor {
		command = fmt.Sprintf("'%s'", p.floor)
	}
	if l.nodes > 0 {
		var err error
		if s.redis, err = broker.StartRedis(ctx, p.redis); err != nil {
			return s, err
		}
		command += " --cluster redis://" + s.redis.Addr
	}
	for range max(l.nodes, 1) {
		node, err := process.Start(ctx, command, os.Stderr)
		if err != nil {
			return s, err
		}
		s.nodes = append(s.nodes, node)
		addr, err := netip.ParseAddrPort(node.Addr)
		if err != nil {
			return s, fmt.Errorf("address of a node: %w", err)
		}
		if !addr.Addr().IsLoopback() {
			return s, fmt.Errorf("a node listens on %s, which is not the loopback interface", addr)
		}
		s.addrs = append(s.addrs, addr)
	}
	return s, nil
}

func (s *servers) stop() error {
	var errs []error
	for _, node := range s.nodes {
		errs = append(errs, node.Stop())
	}
	if s.redis != nil {
		s.redis.Stop()
	}
	return errors.Join(errs...)
}

// pids returns the processes that count.
func (s *servers) pids() (all []int) {
	for _, node := range s.nodes {
		all = append(all, node.PID())
	}
	if s.redis != nil {
		all = append(all, s.redis.PID())
	}
	return all
}

// cpu returns the processor time that all have used.
func (s *servers) cpu() (sum time.Duration, err error) {
	for _, pid := range s.pids() {
		used, err := process.CPU(pid)
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

// memory returns the bytes that all hold; pages that several share, such as the program, count once.
func (s *servers) memory() (sum float64, err error) {
	for _, pid := range s.pids() {
		m, err := process.MemoryOf(pid)
		if err != nil {
			return 0, err
		}
		sum += float64(m.Proportional)
	}
	return sum, nil
}
