package main

import (
	"fmt"
	"math"
	"slices"
)

// limit is the greatest exponent that still counts as linear: costs are measured, not computed.
const limit = 1.1

// exponent fits y = a·x^e by least squares of the logarithms and returns e. There is none of fewer than two different
// values of x, and none if a value is not positive.
func exponent(xs, ys []float64) (e float64, ok bool) {
	if len(xs) != len(ys) || len(xs) < 2 {
		return 0, false
	}
	var meanX, meanY float64
	for i := range xs {
		if xs[i] <= 0 || ys[i] <= 0 {
			return 0, false
		}
		meanX += math.Log(xs[i]) / float64(len(xs))
		meanY += math.Log(ys[i]) / float64(len(xs))
	}
	var xx, xy float64
	for i := range xs {
		dx := math.Log(xs[i]) - meanX
		xx += dx * dx
		xy += dx * (math.Log(ys[i]) - meanY)
	}
	if xx == 0 {
		return 0, false
	}
	return xy / xx, true
}

// median returns the middle of the values, of which there is at least one.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// growth is how one cost of a curve grows.
type growth struct {
	quantity quantity
	floor    bool
	parts    []float64 // per connection or delivery, at each point
	wholes   []float64
	exponent float64 // of the wholes
	upper    float64 // exponent of their upper half, where a fixed part weighs less
	kernel   float64 // exponent of the same cost on the floor; 1 if it was not measured there
	fitted   bool
}

// linear says that the cost itself grows linearly or slower.
func (g *growth) linear() bool { return g.fitted && g.exponent <= limit }

// holds says that the cost grows linearly or slower, or no faster than the kernel's own price for the same work: what
// the program adds to that does not grow with it. The floor is not judged.
func (g *growth) holds() bool {
	return g.floor || g.fitted && g.exponent <= max(g.kernel, 1)+(limit-1)
}

// shape says how a cost depends on the variable, from the exponent and from how many times it grew in all.
func shape(e, times float64) string {
	const little = 1.25
	switch {
	case e > limit:
		return "grows faster than linearly"
	case e >= 0.9:
		return "grows linearly"
	case times < little && times > 1/little:
		return "hardly changes"
	case e < 0:
		return "shrinks"
	default:
		return "grows slower than linearly"
	}
}

// sentence says what the figures of a curve are, first and last.
func (g *growth) sentence(c *curve) string {
	from, to := c.points[0].x, c.points[len(c.points)-1].x
	name := g.quantity.name
	if g.floor {
		name += " on the floor"
	}
	if !g.fitted {
		return fmt.Sprintf("No power of the %s can be fitted to %s: a value is missing or not positive.", c.variable, name)
	}
	end := len(c.points) - 1
	times := g.wholes[end] / g.wholes[0]
	return fmt.Sprintf("From %s to %s%s (×%s), %s %s: ×%s, exponent %.2f, in the upper half %.2f; %s goes from %s to %s %s.",
		c.label(from), c.label(to), c.noun, number(float64(to)/float64(from)), name, shape(g.exponent, times), number(times), g.exponent, g.upper,
		g.quantity.title, number(g.parts[0]), number(g.parts[end]), g.quantity.unit)
}

// number writes three significant digits, or all before the point.
func number(v float64) string {
	switch magnitude := math.Abs(v); {
	case magnitude >= 1000:
		return thousands(int(math.Round(v)))
	case magnitude >= 100:
		return fmt.Sprintf("%.0f", v)
	case magnitude >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}
