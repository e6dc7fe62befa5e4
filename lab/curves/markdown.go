package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/peal-dev/peal/internal/bench/chart"
)

// growths returns how the costs of a curve grow: Peal's, and the floor's CPU where it was measured. A point without a
// value leaves its curve without a fit.
func (r *results) growths(c *curve) (all []growth) {
	for _, q := range c.quantities {
		g := r.growth(c, q, false)
		if !c.floored || q.id != fanoutCPU.id {
			all = append(all, g)
			continue
		}
		floor := r.growth(c, q, true)
		if floor.fitted {
			g.kernel = floor.exponent
		}
		all = append(all, g, floor)
	}
	return all
}

func (r *results) growth(c *curve, q quantity, floor bool) growth {
	g := growth{quantity: q, floor: floor, kernel: 1}
	var xs []float64
	complete := true
	for _, p := range c.points {
		var wholes, parts []float64
		for _, measured := range r.costs[key{c.id, p.x, floor}] {
			wholes, parts = append(wholes, q.whole(measured)), append(parts, q.part(measured, p.load))
		}
		xs = append(xs, float64(p.x))
		if len(wholes) == 0 {
			complete = false
			g.wholes, g.parts = append(g.wholes, 0), append(g.parts, 0)
			continue
		}
		g.wholes, g.parts = append(g.wholes, median(wholes)), append(g.parts, median(parts))
	}
	if complete {
		g.exponent, g.fitted = exponent(xs, g.wholes)
		half := min(len(xs)/2, max(len(xs)-2, 0)) // two points at least
		g.upper, _ = exponent(xs[half:], g.wholes[half:])
	}
	return g
}

// title names the growth's figures in a table or picture.
func (g *growth) title() string {
	if g.floor {
		return g.quantity.title + ", floor"
	}
	return g.quantity.title
}

// fit writes an exponent.
func (g *growth) fit(e float64) string {
	if !g.fitted {
		return "none"
	}
	return fmt.Sprintf("%.2f", e)
}

const explanation = `A *cost* is that of the whole: the memory of all connections, the CPU time to deliver one message to each client. A power
of the variable, cost ~ x^e, is fitted to it by least squares of the logarithms. e is 1 where the cost is proportional to
the variable and 0 where it does not depend on it; above %.1f this program fails, unless the kernel's own price for the same
work grows as fast, within %.1f. What a process needs once, however
little it does, makes e smaller; the exponent of the *upper half* of the points shows what is left without. *Memory* is what the servers' processes
hold beyond what they held with the first clients (with several nodes: all that the nodes and Redis hold; pages that
processes share count once), after a second of rest and again after the fan-out. *CPU* is the user and kernel time of the
servers' processes. The *floor* (lab/compare/floor) is a bare epoll loop that makes one write per connection and
message: how the kernel's price grows by itself, by the misses of the processor's caches.
`

// markdown writes the results.
func (r *results) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Curves\n\nHow cost grows: `make curves`.\n\n"+explanation+"\n", limit, limit-1)
	b.WriteString("| variable | cost | exponent | upper half | linear or slower |\n|---|---|--:|--:|---|\n")
	for i := range r.curves {
		c := &r.curves[i]
		for _, g := range r.growths(c) {
			name, verdict := g.quantity.name, "yes"
			switch {
			case g.floor:
				name, verdict = name+" on the floor", ""
			case !g.holds():
				verdict = "**no**"
			case !g.linear():
				verdict = "as the floor"
			}
			fmt.Fprintf(&b, "| %s, %s to %s | %s | %s | %s | %s |\n", c.variable, c.label(c.points[0].x), c.label(c.points[len(c.points)-1].x), name,
				g.fit(g.exponent), g.fit(g.upper), verdict)
		}
	}
	for i := range r.curves {
		r.section(&b, &r.curves[i])
	}
	b.WriteString("\n## How\n\n")
	fmt.Fprintf(&b, "%s; %s in %s, median of the sweeps.\n\n", r.began.UTC().Format(time.DateOnly), plural(r.sweeps, "sweep"), r.took.Round(time.Second))
	for _, line := range r.machine {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	fmt.Fprintf(&b, "- load average before and after each sweep: %s (the clients' and the servers' own is 2)\n", strings.Join(r.loads, ", "))
	fmt.Fprintf(&b, "\n```\nPeal   %s\nfloor  lab/compare/floor\n```\n", shownPeal)
	if r.quick {
		b.WriteString("\nThis was a quick run, too small to judge growth by.\n")
	}
	if len(r.problems) == 0 {
		b.WriteString("\nNo message was lost, repeated, altered or misdirected, and no connection broke.\n")
		return b.String()
	}
	b.WriteString("\n## Problems\n\n")
	for _, p := range r.problems {
		fmt.Fprintf(&b, "- %s\n", strings.ReplaceAll(p, "\n", "; "))
	}
	return b.String()
}

