package chart_test

import (
	"math"
	"strings"
	"testing"

	"github.com/peal-dev/peal/internal/bench/chart"
)

func TestWriteGrowth(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lines  []chart.Line
		curves int
		marks  []string // on the vertical axis, lowest and highest
	}{
		"nothing":     {nil, 0, []string{"1", "2"}},
		"no values":   {[]chart.Line{{Name: "a"}}, 0, []string{"1", "2"}},
		"one value":   {[]chart.Line{{Name: "a <b>", Values: []chart.Value{{X: 7, Y: 3}}}}, 1, []string{"2", "5"}},
		"flat":        {[]chart.Line{{Name: "a", Values: []chart.Value{{X: 1, Y: 1}, {X: 10, Y: 1}}}}, 1, []string{"1", "2"}},
		"no place":    {[]chart.Line{{Name: "a", Values: []chart.Value{{X: 0, Y: 1}, {X: 1, Y: -1}, {X: 1, Y: math.Inf(1)}, {X: 1, Y: math.NaN()}}}}, 0, nil},
		"two":         {[]chart.Line{{Name: "a", Values: []chart.Value{{X: 1, Y: 0.3}, {X: 1000, Y: 40}}}, {Name: "b", Values: []chart.Value{{X: 2, Y: 2}}}}, 2, []string{"0.2", "50"}},
		"large, tiny": {[]chart.Line{{Name: "a", Values: []chart.Value{{X: 1e-9, Y: 1e-9}, {X: 1e9, Y: 1e9}}}}, 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			g := chart.Growth{Title: "cost & <growth>", Variable: "rooms", Quantity: "µs", Lines: c.lines}
			if err := chart.WriteGrowth(&b, &g); err != nil {
				t.Fatal(err)
			}
			text, curves := parse(t, b.String())
			if curves != c.curves {
				t.Errorf("%d curves, %d wanted", curves, c.curves)
			}
			for _, want := range append([]string{g.Title, g.Variable, g.Quantity}, c.marks...) {
				if !strings.Contains("\n"+text, want) {
					t.Errorf("no %q in %q", want, text)
				}
			}
			for _, l := range c.lines {
				if !strings.Contains(text, l.Name) {
					t.Errorf("the line %q has no name in %q", l.Name, text)
				}
			}
		})
	}
}

// A quantity that grows with the variable's square is twice as steep as one that grows with the variable.
func TestGrowthIsLogarithmic(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	label := func(x float64) string { return strings.Repeat("I", int(x)) }
	g := chart.Growth{Label: label, Lines: []chart.Line{{Name: "square", Values: []chart.Value{{X: 1, Y: 1}, {X: 2, Y: 4}, {X: 4, Y: 16}}}}}
	if err := chart.WriteGrowth(&b, &g); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), ">IIII<") || strings.Contains(b.String(), ">III<") {
		t.Errorf("the marks are not the values:\n%s", b.String())
	}
	// From 80 to 720, and from 370 (mark 1) to 74 (mark 20), the value 16 at log 16 ÷ log 20 of the way.
	if want := `d="M80.0 370.0L400.0 233.0L720.0 96.0"`; !strings.Contains(b.String(), want) {
		t.Errorf("no %s in\n%s", want, b.String())
	}
}
