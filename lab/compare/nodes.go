package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/peal-dev/peal/bench"
	"github.com/peal-dev/peal/internal/bench/process"
	"github.com/peal-dev/peal/lab/broker"
	"github.com/peal-dev/peal/lab/compare/crossing"
)

// contestant is a way for three nodes to be a cluster.
type contestant struct {
	name    string // in the results
	server  string // whose program it is
	dialect bench.Dialect
	// command starts a node, or daemon does. In both {broker} stands for the address of a Redis of their own, or, if they are
	// alone, for a directory.
	command string
	daemon  *daemon
	alone   bool // they meet in the directory
}

// contestants returns what is compared: first Peal's default and what others use, then other ways of theirs.
func contestants(dir string, s settings) []contestant {
	serve := filepath.Join(dir, "peal") + " serve --dev --max-publish-rate 1000000 --log-level error --listen 127.0.0.1:0 --cluster "
	node := s.node + " lab/compare/node-socketio/server.mjs 0 "
	return []contestant{
		{name: "Peal", server: product, dialect: bench.Peal, command: serve + "redis://{broker}"},
		{name: "Node.js, redis-adapter", server: nodejs, dialect: bench.Handlers, command: node + "redis://{broker}"},
		{name: "Centrifugo", server: centrifugo, dialect: bench.Centrifugo, daemon: centrifugoNode(s.centrifugo, "{broker}")},
		{name: "Peal as a library", server: peal, dialect: bench.Handlers,
			command: filepath.Join(dir, "server") + " --profile bench --listen 127.0.0.1:0 --cluster redis://{broker}"},
		{name: "Peal, redis+sharded", server: product, dialect: bench.Peal, command: serve + "redis+sharded://{broker}"},
		{name: "Peal, redis+streams", server: product, dialect: bench.Peal, command: serve + "redis+streams://{broker}"},
		{name: "Peal, unix", server: product, dialect: bench.Peal, alone: true, command: serve + "unix://{broker}"},
		{name: "Node.js, sharded adapter", server: nodejs, dialect: bench.Handlers, command: node + "redis+sharded://{broker}"},
	}
}

// rivals is how many of the contestants are compared with each other: those in front.
const rivals = 3

// meeting is what the nodes of a cluster meet at.
type meeting struct {
	at   string // for {broker}
	pid  int
	stop func()
}

// meet starts a Redis, or makes a directory for nodes that need none.
func meet(ctx context.Context, c *contestant, redisServer string) (*meeting, error) {
	if c.alone {
		dir, err := os.MkdirTemp("", "peal-nodes-")
		if err != nil {
			return nil, fmt.Errorf("a directory for the nodes: %w", err)
		}
		return &meeting{at: dir, stop: func() { _ = os.RemoveAll(dir) }}, nil // the system cleans up what is left
	}
	redis, err := broker.StartRedis(ctx, redisServer)
	if err != nil {
		return nil, err
	}
	return &meeting{at: redis.Addr, pid: redis.PID(), stop: redis.Stop}, nil
}

// start starts one node.
func (c *contestant) start(ctx context.Context, at string) (n crossing.Node, stop func(), err error) {
	host := ""
	if c.daemon != nil {
		d := *c.daemon
		d.env = make([]string, len(c.daemon.env))
		for i, entry := range c.daemon.env {
			d.env[i] = strings.ReplaceAll(entry, "{broker}", at)
		}
		r, err := d.start(ctx)
		if err != nil {
			return n, nil, err
		}
		host, n.PID, stop = strings.TrimPrefix(r.url, "http://"), r.pid, r.stop
	} else {
		server, err := process.Start(ctx, strings.ReplaceAll(c.command, "{broker}", at), os.Stderr)
		if err != nil {
			return n, nil, err
		}
		host, n.PID, stop = server.Addr, server.PID(), func() { _ = server.Stop() } // its figures are there already
	}
	if n.Addr, err = netip.ParseAddrPort(host); err == nil && !n.Addr.Addr().IsLoopback() {
		err = fmt.Errorf("it listens on %s, which is not the loopback interface", host)
	}
	if err != nil {
		stop()
		return n, nil, fmt.Errorf("address of a node: %w", err)
	}
	return n, stop, nil
}

// cluster starts three nodes and what they meet at. Stop ends them all.
func (c *contestant) cluster(ctx context.Context, redisServer string) (cluster crossing.Cluster, stop func(), err error) {
	var stops []func()
	stop = func() {
		for i := len(stops) - 1; i >= 0; i-- {
			stops[i]()
		}
	}
	m, err := meet(ctx, c, redisServer)
	if err != nil {
		return cluster, nil, err
	}
	stops = append(stops, m.stop)
	cluster.Dialect, cluster.Broker = c.dialect, m.pid
	for _, to := range []*crossing.Node{&cluster.Publishing, &cluster.Members, &cluster.Bystander} {
		node, end, err := c.start(ctx, m.at)
		if err != nil {
			stop()
			return cluster, nil, err
		}
		*to, stops = node, append(stops, end)
	}
	return cluster, stop, nil
}

