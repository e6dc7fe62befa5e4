package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/peal-dev/peal/internal/bench/process"
)

// target is a server under test.
type target struct {
	addr   netip.AddrPort
	pid    int
	server *process.Server // nil if it was running already
}

// open finds a server, or starts it.
func open(ctx context.Context, rawURL, command string, pid int, allowRemote bool, stderr io.Writer) (*target, error) {
	t := &target{pid: pid}
	host := ""
	if command != "" {
		s, err := process.Start(ctx, command, stderr)
		if err != nil {
			return nil, err
		}
		t.server, t.pid, host = s, s.PID(), s.Addr
	} else {
		u, err := serverURL(rawURL)
		if err != nil {
			return nil, err
		}
		host = u.Host
		if u.Port() == "" {
			host = net.JoinHostPort(u.Hostname(), "80")
		}
	}
	addr, err := resolve(ctx, host)
	if err == nil && !addr.Addr().IsLoopback() && !allowRemote {
		err = fmt.Errorf("%s: %w", host, ErrNotLoopback)
	}
	if err != nil {
		return nil, errors.Join(err, t.close())
	}
	t.addr = addr
	return t, nil
}

func resolve(ctx context.Context, host string) (netip.AddrPort, error) {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("address of the server: %w", err)
	}
	number, err := new(net.Resolver).LookupPort(ctx, "tcp", port)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("address of the server: %w", err)
	}
	addrs, err := new(net.Resolver).LookupNetIP(ctx, "ip", name)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("address of the server: %w", err)
	}
	best := addrs[0].Unmap()
	for _, a := range addrs {
		if a = a.Unmap(); a.Is4() {
			best = a
			break
		}
	}
	if best.IsUnspecified() { // a server that listens everywhere is here as well
		best = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.AddrPortFrom(best, uint16(number)), nil
}

func (t *target) close() error {
	if t == nil || t.server == nil {
		return nil
	}
	return t.server.Stop()
}

// cost is processor time used by the server and by this process, and the time that passed.
type cost struct {
	server, own time.Duration
	at          time.Time
}

// cost reads the clocks. Without a process to measure the server's stands still.
func (t *target) cost() (cost, error) {
	c := cost{at: time.Now()}
	var err error
	if c.own, err = process.CPU(os.Getpid()); err != nil {
		return c, err
	}
	if t.pid != 0 {
		c.server, err = process.CPU(t.pid)
	}
	return c, err
}

func (c cost) since(before cost) (server, own, wall time.Duration) {
	return c.server - before.server, c.own - before.own, c.at.Sub(before.at)
}

// memory returns the server's resident bytes, 0 without a process to measure.
func (t *target) memory() (int64, error) {
	if t.pid == 0 {
		return 0, nil
	}
	m, err := process.MemoryOf(t.pid)
	return m.Resident, err
}
