//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/peal-dev/peal/internal/bench/wire"
)

// settings are the flags of the program.
type settings struct {
	clients, nodes, generators int
	rounds, size               int
	atOnce, together           int
	foreign                    int
	pingInterval, pingTimeout  time.Duration
	idle, limit, patience      time.Duration
	keepFree                   int // MiB
	fill, tune                 bool
	gogc                       string
	peal, redis                string
	jsonFile, results          string
	out, progress              io.Writer
}

// parse reads the command line.
func parse(args []string) (*settings, error) {
	s := &settings{out: os.Stdout, progress: os.Stderr}
	f := flag.NewFlagSet("million", flag.ContinueOnError)
	f.IntVar(&s.clients, "clients", 1_000_000, "Socket.IO clients over WebSocket")
	f.IntVar(&s.nodes, "nodes", 0, "nodes; 0 takes as few as the limit of open files allows")
	f.IntVar(&s.generators, "generators", 0, "processes that play the clients; 0 takes as few as the limit of open files allows")
	f.IntVar(&s.rounds, "rounds", 5, "broadcasts")
	f.IntVar(&s.size, "size", 100, "bytes of a broadcast's data")
	f.IntVar(&s.atOnce, "at-once", 32, "connections that one generator opens at a time")
	f.IntVar(&s.together, "together", 4, "generators that connect at a time")
	f.IntVar(&s.foreign, "foreign", 10_000, "messages to a room of the first node, of which the other nodes have no member; 0 leaves it out")
	f.DurationVar(&s.pingInterval, "ping-interval", 25*time.Second, "pause between heartbeats, as of peal serve")
	f.DurationVar(&s.pingTimeout, "ping-timeout", 20*time.Second, "how long a heartbeat's answer may take, as of peal serve")
	f.DurationVar(&s.idle, "idle", 30*time.Second, "how long the clients are left alone, to measure the heartbeats")
	f.DurationVar(&s.limit, "limit", 15*time.Minute, "bounds the whole run")
	f.DurationVar(&s.patience, "patience", 2*time.Minute, "bounds one broadcast")
	f.IntVar(&s.keepFree, "keep-free", 1024, "MiB of the machine's memory to leave alone: nobody connects any more below that")
	f.BoolVar(&s.fill, "fill", false, "start although the memory will not do, and take as many clients as it carries")
	f.BoolVar(&s.tune, "tune", false, "raise kernel limits that are too low (sysctl, as root) and restore them at the end")
	f.StringVar(&s.gogc, "gogc", "100", "GOGC of the nodes: lower takes less memory and more processor time")
	f.StringVar(&s.peal, "peal", "", "the program peal; empty builds it")
	f.StringVar(&s.redis, "redis-server", "redis-server", "the program redis-server")
	f.StringVar(&s.jsonFile, "json", "", "file to write the result to as JSON")
	f.StringVar(&s.results, "results", "", "Markdown file whose section on this is to be replaced")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("there is only flags, and %q is none", strings.Join(f.Args(), " "))
	}
	return s, s.check()
}

func (s *settings) check() error {
	var errs []error
	for _, n := range []struct {
		flag       string
		value, min int
	}{
		{"clients", s.clients, 1}, {"nodes", s.nodes, 0}, {"generators", s.generators, 0}, {"rounds", s.rounds, 1},
		{"size", s.size, wire.StampSize}, {"at-once", s.atOnce, 1}, {"together", s.together, 1}, {"foreign", s.foreign, 0},
		{"keep-free", s.keepFree, 0}, {"idle", int(s.idle / time.Second), 1}, {"limit", int(s.limit / time.Second), 1},
		{"patience", int(s.patience / time.Second), 1}, {"ping-interval", int(s.pingInterval / time.Second), 1},
		{"ping-timeout", int(s.pingTimeout / time.Second), 1},
	} {
		if n.value < n.min {
			errs = append(errs, fmt.Errorf("--%s: %d is less than %d", n.flag, n.value, n.min))
		}
	}
	return errors.Join(errs...)
}

// spare are the descriptors that a process keeps for other things than clients.
const spare = 500

// divide decides on the number of nodes and generators, of which each may have so many open files.
func (s *settings) divide(files int) error {
	most := files - spare
	if most <= 0 {
		return fmt.Errorf("a process may open %d files, which is too few; raise the limit (ulimit -n)", files)
	}
	least := (s.clients + most - 1) / most
	for _, part := range []struct {
		flag string
		n    *int
	}{{"nodes", &s.nodes}, {"generators", &s.generators}} {
		if *part.n == 0 {
			*part.n = least
			// Some room is left, for a limit is no place to work at.
			if comfortable := most * 9 / 10; comfortable > 0 {
				*part.n = (s.clients + comfortable - 1) / comfortable
			}
		}
		if *part.n < least {
			return fmt.Errorf("--%s: a process may open %d files, so %d clients need %d at least, not %d; or raise the limit (ulimit -n)",
				part.flag, files, s.clients, least, *part.n)
		}
	}
	return nil
}

// segment is a part of the clients: those that one generator has on one node.
type segment struct {
	Node  int `json:"node"`
	First int `json:"first"` // number of its first client among all
	Count int `json:"count"`
}

// segments divides all clients among the nodes and among the generators, evenly and in order, and returns the parts of
// each generator.
func segments(clients, nodes, generators int) [][]segment {
	parts := make([][]segment, generators)
	for g := range parts {
		for at, end := clients*g/generators, clients*(g+1)/generators; at < end; {
			node := at * nodes / clients
			for clients*(node+1)/nodes <= at {
				node++
			}
			count := min(end, clients*(node+1)/nodes) - at
			parts[g] = append(parts[g], segment{Node: node, First: at, Count: count})
			at += count
		}
	}
	return parts
}
