package chart_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/internal/bench/chart"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWrite(t *testing.T) {
	t.Parallel()
	for name, series := range map[string][]chart.Series{
		"nothing":    nil,
		"no times":   {{Name: "a"}},
		"one time":   {{Name: "a <b> & c", Points: []chart.Point{{time.Millisecond, 1}}}},
		"two curves": {{Name: "a", Points: []chart.Point{{0, 0.5}, {time.Second, 1}}}, {Name: "b", Points: []chart.Point{{time.Microsecond, 1}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			if err := chart.Write(&b, `times & "more"`, series); err != nil {
				t.Fatal(err)
			}
			text, curves := parse(t, b.String())
			want := 0
			for _, s := range series {
				if !strings.Contains(text, s.Name) {
					t.Errorf("the curve %q has no name in %q", s.Name, text)
				}
				if len(s.Points) > 0 {
					want++
				}
			}
			if curves != want || !strings.Contains(text, `times & "more"`) {
				t.Errorf("%d curves, %d wanted; text %q", curves, want, text)
			}
		})
	}
}

// parse reads a picture as XML and returns its text and the number of curves.
func parse(t *testing.T, svg string) (text string, curves int) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return text, curves
		}
		if err != nil {
			t.Fatalf("not XML: %v\n%s", err, svg)
		}
		switch e := token.(type) {
		case xml.CharData:
			text += string(e)
		case xml.StartElement:
			for _, a := range e.Attr {
				if a.Name.Local == "stroke-width" {
					curves++
				}
				if strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") {
					t.Errorf("%s=%q", a.Name.Local, a.Value)
				}
			}
		}
	}
}
