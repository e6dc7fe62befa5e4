package chart

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
	"time"
)

// Point says that the fraction Share of the times is not longer than At.
type Point struct {
	At    time.Duration
	Share float64
}

// Series is one distribution, its points in ascending order.
type Series struct {
	Name   string
	Points []Point
}

const (
	width, height = 760, 420
	left, right   = 60, 20
	top, bottom   = 50, 50
)

// colours tell series apart, also for people who see few colours and in print.
var colours = []string{"#0b6e99", "#d9730d", "#448361", "#9065b0", "#c14c8a"}

// axis maps a time to a place, on a logarithmic scale of whole decades.
type axis struct{ low, high int } // powers of ten, in nanoseconds

func axisOf(series []Series) axis {
	a := axis{low: math.MaxInt, high: math.MinInt}
	for _, s := range series {
		for _, p := range s.Points {
			exponent := math.Log10(float64(max(p.At, 1)))
			a.low = min(a.low, int(math.Floor(exponent)))
			a.high = max(a.high, int(math.Ceil(exponent)))
		}
	}
	if a.low > a.high {
		a = axis{3, 9} // nothing to show: from a microsecond to a second
	}
	a.high = max(a.high, a.low+1)
	return a
}

func (a axis) x(t time.Duration) float64 {
	part := (math.Log10(float64(max(t, 1))) - float64(a.low)) / float64(a.high-a.low)
	return left + part*(width-left-right)
}

func y(share float64) float64 { return height - bottom - share*(height-top-bottom) }

// Write draws the shares of the series over the time, under a title.
func Write(w io.Writer, title string, series []Series) error {
	a := axisOf(series)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" role="img">`+"\n", width, height)
	fmt.Fprintf(&b, `<title>%s</title><rect width="100%%" height="100%%" fill="#fff"/>`+"\n", html.EscapeString(title))
	fmt.Fprintf(&b, `<text x="%d" y="24" font-size="16">%s</text>`+"\n", left, html.EscapeString(title))
	for e := a.low; e <= a.high; e++ {
		t := time.Duration(math.Pow10(e))
		fmt.Fprintf(&b, `<path d="M%.1f %d V%d" stroke="#ddd"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n",
			a.x(t), top, height-bottom, a.x(t), height-bottom+18, t)
	}
	for _, share := range []float64{0, 0.25, 0.5, 0.75, 0.9, 1} {
		fmt.Fprintf(&b, `<path d="M%d %.1f H%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%.0f %%</text>`+"\n",
			left, y(share), width-right, left-6, y(share)+4, share*100)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">arrived within</text>`+"\n", (left+width-right)/2, height-12)
	for i, s := range series {
		drawSeries(&b, a, i, s)
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func drawSeries(b *strings.Builder, a axis, i int, s Series) {
	colour := colours[i%len(colours)]
	var path strings.Builder
	for j, p := range s.Points {
		command := 'L'
		if j == 0 {
			command = 'M'
		}
		fmt.Fprintf(&path, "%c%.1f %.1f", command, a.x(p.At), y(p.Share))
	}
	if path.Len() > 0 {
		fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", path.String(), colour)
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" fill="%s">%s</text>`+"\n", left+8, top+16+16*i, colour, html.EscapeString(s.Name))
}
