package bench

import (
	"fmt"
	"io"

	"github.com/peal-dev/peal/internal/bench/chart"
)

// WriteSVG draws the distributions of the report's times.
func (r *Report) WriteSVG(w io.Writer) error {
	var all []chart.Series
	for _, l := range r.Latencies {
		s := chart.Series{Name: fmt.Sprintf("%s (p50 %s, p99 %s)", l.Name, short(l.P50), short(l.P99))}
		var seen uint64
		for _, b := range l.Buckets {
			seen += b.Count
			s.Points = append(s.Points, chart.Point{At: min(b.Upper, l.Max), Share: float64(seen) / float64(l.Count)})
		}
		all = append(all, s)
	}
	return chart.Write(w, fmt.Sprintf("%s: %d clients over %s, %d bytes", r.Scenario, r.Clients, r.Transport, r.Size), all)
}
