package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
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
	quick   bool
	only    string
	measure string
	redis   string

	centrifugo, mercure, redisServer string
}

func run(ctx context.Context) error {
	var s settings
	flag.StringVar(&s.out, "out", "bench/RESULTS.md", "file to write; empty prints")
	flag.StringVar(&s.node, "node", "node", "Node.js; empty leaves it out")
	flag.IntVar(&s.repeat, "repeat", 3, "times to measure each")
	flag.IntVar(&s.clients, "clients", 10_000, "clients; fan-out is measured with half of them as well")
	flag.BoolVar(&s.quick, "quick", false, "measure whole clusters for a moment, with few clients: shows that it works, not what it costs")
	flag.StringVar(&s.only, "only", "", "comma-separated peers: floor, peal, node, zishang, centrifugo, mercure; empty means all")
	flag.StringVar(&s.measure, "measure", "", "comma-separated measurements: "+strings.Join(names(), ", ")+"; empty means all")
	flag.StringVar(&s.centrifugo, "centrifugo", "", "program of Centrifugo; empty leaves it out")
	flag.StringVar(&s.mercure, "mercure", "", "program of the Mercure hub; empty leaves it out")
	flag.StringVar(&s.redisServer, "redis-server", "redis-server", "program of Redis, for the measurements of whole clusters")
	flag.StringVar(&s.redis, "redis", "", "URL of a Redis of your own for scenario cluster; empty leaves it out")
	flag.Parse()
	if err := errors.Join(checkOnly(s.only), checkMeasure(s.measure)); err != nil {
		return err
	}

	dir, err := os.MkdirTemp("", "peal-compare-")
	if err != nil {
		return fmt.Errorf("a directory for the programs: %w", err)
	}
	defer os.RemoveAll(dir) // the system cleans up what is left
	c := &comparison{settings: s, values: map[key][]float64{}, parts: map[string]part{}, began: time.Now(), dir: dir}
	if err := c.prepare(ctx); err != nil {
		return err
	}
	if err := c.measureAll(ctx); err != nil {
		return err
	}
	if s.out == "" {
		fmt.Print(c.page(ctx, ""))
		return nil
	}
	old, err := os.ReadFile(s.out)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // a file that is not there yet has nothing to keep
		return fmt.Errorf("the results of before: %w", err)
	}
	if err := os.WriteFile(s.out, []byte(c.page(ctx, string(old))), 0o644); err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	return nil
}

// measurement is work for some of the servers.
type measurement struct {
	name    string
	servers []string
	options bench.Options
}

var (
	all     = []string{floor, peal, nodejs, zishang, centrifugo}
	roomed  = []string{peal, nodejs, zishang, centrifugo}
	through = []string{peal, nodejs, centrifugo} // Redis
	streams = []string{product, centrifugo, mercure}
	alone   = []string{product}
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
		{"rooms", roomed, bench.Options{Scenario: bench.Rooms, Clients: n}},
		{"cluster", through, bench.Options{Scenario: bench.Cluster, Clients: n}},
		{"sse-idle", streams, bench.Options{Scenario: bench.Idle, Clients: n, Transport: bench.SSE}},
		{"sse-fanout", alone, bench.Options{Scenario: bench.Fanout, Clients: n, Transport: bench.SSE}},
		{"sse-half", streams, bench.Options{Scenario: bench.Fanout, Clients: n / 2, Transport: bench.SSE}},
		{"sse-connect", streams, bench.Options{Scenario: bench.Connect, Clients: n / 2, Transport: bench.SSE}},
		{"polling", alone, bench.Options{Scenario: bench.Fanout, Clients: n / 10, Transport: bench.Polling}},
		{"slow", alone, bench.Options{Scenario: bench.Slow, Clients: n / 10}},
	}
}

// names returns the names of the measurements.
func names() (list []string) {
	for _, m := range measurements(2) {
		list = append(list, m.name)
	}
	for _, s := range sections {
		list = append(list, s.name)
	}
	return list
}

// checkMeasure finds names of measurements that there are not.
func checkMeasure(list string) error {
	for name := range strings.SplitSeq(list, ",") {
		if list != "" && !slices.Contains(names(), name) {
			return fmt.Errorf("there is no measurement %q", name)
		}
	}
	return nil
}

type key struct{ measurement, server, figure string }

// comparison is what has been measured.
type comparison struct {
	settings
	servers  []server
	values   map[key][]float64
	problems []string
	missing  []string // servers that could not be built, and why
	began    time.Time
	loads    []string
	dir      string          // of the programs that are built
	parts    map[string]part // by the name of a section: what is said of it beside the figures
}

func (c *comparison) measureAll(ctx context.Context) error {
	for _, m := range measurements(c.clients) {
		if !chosen(c.measure, m.name) {
			continue
		}
		failed := map[string]bool{}
		for round := range c.repeat {
			for _, s := range c.servers {
				if failed[s.name] || !slices.Contains(m.servers, s.name) || m.options.Scenario == bench.Cluster && s.cluster == "" && s.node == nil {
					continue
				}
				fmt.Fprintf(os.Stderr, "%s, %s, %d of %d\n", m.name, s.name, round+1, c.repeat)
				if err := c.once(ctx, m, s); ctx.Err() != nil {
					return context.Cause(ctx)
				} else if err != nil { // the others are worth measuring all the same
					failed[s.name] = true
					c.problem(m, s, err.Error())
				}
			}
		}
		c.loads = append(c.loads, load())
	}
	for _, s := range sections {
		if !chosen(c.measure, s.name) {
			continue
		}
		p := part{}
		if err := s.measure(ctx, c, &p); err != nil {
			return err
		}
		p.load = load()
		c.parts[s.name] = p
	}
	return nil
}

// once makes a measurement of a server once.
func (c *comparison) once(ctx context.Context, m measurement, s server) error {
	o := m.options
	o.Command, o.Dialect, o.Stderr, o.Key = s.command, s.dialect, os.Stderr, publishKey
	daemon := s.daemon
	if o.Scenario == bench.Cluster {
		o.Command, o.PublishCommand = s.cluster, s.cluster
		daemon = s.node
	}
	if daemon != nil {
		r, err := daemon.start(ctx)
		if err != nil {
			return err
		}
		defer r.stop()
		o.URL, o.PID = r.url, r.pid
		if o.Scenario == bench.Cluster {
			publisher, err := daemon.start(ctx)
			if err != nil {
				return err
			}
			defer publisher.stop()
			o.PublishURL, o.PublishPID = publisher.url, publisher.pid
		}
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
		c.problem(m, s, p)
	}
	return nil
}

func (c *comparison) problem(m measurement, s server, text string) {
	text = fmt.Sprintf("%s of %s: %s", m.name, s.name, text)
	fmt.Fprintln(os.Stderr, text)
	c.problems = append(c.problems, text)
}
