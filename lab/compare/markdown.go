package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/peal-dev/peal/bench"
)

// median returns the middle of the values; there is none without values.
func median(values []float64) (m float64, ok bool) {
	if len(values) == 0 {
		return 0, false
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle], true
	}
	return (sorted[middle-1] + sorted[middle]) / 2, true
}

// row is a line of the table.
type row struct {
	measurement, figure, unit, title string
	higher                           bool // is better
}

func (c *comparison) rows() []row {
	n, half := c.clients, c.clients/2
	return []row{
		{"idle", bench.MemoryPerConnection, "KiB", fmt.Sprintf("memory per idle connection, %d", n), false},
		{"idle", bench.PeakPerConnection, "KiB", "the same, just connected", false},
		{"idle", bench.IdleCPU, "µs/s", "CPU per idle connection and second", false},
		{"fanout", bench.StepCPU, "µs", fmt.Sprintf("step to %d, 100 B", n), false},
		{"fanout-half", bench.StepCPU, "µs", fmt.Sprintf("step to %d, 100 B", half), false},
		{"fanout-1k", bench.StepCPU, "µs", fmt.Sprintf("step to %d, 1 KiB", n), false},
		{"fanout-16k", bench.StepCPU, "µs", fmt.Sprintf("step to %d, 16 KiB", half), false},
		{"fanout", bench.BurstCPU, "µs", fmt.Sprintf("burst to %d, 100 B", n), false},
		{"fanout-half", bench.BurstCPU, "µs", fmt.Sprintf("burst to %d, 100 B", half), false},
		{"fanout-1k", bench.BurstCPU, "µs", fmt.Sprintf("burst to %d, 1 KiB", n), false},
		{"echo", bench.EventCPU, "µs", "event and ack, 100 connections", false},
		{"connect", bench.ConnectCPU, "µs", "CPU per connection made", false},
		{"connect", bench.ConnectRate, "/s", fmt.Sprintf("connections per second, %d", n), true},
		{"rooms", bench.RoomCPU, "µs", fmt.Sprintf("delivery to %d rooms of 10", n), false},
		{"cluster", bench.StepCPU, "µs", "step to another node's clients through Redis, 100 B", false},
		{"cluster", bench.BurstCPU, "µs", "burst to another node's clients through Redis, 100 B", false},
	}
}

// productRows are about what Peal has as `peal serve`.
func (c *comparison) productRows() []row {
	n := c.clients
	return []row{
		{"sse-half", bench.StepCPU, "µs", fmt.Sprintf("step to %d event streams, 100 B", n/2), false},
		{"sse-half", bench.BurstCPU, "µs", fmt.Sprintf("burst to %d event streams, 100 B", n/2), false},
		{"sse-connect", bench.ConnectCPU, "µs", "CPU per event stream opened", false},
		{"sse-connect", bench.ConnectRate, "/s", fmt.Sprintf("event streams opened per second, %d", n/2), true},
		{"sse-idle", bench.MemoryPerConnection, "KiB", fmt.Sprintf("memory per idle event stream, %d", n), false},
		{"sse-idle", bench.IdleCPU, "µs/s", "CPU per idle event stream and second", false},
		{"sse-fanout", bench.StepCPU, "µs", fmt.Sprintf("step to %d event streams, 100 B", n), false},
		{"sse-fanout", bench.BurstCPU, "µs", fmt.Sprintf("burst to %d event streams, 100 B", n), false},
		{"polling", bench.StepCPU, "µs", fmt.Sprintf("step to %d long-polling clients, 100 B", n/10), false},
		{"slow", bench.SlowFactor, "", fmt.Sprintf("p99 of %d fast clients beside 5 %% that do not read, by that without these", n/10-n/200), false},
	}
}

const explanation = `Server process only, user and kernel time as the kernel accounts for it. *memory*: growth of the resident set over
that with 50 clients, divided by the clients; each is connected, has joined the namespace and a room of ten (not on
the floor, which has none), and was left alone for half a minute. *step*: CPU per delivered message, one broadcast at a time, the next when all clients have it. *burst*: the same,
broadcasts back to back. *event and ack*: as fast as the answers come. *floor*: a bare epoll loop that makes one write
of a ready frame per connection and message (lab/compare/floor): the kernel's price. The clients are one process on the
same machine; whether every message arrived, once and in order, is checked by numbers in the messages. *through Redis*:
CPU of the node that the clients are on, without that of the publishing node and of Redis. A client's event publishes, to
Centrifugo and Mercure an HTTP request. Centrifugo answers no event by itself: its *event and ack* is a client's
publication to a channel that nobody has subscribed to, and the reply, which does not repeat the data as the others' does.
Mercure's heartbeat comes every 40 s, the others' every 25 s; the half minute of *idle* may be without it.
`