// trial is how a cluster is measured. Tests take less of everything.
type trial struct {
	options crossing.Options
	settle  float64 // seconds of messages that do not count, of which all must arrive in the end
	seconds float64 // of each load
	window  int     // messages under way when there are as many as go through

	hopClients int
}

var (
	fullTrial  = trial{settle: 1, seconds: 3, window: 1000, hopClients: 100}
	quickTrial = trial{settle: 0.2, seconds: 0.2, window: 20, hopClients: 5, options: crossing.Options{Rooms: 8, Publishers: 3}}
)

// allWindow is the window of messages that are delivered to all.
func (t trial) allWindow() int { return max(t.window/20, 1) }

// rates are messages a second.
var rates = []int{100, 1000, 10_000}

// Names of the figures of a cluster; those of a rate are completed by it.
const (
	nodesP50  = "p50 at %d"
	nodesP99  = "p99 at %d"
	nodesCPU  = "CPU of %s at %d"
	nodesRest = "CPU of %s at rest"
	nodesMost = "most"
	allP50    = "to all: p50"
	allP99    = "to all: p99"
	allCPU    = "to all: CPU of %s"
	allMost   = "to all: most"
)

// The processes of a cluster, as figures name them.
var processes = []string{"the broker", "the publishing node", "the members' node", "the third node"}

// byProcess returns processor times in the order of processes.
func byProcess(c crossing.CPU) []time.Duration {
	return []time.Duration{c.Broker, c.Publishing, c.Members, c.Bystander}
}

// toAllRate is how many messages a second go to all members in one room.
const toAllRate = 100

// settleLimit bounds how long nodes may take to know each other.
const settleLimit = 20 * time.Second

// measureCluster measures a contestant once, and gives figures to add and problems to problem.
func (t trial) measureCluster(ctx context.Context, c *contestant, redisServer string, add func(name string, value float64), problem func(text string)) error {
	cluster, stop, err := c.cluster(ctx, redisServer)
	if err != nil {
		return err
	}
	defer stop()
	f, err := crossing.Open(ctx, cluster, t.options)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := t.wait(ctx, f); err != nil {
		return err
	}
	run := func(what string, l crossing.Load) (*crossing.Result, error) {
		r, err := f.Run(ctx, l)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		if p := r.Problem(); p != "" {
			problem(what + ": " + p)
		}
		return r, nil
	}
	rest, err := f.Rest(ctx, time.Duration(t.seconds*float64(time.Second)))
	if err != nil {
		return err
	}
	for i, used := range byProcess(rest) {
		add(fmt.Sprintf(nodesRest, processes[i]), used.Seconds()*1e3)
	}
	for _, rate := range rates {
		r, err := run(fmt.Sprintf("%d messages/s", rate), crossing.Load{Rate: rate, Seconds: t.seconds})
		if err != nil {
			return err
		}
		add(fmt.Sprintf(nodesP50, rate), r.P50.Seconds()*1e3)
		add(fmt.Sprintf(nodesP99, rate), r.P99.Seconds()*1e3)
		for i, used := range byProcess(r.CPU) {
			add(fmt.Sprintf(nodesCPU, processes[i], rate), r.Per(used))
		}
	}
	r, err := run("as many messages as go through", crossing.Load{Window: t.window, Seconds: t.seconds})
	if err != nil {
		return err
	}
	add(nodesMost, r.Rate())
	if r, err = run(fmt.Sprintf("%d messages/s to all", toAllRate), crossing.Load{ToAll: true, Rate: toAllRate, Seconds: t.seconds}); err != nil {
		return err
	}
	add(allP50, r.P50.Seconds()*1e3)
	add(allP99, r.P99.Seconds()*1e3)
	for i, used := range byProcess(r.CPU) {
		add(fmt.Sprintf(allCPU, processes[i]), r.Per(used))
	}
	if r, err = run("as many messages to all as go through", crossing.Load{ToAll: true, Window: t.allWindow(), Seconds: t.seconds}); err != nil {
		return err
	}
	add(allMost, r.Rate())
	return nil
}

// wait publishes until all arrives: from then on the nodes know each other.
func (t trial) wait(ctx context.Context, f *crossing.Field) error {
	for began := time.Now(); ; {
		r, err := f.Run(ctx, crossing.Load{Rate: rates[1], Seconds: t.settle})
		if err != nil {
			return err
		}
		if r.Problem() == "" {
			return nil
		}
		if time.Since(began) > settleLimit {
			return errors.New("messages do not get from one node to another: " + r.Problem())
		}
	}
}
