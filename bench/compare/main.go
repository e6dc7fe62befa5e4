package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/peal-dev/peal/bench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// flags of the program.
type settings struct {
	out     string
	node    string
	repeat  int
	clients int
	only    string
	redis   string
}

func run(ctx context.Context) error {
	var s settings
	flag.StringVar(&s.out, "out", "bench/RESULTS.md", "file to write; empty prints")
	flag.StringVar(&s.node, "node", "node", "Node.js; empty leaves it out")
	flag.IntVar(&s.repeat, "repeat", 3, "times to measure each")
	flag.IntVar(&s.clients, "clients", 10_000, "clients; fan-out is measured with half of them as well")
	flag.StringVar(&s.only, "only", "", "comma-separated measurements; empty means all")
	flag.StringVar(&s.redis, "redis", "", "URL of a Redis of your own for scenario cluster; empty leaves it out")
	flag.Parse()

	dir, err := os.MkdirTemp("", "peal-compare-")
	if err != nil {
		return fmt.Errorf("a directory for the programs: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // the system cleans up what is left
	build := exec.CommandContext(ctx, "go", "build", "-o", dir+"/", "./bench/compare/floor", "./interop/server", "./cmd/peal")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building the servers (run this at the root of the repository): %w", err)
	}
	c := &comparison{settings: s, servers: servers(dir, s.node, s.redis), values: map[key][]float64{}, began: time.Now()}
	if err := c.measure(ctx); err != nil {
		return err
	}
	text := c.markdown(ctx)
	if s.out == "" {
		fmt.Print(text)
		return nil
	}
	if err := os.WriteFile(s.out, []byte(text), 0o644); err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	return nil
}

// server is one of the compared servers.
type server struct {
	name    string
	shown   string // command without the machine's paths
	command string
	cluster string // command of a node; empty without Redis
	dialect bench.Dialect
}

func servers(dir, node, redis string) []server {
	const options = " --listen 127.0.0.1:0"
	handlers, serve := " --profile bench"+options, " serve --dev --log-level error"+options
	all := []server{
		{name: floor, shown: "bench/compare/floor", command: filepath.Join(dir, "floor"), dialect: bench.Floor},
		{name: peal, shown: "interop/server" + handlers, command: filepath.Join(dir, "server") + handlers, dialect: bench.Handlers},
		{name: product, shown: "peal" + serve, command: filepath.Join(dir, "peal") + serve, dialect: bench.Peal},
	}
	if node != "" {
		command := node + " bench/compare/node-socketio/server.mjs"
		all = append(all, server{name: nodejs, shown: command, command: command, dialect: bench.Handlers})
	}
	for i, s := range all {
		switch {
		case redis == "" || s.name == floor:
		case s.name == nodejs:
			all[i].cluster = s.command + " 0 " + redis
		default:
			all[i].cluster = s.command + " --redis " + redis
		}
	}
	return all
}

// Names of the servers.
const (
	floor   = "floor"
	peal    = "Peal"
	product = "peal serve"
	nodejs  = "Node.js socket.io"
)

// measurement is work for some of the servers.
type measurement struct {
	name    string
	servers []string
	options bench.Options
}

var (
	all     = []string{floor, peal, nodejs}
	without = []string{peal, nodejs} // the floor cannot do it
	alone   = []string{product}      // nor can the others
)

// measurements returns what is measured with n clients.
func measurements(n int) []measurement {
	fanout := func(clients, size, rounds, burst int) bench.Options {
		return bench.Options{Scenario: bench.Fanout, Clients: clients, Size: size, Rounds: rounds, Burst: burst}
	}
	return []measurement{
		{"idle", all, bench.Options{Scenario: bench.Idle, Clients: n}},
		{"fanout", all, fanout(n, 100, 40, 25)},
		{"fanout-half", all, fanout(n/2, 100, 60, 40)},
		{"fanout-1k", all, fanout(n, 1<<10, 30, 20)},
		{"fanout-16k", all, fanout(n/2, 16<<10, 20, -1)},
		{"echo", all, bench.Options{Scenario: bench.Echo, Clients: 100}},
		{"connect", all, bench.Options{Scenario: bench.Connect, Clients: n}},
		{"rooms", without, bench.Options{Scenario: bench.Rooms, Clients: n}},
		{"cluster", without, bench.Options{Scenario: bench.Cluster, Clients: n}},
		{"sse-idle", alone, bench.Options{Scenario: bench.Idle, Clients: n, Transport: bench.SSE}},
		{"sse-fanout", alone, bench.Options{Scenario: bench.Fanout, Clients: n, Transport: bench.SSE}},
		{"polling", alone, bench.Options{Scenario: bench.Fanout, Clients: n / 10, Transport: bench.Polling}},
		{"slow", alone, bench.Options{Scenario: bench.Slow, Clients: n / 10}},
	}
}

type key struct{ measurement, server, figure string }

// comparison is what has been measured.
type comparison struct {
	settings
	servers  []server
	values   map[key][]float64
	problems []string
	began    time.Time
	loads    []string
}

func (c *comparison) measure(ctx context.Context) error {
	for _, m := range measurements(c.clients) {
		if c.only != "" && !strings.Contains(","+c.only+",", ","+m.name+",") {
			continue
		}
		for round := range c.repeat {
			for _, s := range c.servers {
				if !slices.Contains(m.servers, s.name) || m.options.Scenario == bench.Cluster && s.cluster == "" {
					continue
				}
				if err := c.once(ctx, m, s); err != nil {
					return fmt.Errorf("%s of %s: %w", m.name, s.name, err)
				}
				fmt.Fprintf(os.Stderr, "%s, %s, %d of %d\n", m.name, s.name, round+1, c.repeat)
			}
		}
		c.loads = append(c.loads, load())
	}
	return nil
}

// once makes a measurement of a server once.
func (c *comparison) once(ctx context.Context, m measurement, s server) error {
	o := m.options
	o.Command, o.Dialect, o.Stderr = s.command, s.dialect, os.Stderr
	if o.Scenario == bench.Cluster {
		o.Command, o.PublishCommand = s.cluster, s.cluster
	}
	report, err := bench.Run(ctx, &o)
	if err != nil {
		return err
	}
	for _, f := range report.Figures {
		k := key{m.name, s.name, f.Name}
		c.values[k] = append(c.values[k], f.Value)
	}
	for _, p := range report.Problems {
		c.problems = append(c.problems, fmt.Sprintf("%s of %s: %s", m.name, s.name, p))
	}
	return nil
}
