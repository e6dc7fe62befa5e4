package plan

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
)

// WriteText writes the plan for people, each term with its explanation.
func (p *Plan) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d servers and %d of Redis\n\n", p.Servers, p.Redis)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, term := range p.Terms {
		fmt.Fprintf(t, "  %s\t%s %s\t%s\n", term.Name, number(term.Value), term.Unit, term.How)
	}
	_ = t.Flush() // a strings.Builder takes everything
	for _, warning := range p.Warnings {
		fmt.Fprintf(&b, "\n  WARNING: %s\n", warning)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// number writes at most three digits behind the point, and no more than mean something.
func number(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
