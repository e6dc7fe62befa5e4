package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
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
}

func run(ctx context.Context) error {
	var s settings
	flag.StringVar(&s.out, "out", "bench/RESULTS.md", "file to write; empty prints")
	flag.StringVar(&s.node, "node", "node", "Node.js; empty leaves it out")
	flag.IntVar(&s.repeat, "repeat", 3, "times to measure each")
	flag.IntVar(&s.clients, "clients", 10_000, "clients; fan-out is measured with half of them as well")
	flag.StringVar(&s.only, "only", "", "comma-separated measurements; empty means all")
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
	c := &comparison{settings: s, servers: servers(dir, s.node), values: map[key][]float64{}, began: time.Now()}
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
	dialect bench.Dialect
}

func servers(dir, node string) []server {
	shown := "interop/server --profile bench --listen 127.0.0.1:0"
	all := []server{
		{floor, "bench/compare/floor", filepath.Join(dir, "floor"), bench.Floor},
		{peal, shown, strings.Replace(shown, "interop", dir, 1), bench.Handlers},
	}
	if node != "" {
		command := node + " bench/compare/node-socketio/server.mjs"
		all = append(all, server{nodejs, command, command, bench.Handlers})
	}
	return all
}

// Names of the servers.
const (
	floor  = "floor"
	peal   = "Peal"
	nodejs = "Node.js socket.io"
)

// measurement is one row's worth of work for each server.
type measurement struct {
	name    string
	options bench.Options
}

// measurements returns what is measured with n clients.
func measurements(n int) []measurement {
	fanout := func(clients, size, rounds, burst int) bench.Options {
		return bench.Options{Scenario: bench.Fanout, Clients: clients, Size: size, Rounds: rounds, Burst: burst}
	}
	return []measurement{
		{"idle", bench.Options{Scenario: bench.Idle, Clients: n}},
		{"fanout", fanout(n, 100, 40, 25)},
		{"fanout-half", fanout(n/2, 100, 60, 40)},
		{"fanout-1k", fanout(n, 1<<10, 30, 20)},
		{"fanout-16k", fanout(n/2, 16<<10, 20, -1)},
		{"echo", bench.Options{Scenario: bench.Echo, Clients: 100}},
		{"connect", bench.Options{Scenario: bench.Connect, Clients: n}},
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
				o := m.options
				o.Command, o.Dialect, o.Stderr = s.command, s.dialect, os.Stderr
				report, err := bench.Run(ctx, &o)
				if err != nil {
					return fmt.Errorf("%s of %s: %w", m.name, s.name, err)
				}
				fmt.Fprintf(os.Stderr, "%s, %s, %d of %d\n", m.name, s.name, round+1, c.repeat)
				for _, f := range report.Figures {
					k := key{m.name, s.name, f.Name}
					c.values[k] = append(c.values[k], f.Value)
				}
				for _, p := range report.Problems {
					c.problems = append(c.problems, fmt.Sprintf("%s of %s: %s", m.name, s.name, p))
				}
			}
		}
		c.loads = append(c.loads, load())
	}
	return nil
}
