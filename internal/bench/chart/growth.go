package chart

import (
	"fmt"
	"html"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
)

// Value says that something is Y where the variable is X. Both are positive: others are left out of a picture.
type Value struct{ X, Y float64 }

// Line is how one quantity grows with the variable, its values in ascending order of X.
type Line struct {
	Name   string
	Values []Value
}

// Growth is a picture with both scales logarithmic, so that a power of the variable is a straight line.
type Growth struct {
	Title    string
	Variable string                 // what X is
	Quantity string                 // what Y is, with its unit
	Label    func(x float64) string // of a mark on the axis; nil writes the number
	Lines    []Line
}

// scale maps the logarithms of a range to places.
type scale struct{ low, high, from, to float64 }

func (s scale) at(v float64) float64 {
	return s.from + (math.Log10(v)-s.low)/(s.high-s.low)*(s.to-s.from)
}

// steps are the marks of a decade.
var steps = []float64{1, 2, 5}

// marks returns the numbers 1, 2 and 5 times a power of ten around a range, the first not above low and the last not
// below high, and at least two.
func marks(low, high float64) (all []float64) {
	decade := math.Pow10(int(math.Floor(math.Log10(low))))
	for {
		for _, step := range steps {
			mark := step * decade
			if mark <= low {
				all = all[:0]
			}
			all = append(all, mark)
			if mark >= high && len(all) > 1 {
				return all
			}
		}
		decade *= 10
	}
}

// drawable returns the values that a logarithm has a place for.
func drawable(values []Value) (some []Value) {
	for _, v := range values {
		if v.X > 0 && v.Y > 0 && !math.IsInf(v.X, 1) && !math.IsInf(v.Y, 1) {
			some = append(some, v)
		}
	}
	return some
}

// WriteGrowth draws the lines. There is a mark on the horizontal axis for each X.
func WriteGrowth(w io.Writer, g *Growth) error {
	label := g.Label
	if label == nil {
		label = func(x float64) string { return fmt.Sprintf("%g", x) }
	}
	least, most := Value{math.Inf(1), math.Inf(1)}, Value{}
	at := map[float64]bool{}
	for _, l := range g.Lines {
		for _, v := range drawable(l.Values) {
			least, most = Value{min(least.X, v.X), min(least.Y, v.Y)}, Value{max(most.X, v.X), max(most.Y, v.Y)}
			at[v.X] = true
		}
	}
	if len(at) == 0 {
		least, most = Value{1, 1}, Value{1, 1} // an empty picture
	}
	levels := marks(least.Y, most.Y)
	x := scale{math.Log10(least.X), math.Log10(most.X), left + 20, width - right - 20}
	if x.high == x.low {
		x.high++
	}
	y := scale{math.Log10(levels[0]), math.Log10(levels[len(levels)-1]), height - bottom, top + 16*float64(len(g.Lines)) + 8}

	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" role="img">`+"\n", width, height)
	fmt.Fprintf(&b, `<title>%s</title><rect width="100%%" height="100%%" fill="#fff"/>`+"\n", html.EscapeString(g.Title))
	fmt.Fprintf(&b, `<text x="%d" y="24" font-size="16">%s</text>`+"\n", left, html.EscapeString(g.Title))
	fmt.Fprintf(&b, `<text x="%d" y="42">%s</text>`+"\n", left, html.EscapeString(g.Quantity))
	for _, level := range levels {
		fmt.Fprintf(&b, `<path d="M%d %.1f H%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%g</text>`+"\n",
			left, y.at(level), width-right, left-6, y.at(level)+4, level)
	}
	for _, v := range slices.Sorted(maps.Keys(at)) {
		fmt.Fprintf(&b, `<path d="M%.1f %d V%d" stroke="#ddd"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n",
			x.at(v), top, height-bottom, x.at(v), height-bottom+18, html.EscapeString(label(v)))
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", (left+width-right)/2, height-12, html.EscapeString(g.Variable))
	for i, l := range g.Lines {
		drawLine(&b, x, y, i, l)
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func drawLine(b *strings.Builder, x, y scale, i int, l Line) {
	colour := colours[i%len(colours)]
	var path strings.Builder
	for j, v := range drawable(l.Values) {
		command := 'L'
		if j == 0 {
			command = 'M'
		}
		fmt.Fprintf(&path, "%c%.1f %.1f", command, x.at(v.X), y.at(v.Y))
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>`+"\n", x.at(v.X), y.at(v.Y), colour)
	}
	if path.Len() > 0 {
		fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", path.String(), colour)
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" fill="%s">%s</text>`+"\n", left+8, top+16+16*i, colour, html.EscapeString(l.Name))
}
