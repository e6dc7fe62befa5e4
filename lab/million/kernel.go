//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// kernel is what the kernel says of the whole machine, other programs included. Memory is in bytes.
type kernel struct {
	Total int64 `json:"total"`
	// Available is what programs can still have: MemAvailable without the slab that the kernel calls reclaimable, for
	// the inodes and directory entries of open sockets are in it and cannot be had back.
	Available     int64 `json:"available"`
	Slab          int64 `json:"slab"`
	Unreclaimable int64 `json:"slab_unreclaimable"`
	PageTables    int64 `json:"page_tables"`
	Stacks        int64 `json:"kernel_stacks"`
	Sockets       int64 `json:"tcp_sockets"`
	TCP           int64 `json:"tcp_buffers"` // bytes that wait in connections, in whole pages
	Files         int64 `json:"open_files"`

	Retransmitted int64 `json:"retransmitted"` // segments since the machine's start, as the next ones
	NotListened   int64 `json:"listen_drops"`  // connections for which a listener had no room
	Pressures     int64 `json:"tcp_pressures"` // times that TCP buffers became scarce
}

func readKernel() (kernel, error) {
	var k kernel
	var reclaimable int64
	err := errors.Join(
		readFields("/proc/meminfo", "", map[string]*int64{"MemTotal:": &k.Total, "MemAvailable:": &k.Available, "Slab:": &k.Slab,
			"SReclaimable:": &reclaimable, "SUnreclaim:": &k.Unreclaimable, "PageTables:": &k.PageTables, "KernelStack:": &k.Stacks}),
		readFields("/proc/net/sockstat", "TCP:", map[string]*int64{"alloc": &k.Sockets, "mem": &k.TCP}),
		readTable("/proc/net/snmp", "Tcp:", map[string]*int64{"RetransSegs": &k.Retransmitted}),
		readTable("/proc/net/netstat", "TcpExt:", map[string]*int64{"ListenDrops": &k.NotListened, "TCPMemoryPressures": &k.Pressures}),
	)
	for _, kib := range []*int64{&k.Total, &k.Available, &k.Slab, &k.Unreclaimable, &k.PageTables, &k.Stacks, &reclaimable} {
		*kib <<= 10
	}
	k.Available = max(k.Available-reclaimable, 0)
	k.TCP *= int64(os.Getpagesize())
	files, more := readNumbers("/proc/sys/fs/file-nr", 3)
	if more == nil {
		k.Files = files[0]
	}
	return k, errors.Join(err, more)
}

// readFields reads numbers that stand behind their names, in lines that begin with prefix.
func readFields(file, prefix string, to map[string]*int64) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	found := 0
	for line := range strings.Lines(string(data)) {
		if !strings.HasPrefix(line, prefix) {
			continue
		}
		fields := strings.Fields(line)
		for i, name := range fields[:max(len(fields)-1, 0)] {
			if v := to[name]; v != nil {
				if *v, err = strconv.ParseInt(fields[i+1], 10, 64); err != nil {
					return fmt.Errorf("%s: %w", file, err)
				}
				found++
			}
		}
	}
	if found < len(to) {
		return fmt.Errorf("%s: %d of %d figures are missing", file, len(to)-found, len(to))
	}
	return nil
}

// readTable reads numbers from a line of names and the line of values behind it, which both begin with prefix.
func readTable(file, prefix string, to map[string]*int64) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var names []string
	for line := range bytes.Lines(data) {
		fields := strings.Fields(string(line))
		if len(fields) == 0 || fields[0] != prefix {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i, name := range names[:min(len(names), len(fields))] {
			if v := to[name]; v != nil {
				if *v, err = strconv.ParseInt(fields[i], 10, 64); err != nil {
					return fmt.Errorf("%s: %w", file, err)
				}
			}
		}
		return nil
	}
	return fmt.Errorf("%s has no line %s", file, prefix)
}

// readNumbers reads a file that holds so many numbers.
func readNumbers(file string, n int) ([]int64, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(data))
	if len(fields) != n {
		return nil, fmt.Errorf("%s holds %q, not %d numbers", file, data, n)
	}
	numbers := make([]int64, n)
	for i, f := range fields {
		if numbers[i], err = strconv.ParseInt(f, 10, 64); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return numbers, nil
}

// extremes are the highest and the lowest readings while something lasts.
type extremes struct {
	TCP       int64 // highest
	Available int64 // lowest
}

// watch reads until ctx is done.
func watch(ctx context.Context) extremes {
	e := extremes{Available: 1 << 62}
	for {
		// A reading that fails is left out; those before and after the run are the ones to fail on.
		if k, err := readKernel(); err == nil {
			e.TCP, e.Available = max(e.TCP, k.TCP), min(e.Available, k.Available)
		}
		if sleep(ctx, 100*time.Millisecond) != nil {
			return e
		}
	}
}