func (c *comparison) markdown(ctx context.Context) string {
	var b strings.Builder
	b.WriteString("# Results\n\n")
	memory, _ := median(c.values[key{"idle", peal, bench.MemoryPerConnection}])
	step, _ := median(c.values[key{"fanout", peal, bench.StepCPU}])
	burst, _ := median(c.values[key{"fanout", peal, bench.BurstCPU}])
	if memory > 0 && step > 0 && burst > 0 { // they are among the chosen measurements
		fmt.Fprintf(&b, "Peal keeps an idle WebSocket connection in **%.2f KiB** (%d connections, namespace and one room joined) and delivers a broadcast "+
			"for **%.2f µs** of CPU per client, %.2f µs back to back: `go run ./lab/compare`\n\n", memory, c.clients, step, burst)
	}
	b.WriteString(explanation + "\n")
	c.tables(&b)
	b.WriteString("\n## How\n\n")
	fmt.Fprintf(&b, "%s; median of %d (lowest to highest in brackets), the servers taking turns.\n\n", c.began.UTC().Format(time.DateOnly), c.repeat)
	for _, line := range c.machine(ctx, c.loads) {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	b.WriteString("\n```\n")
	for _, s := range c.servers {
		fmt.Fprintf(&b, "%-20s %s\n", s.name, s.shown)
	}
	b.WriteString("```\n")
	if len(c.missing) > 0 {
		b.WriteString("\n## Not measured\n\n")
		for _, m := range c.missing {
			fmt.Fprintf(&b, "- %s\n", m)
		}
	}
	if len(c.problems) > 0 {
		b.WriteString("\n## Problems\n\n")
		for _, p := range c.problems {
			fmt.Fprintf(&b, "- %s\n", p)
		}
	} else {
		b.WriteString("\nNo message was lost, repeated or misdirected, and no connection broke.\n")
	}
	return b.String()
}

// own says where Peal's figure of a row is.
func (c *comparison) own(r row) string {
	if _, ok := c.values[key{r.measurement, product, r.figure}]; ok {
		return product
	}
	return peal
}

// columns are the servers that have figures, Peal's two in one.
func (c *comparison) columns() (names []string) {
	for _, name := range []string{floor, peal, nodejs, zishang, centrifugo, mercure} {
		for k := range c.values {
			if k.server == name || name == peal && k.server == product {
				names = append(names, name)
				break
			}
		}
	}
	return names
}

// tables writes the figures, and then how Peal's compare to the others'.
func (c *comparison) tables(b *strings.Builder) {
	columns := c.columns()
	others := slices.DeleteFunc(slices.Clone(columns), func(name string) bool { return name == peal })
	rows := append(c.rows(), c.productRows()...)
	table(b, rows, columns, func(r row, name string) string {
		if name == peal {
			name = c.own(r)
		}
		return c.cell(key{r.measurement, name, r.figure})
	})
	b.WriteString("\n## How many times better Peal is\n\nThe other's figure by Peal's, or Peal's by the other's where more is better. " +
		"Below 1 the other is better.\n\n")
	table(b, rows, others, func(r row, name string) string {
		return c.better(r, c.own(r), name)
	})
}

// better returns how many times better one server is than another.
func (c *comparison) better(r row, one, other string) string {
	own, _ := median(c.values[key{r.measurement, one, r.figure}])
	theirs, _ := median(c.values[key{r.measurement, other, r.figure}])
	if r.higher {
		return ratio(own, theirs)
	}
	return ratio(theirs, own)
}

// table writes the rows of which a cell is not empty.
func table(b *strings.Builder, rows []row, columns []string, cell func(r row, column string) string) {
	fmt.Fprintf(b, "| | %s |\n|---|%s\n", strings.Join(columns, " | "), strings.Repeat("--:|", len(columns)))
	for _, r := range rows {
		cells := make([]string, len(columns))
		for i, name := range columns {
			cells[i] = cell(r, name)
		}
		if strings.Join(cells, "") == "" {
			continue
		}
		title := r.title
		if r.unit != "" {
			title += ", " + r.unit
		}
		fmt.Fprintf(b, "| %s | %s |\n", title, strings.Join(cells, " | "))
	}
}

func (c *comparison) cell(k key) string {
	m, ok := median(c.values[k])
	if !ok {
		return ""
	}
	decimals := 2
	if m >= 100 {
		decimals = 0
	}
	if len(c.values[k]) == 1 {
		return fmt.Sprintf("%.*f", decimals, m)
	}
	return fmt.Sprintf("%.*f (%.*f–%.*f)", decimals, m, decimals, slices.Min(c.values[k]), decimals, slices.Max(c.values[k]))
}

func ratio(a, b float64) string {
	if a <= 0 || b <= 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", a/b)
}

// load returns the machine's load averages.
func load() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	fields := strings.Fields(string(data))
	return fields[0]
}

// machine says what was measured on.
func (c *comparison) machine(ctx context.Context, loads []string) []string {
	model := "unknown processor"
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := bytes.Cut(data, []byte("model name\t: ")); ok {
			line, _, _ := bytes.Cut(rest, []byte("\n"))
			model = string(line)
		}
	}
	lines := []string{
		fmt.Sprintf("%d cores of %s, shared by server and clients", runtime.NumCPU(), model),
		output(ctx, "uname", "-sr") + ", " + runtime.Version(),
		"commit " + output(ctx, "git", "rev-parse", "--short", "HEAD"),
		"load average after each measurement: " + strings.Join(loads, ", ") + " (the clients' and the server's own is 2)",
	}
	if c.node != "" {
		lines = append(lines, "Node.js "+output(ctx, c.node, "--version")+
			", socket.io "+output(ctx, c.node, "-p", `require("./lab/compare/node-socketio/node_modules/socket.io/package.json").version`)+" with ws")
	}
	return lines
}

func output(ctx context.Context, name string, args ...string) string {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
