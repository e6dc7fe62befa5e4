package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestExponent(t *testing.T) {
	t.Parallel()
	xs := []float64{1, 2, 5, 10, 100}
	for want, f := range map[float64]func(x float64) float64{
		1:    func(x float64) float64 { return 3 * x },
		0:    func(float64) float64 { return 7 },
		2:    func(x float64) float64 { return x * x / 9 },
		-0.5: func(x float64) float64 { return 1 / math.Sqrt(x) },
	} {
		var ys []float64
		for _, x := range xs {
			ys = append(ys, f(x))
		}
		if got, ok := exponent(xs, ys); !ok || math.Abs(got-want) > 1e-9 {
			t.Errorf("%g, %v; %g wanted", got, ok, want)
		}
	}
	// Least squares: the middle of three evenly spaced points does not turn the line, and noise evens out.
	if got, ok := exponent([]float64{1, 10, 100}, []float64{1, 50, 100}); !ok || math.Abs(got-1) > 1e-9 {
		t.Errorf("%g, %v; 1 wanted", got, ok)
	}
	for name, c := range map[string][2][]float64{
		"nothing":      {},
		"one point":    {{1}, {1}},
		"one x":        {{2, 2}, {1, 3}},
		"not positive": {{1, 2}, {1, 0}},
		"shrank":       {{1, 2}, {-1, 3}},
		"x is 0":       {{0, 2}, {1, 3}},
		"lengths":      {{1, 2}, {1}},
	} {
		if e, ok := exponent(c[0], c[1]); ok {
			t.Errorf("%s: exponent %g", name, e)
		}
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for want, values := range map[float64][]float64{2: {3, 1, 2}, 2.5: {4, 1, 2, 3}, 7: {7}} {
		if got := median(values); got != want {
			t.Errorf("median of %v: %g", values, got)
		}
	}
}

func TestShape(t *testing.T) {
	t.Parallel()
	for want, c := range map[string][2]float64{
		"hardly changes":             {0.05, 1.2},
		"shrinks":                    {-0.4, 0.5},
		"grows slower than linearly": {0.07, 1.66},
		"grows linearly":             {1.1, 20},
		"grows faster than linearly": {1.101, 1.2},
	} {
		if got := shape(c[0], c[1]); got != want {
			t.Errorf("%v: %q, %q wanted", c, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for want, v := range map[string]float64{"0.00": 0, "-1.25": -1.25, "2.42": 2.4219, "17.6": 17.62, "128": 127.6, "1,024": 1024, "1,234,568": 1234567.8} {
		if got := number(v); got != want {
			t.Errorf("%g: %q", v, got)
		}
	}
	for want, n := range map[string]int{"16 B": 16, "1 KiB": 1024, "1500 B": 1500, "64 KiB": 65536} {
		if got := bytesLabel(n); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}

// Everything that is planned can be measured: rooms have equal members, and stamps fit.
func TestPlans(t *testing.T) {
	t.Parallel()
	for _, s := range []scope{full, quick} {
		for _, c := range s.curves() {
			if len(c.points) < 3 {
				t.Errorf("%s: %d points", c.id, len(c.points))
			}
			for i, p := range c.points {
				l := p.load
				if l.size < stampSize || l.rounds < 5 || l.rounds*l.clients > max(s.budget.deliveries, 5*l.clients) {
					t.Errorf("%s at %d: %+v", c.id, p.x, l)
				}
				if l.rooms > 0 && l.clients%l.rooms != 0 || l.nodes > 0 && l.clients%l.nodes != 0 || l.rooms > math.MaxUint16 {
					t.Errorf("%s at %d: %d clients in %d rooms on %d nodes", c.id, p.x, l.clients, l.rooms, l.nodes)
				}
				if i > 0 && p.x <= c.points[i-1].x {
					t.Errorf("%s: %d behind %d", c.id, p.x, c.points[i-1].x)
				}
			}
		}
	}
}

func TestStamp(t *testing.T) {
	t.Parallel()
	for _, size := range []int{16, 17, 1024} {
		event := append(appendStamped([]byte(beforeData), 0xbeef, 9999, 123456789, size), afterData...)
		if run, topic, seq, ok := stamped(event, size); !ok || run != 0xbeef || topic != 9999 || seq != 123456789 {
			t.Errorf("%d bytes: %x, %d, %d, %v from %s", size, run, topic, seq, ok, event)
		}
		for name, other := range map[string][]byte{
			"shorter":     event[1:],
			"longer":      append(event[:len(event):len(event)], 'x'),
			"another":     []byte(strings.Replace(string(event), "broadcast", "broadcase", 1)),
			"no number":   []byte(strings.Replace(string(event), "beef", "beeg", 1)),
			"upper case":  []byte(strings.Replace(string(event), "beef", "BEEF", 1)),
			"nothing":     nil,
			"event alone": []byte(beforeData),
		} {
			if _, _, _, ok := stamped(other, size); ok {
				t.Errorf("%s: %s counts as a message", name, other)
			}
		}
	}
}

// made returns results in which each cost grows with a power of the variable.
func made(power float64, sweeps int) *results {
	r := &results{began: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), took: 90 * time.Second, curves: full.curves(), sweeps: sweeps,
		costs: map[key][]cost{}, loads: []string{"0.10", "2.00"}, machine: []string{"2 cores", "commit abc"}}
	for _, c := range r.curves {
		for _, p := range c.points {
			y := math.Pow(float64(p.x), power)
			for range sweeps {
				r.costs[key{c.id, p.x, false}] = append(r.costs[key{c.id, p.x, false}], cost{Idle: 2048 * y, After: 4096 * y, CPU: y / 1e5})
				r.costs[key{c.id, p.x, true}] = append(r.costs[key{c.id, p.x, true}], cost{Idle: y, After: y, CPU: y * y / 1e9})
			}
		}
	}
	return r
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	r := made(1, 2)
	got := r.markdown()
	for _, want := range []string{
		"| connections, 1,000 to 18,000 | the memory of all idle connections | 1.00 | 1.00 | yes |\n",
		"| connections, 1,000 to 18,000 | the CPU time of one message to each client on the floor | 2.00 | 2.00 |  |\n",
		"| message size, 16 B to 64 KiB | the CPU time of one message to each client | 1.00 | 1.00 | yes |\n",
		"| connections | memory per connection, idle, KiB | memory per connection, after the fan-out, KiB | CPU per delivery, µs | CPU per delivery, floor, µs |\n|--:|--:|--:|--:|--:|\n",
		"| 18,000 | 2.00 | 4.00 | 10.0 | 18.0 |\n",
		"- From 1,000 to 18,000 connections (×18.0), the memory of all idle connections grows linearly: ×18.0, exponent 1.00, in the upper half 1.00; memory per connection, idle goes from 2.00 to 2.00 KiB.\n",
		"- From 16 B to 64 KiB a message (×4,096), the memory after",
		"![CPU per delivery against nodes](curves/nodes-cpu.svg)\n",
		"2026-01-02; 2 sweeps in 1m30s, median of the sweeps.\n\n- 2 cores\n- commit abc\n",
		"No message was lost",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "NaN") || strings.Contains(got, "%!") {
		t.Errorf("formatting:\n%s", got)
	}
	if err := r.verdict(); err != nil {
		t.Error(err)
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	steep := made(1.2, 1)
	err := steep.verdict()
	if err == nil || strings.Count(err.Error(), "grows faster than linearly") != 10 || strings.Contains(err.Error(), "floor") {
		t.Errorf("10 steep costs, and one that is no steeper than the floor's: %v", err)
	}
	if !strings.Contains(steep.markdown(), "each client | 1.20 | 1.20 | as the floor |") {
		t.Error(steep.markdown())
	}
	steeper := made(2.6, 1)
	for _, p := range steeper.curves[0].points {
		steeper.costs[key{steeper.curves[0].id, p.x, true}][0].CPU = math.Pow(float64(p.x), 1.3) / 1e9
	}
	if err := steeper.verdict(); err == nil || strings.Count(err.Error(), "grows faster than linearly") != 11 {
		t.Errorf("11 steep costs: %v", err)
	}
	if !strings.Contains(steep.markdown(), "| 1.20 | 1.20 | **no** |") {
		t.Error(steep.markdown())
	}
	if steep.quick = true; steep.verdict() != nil {
		t.Error("a quick run judges")
	}

	missing := made(1, 1)
	delete(missing.costs, key{"nodes", 4, false})
	if err := missing.verdict(); err == nil || strings.Count(err.Error(), "No power of the nodes can be fitted") != 3 {
		t.Errorf("a missing point: %v", err)
	}
	if got := missing.markdown(); !strings.Contains(got, "| 4 |  |  |  |\n") || !strings.Contains(got, "| none | none | **no** |") {
		t.Error(got)
	}

	lossy := made(1, 1)
	lossy.quick, lossy.problems = true, []string{"the moon is missing\nand the sun"}
	if err := lossy.verdict(); err == nil || !strings.Contains(err.Error(), "moon") {
		t.Errorf("a problem: %v", err)
	}
	if got := lossy.markdown(); !strings.Contains(got, "- the moon is missing; and the sun\n") || strings.Contains(got, "No message was lost") {
		t.Error(got)
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := made(0.5, 1)
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "CURVES.md"))
	if err != nil || string(text) != r.markdown() {
		t.Errorf("CURVES.md: %v", err)
	}
	pictures := r.pictures()
	if len(pictures) != 8 {
		t.Errorf("%d pictures", len(pictures))
	}
	for _, p := range pictures {
		file, err := os.Open(filepath.Join(dir, p.path))
		if err != nil {
			t.Error(err)
			continue
		}
		d := xml.NewDecoder(file)
		for err == nil {
			_, err = d.Token()
		}
		if !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", p.path, err)
		}
		if err := file.Close(); err != nil {
			t.Error(err)
		}
		if strings.Count(string(text), "]("+p.path+")") != 1 {
			t.Errorf("%s is not shown once", p.path)
		}
	}
}