// section writes a curve's table, pictures and sentences.
func (r *results) section(b *strings.Builder, c *curve) {
	growths := r.growths(c)
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n| %s |", c.title, c.setting, c.variable)
	for _, g := range growths {
		fmt.Fprintf(b, " %s, %s |", g.title(), g.quantity.unit)
	}
	fmt.Fprintf(b, "\n|--:|%s\n", strings.Repeat("--:|", len(growths)))
	for i, p := range c.points {
		fmt.Fprintf(b, "| %s |", c.label(p.x))
		for _, g := range growths {
			if g.wholes[i] == 0 {
				b.WriteString("  |")
				continue
			}
			fmt.Fprintf(b, " %s |", number(g.parts[i]))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
	for _, g := range growths {
		fmt.Fprintf(b, "- %s\n", g.sentence(c))
	}
	b.WriteString("\n")
	for _, p := range r.pictures() {
		if p.curve == c.id {
			fmt.Fprintf(b, "![%s](%s)\n", p.growth.Title, p.path)
		}
	}
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// picture is one file.
type picture struct {
	curve  string
	path   string // from the directory of the text
	growth chart.Growth
}

func (p *picture) draw(w io.Writer) error { return chart.WriteGrowth(w, &p.growth) }

// pictures returns two pictures for each curve: of the memory and of the CPU.
func (r *results) pictures() (all []*picture) {
	for i := range r.curves {
		c := &r.curves[i]
		byUnit := map[string]*picture{}
		for _, g := range r.growths(c) {
			unit := g.quantity.unit
			if byUnit[unit] == nil {
				kind := map[string]string{"KiB": "memory", "µs": "cpu"}[unit]
				title := map[string]string{"KiB": "Memory per connection", "µs": "CPU per delivery"}[unit]
				byUnit[unit] = &picture{curve: c.id, path: "curves/" + c.id + "-" + kind + ".svg", growth: chart.Growth{
					Title: title + " against " + c.variable, Variable: c.variable, Quantity: unit,
					Label: func(x float64) string { return c.label(int(x)) },
				}}
				all = append(all, byUnit[unit])
			}
			line := chart.Line{Name: fmt.Sprintf("%s (exponent of the whole: %s)", g.title(), g.fit(g.exponent))}
			for j, p := range c.points {
				line.Values = append(line.Values, chart.Value{X: float64(p.x), Y: g.parts[j]})
			}
			byUnit[unit].growth.Lines = append(byUnit[unit].growth.Lines, line)
		}
	}
	return all
}

// loadAverage returns the machine's load average of the last minute.
func loadAverage() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(data), " ")
	return first
}

// machine says what was measured, and on what.
func machine(ctx context.Context) []string {
	model := "unknown processor"
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := bytes.Cut(data, []byte("model name\t: ")); ok {
			line, _, _ := bytes.Cut(rest, []byte("\n"))
			model = string(line)
		}
	}
	commit := "commit " + output(ctx, "git", "rev-parse", "--short", "HEAD")
	if output(ctx, "git", "status", "--porcelain", "--untracked-files=no", "--", "*.go") != "" {
		commit += ", with Go files changed since"
	}
	return []string{
		fmt.Sprintf("%d cores of %s, shared by servers and clients", runtime.NumCPU(), model),
		output(ctx, "uname", "-sr") + ", " + runtime.Version(),
		commit,
	}
}

func output(ctx context.Context, name string, args ...string) string {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
