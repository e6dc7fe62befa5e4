package bench

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d clients over %s, %d bytes a message\n\n", r.Scenario, r.Clients, r.Transport, r.Size)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, f := range r.Figures {
		fmt.Fprintf(t, "  %s\t%s %s\n", f.Name, number(f.Value), f.Unit)
	}
	_ = t.Flush() // a strings.Builder takes everything
	if len(r.Latencies) > 0 {
		b.WriteString("\n")
		t = tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprint(t, "  time\tp50\tp90\tp99\tp99.9\tmax\t\n")
		for _, l := range r.Latencies {
			fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\t\n", l.Name, short(l.P50), short(l.P90), short(l.P99), short(l.P999), short(l.Max))
		}
		_ = t.Flush()
	}
	if len(r.Pairs) > 0 {
		b.WriteString("\n")
		t = tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprint(t, "  pair\twithout: p50\tp99\tp99.9\twith stalled: p50\tp99\tp99.9\tp99 by p99\tdisconnected\t\n")
		for i, p := range r.Pairs {
			fmt.Fprintf(t, "  %d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t\n", i+1, short(p.Without.P50), short(p.Without.P99), short(p.Without.P999),
				short(p.With.P50), short(p.With.P99), short(p.With.P999), number(p.Factor), p.Disconnected)
		}
		_ = t.Flush()
	}
	if d := r.Delivery; d.Expected > 0 {
		fmt.Fprintf(&b, "\n  %d of %d messages received; lost %d, twice %d, out of order %d, misdirected %d, strange %d\n",
			d.Received, d.Expected, d.Lost, d.Duplicated, d.Reordered, d.Misdirected, d.Strange)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "\n  PROBLEM: %s\n", p)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// number writes three significant digits, or all before the point.
func number(v float64) string {
	switch {
	case v >= 100 || v <= -100 || v == 0:
		return fmt.Sprintf("%.0f", v)
	case v >= 10 || v <= -10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

func short(d time.Duration) string {
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d >= time.Millisecond:
		return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
	default:
		return fmt.Sprintf("%.0f µs", float64(d)/float64(time.Microsecond))
	}
}
