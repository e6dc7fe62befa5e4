//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
)

// What a connection takes, both ends on this machine, for a first estimate. Measured: see bench/RESULTS.md.
const (
	perClient  = 13 << 10
	perProcess = 12 << 20
	// bufferPerClient is what waits in the kernel at the height of a broadcast, by client.
	bufferPerClient = 1 << 10
)

// preflight checks what the run needs before anything is started.
func (s *settings) preflight(k kernel) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if _, err := exec.LookPath(s.redis); err != nil {
		bad("a cluster needs a Redis: %w; install the package redis-server, or say where it is with --redis-server", err)
	}
	need := int64(s.clients)*perClient + int64(s.nodes+s.generators)*perProcess
	if left := k.Available - int64(s.keepFree)<<20; need > left && !s.fill {
		bad("%d clients need about %s of memory and %s of %s are available, of which %d MiB stay free (--keep-free); "+
			"take about --clients %d, or --fill to take as many as there is memory for",
			s.clients, gib(need), gib(k.Available), gib(k.Total), s.keepFree, max(left-int64(s.nodes+s.generators)*perProcess, 0)/perClient)
	}
	if most, err := readNumbers("/proc/sys/fs/file-max", 1); err != nil {
		errs = append(errs, err)
	} else if files := k.Files + int64(2*s.clients+200*(s.nodes+s.generators)); files > most[0] {
		bad("all processes together may open %d files and about %d will be: raise fs.file-max", most[0], files)
	}
	if ports, err := readNumbers("/proc/sys/net/ipv4/ip_local_port_range", 2); err != nil {
		errs = append(errs, err)
	} else if n, want := ports[1]-ports[0]+1, int64(12_000); n < want {
		bad("a local address has %d ports for connections and about %d are used: widen net.ipv4.ip_local_port_range", n, want)
	}
	if backlog, err := readNumbers("/proc/sys/net/core/somaxconn", 1); err != nil {
		errs = append(errs, err)
	} else if atOnce := int64(s.atOnce * s.together); atOnce > backlog[0] {
		bad("up to %d connections are opened at a time and a listener keeps %d waiting: lower --at-once, or raise net.core.somaxconn", atOnce, backlog[0])
	}
	if err := s.tracking(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// tracking fails if a firewall follows connections, and not as many as there will be.
func (s *settings) tracking() error {
	const dir = "/proc/sys/net/netfilter/"
	most, err := readNumbers(dir+"nf_conntrack_max", 1)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	now, more := readNumbers(dir+"nf_conntrack_count", 1)
	if err := errors.Join(err, more); err != nil {
		return err
	}
	// Without a rule that needs it the kernel follows none, whatever the limit.
	if now[0] == 0 || now[0]+int64(s.clients) <= most[0] {
		return nil
	}
	return fmt.Errorf("the firewall follows %d connections at most: raise net.netfilter.nf_conntrack_max, or leave loopback out of it", most[0])
}

const tcpMem = "/proc/sys/net/ipv4/tcp_mem"

// tcpMemory returns a note if the kernel may run short of buffers while a broadcast is under way. With --tune it raises
// the limit; restore undoes it.
func (s *settings) tcpMemory(k kernel) (note string, restore func() error, err error) {
	restore = func() error { return nil }
	page := int64(os.Getpagesize())
	limits, err := readNumbers(tcpMem, 3)
	if err != nil {
		return "", restore, err
	}
	want := (k.TCP + int64(s.clients)*bufferPerClient) / page
	if want <= limits[1] {
		return "", restore, nil
	}
	if !s.tune {
		return fmt.Sprintf("net.ipv4.tcp_mem is %d %d %d pages and a broadcast may have %d waiting; "+
			"the kernel then sends some segments again. --tune raises it for the run", limits[0], limits[1], limits[2], want), restore, nil
	}
	before := fmt.Sprintf("%d %d %d", limits[0], limits[1], limits[2])
	after := fmt.Sprintf("%d %d %d", want, want*5/4, want*3/2)
	if err := os.WriteFile(tcpMem, []byte(after), 0); err != nil {
		return "", restore, fmt.Errorf("--tune: net.ipv4.tcp_mem: %w (only root of the machine may set it)", err)
	}
	restore = func() error {
		if err := os.WriteFile(tcpMem, []byte(before), 0); err != nil {
			return fmt.Errorf("net.ipv4.tcp_mem could not be set back to %q: %w", before, err)
		}
		return nil
	}
	return fmt.Sprintf("net.ipv4.tcp_mem was %s and is %s for the run", before, strings.TrimSpace(after)), restore, nil
}

func gib(n int64) string { return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30)) }
