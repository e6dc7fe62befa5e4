package main

import (
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/bench"
)

func TestMain(m *testing.M) {
	if port := os.Getenv(daemonPort); port != "" {
		serveDaemon(port, os.Args[1])
		return
	}
	goleak.VerifyTestMain(m)
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for want, values := range map[float64][]float64{2: {3, 1, 2}, 2.5: {4, 1, 2, 3}, 7: {7}} {
		if got, ok := median(values); !ok || got != want {
			t.Errorf("median of %v: %g, %v", values, got, ok)
		}
	}
	if _, ok := median(nil); ok {
		t.Error("nothing has a median")
	}
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	c := &comparison{settings: settings{clients: 10_000, repeat: 3}, values: map[key][]float64{
		{"idle", peal, bench.MemoryPerConnection}:          {2, 3, 2.5},
		{"idle", floor, bench.MemoryPerConnection}:         {0.5},
		{"fanout", peal, bench.StepCPU}:                    {8},
		{"fanout", floor, bench.StepCPU}:                   {4},
		{"fanout", nodejs, bench.StepCPU}:                  {16},
		{"fanout", peal, bench.BurstCPU}:                   {1},
		{"connect", peal, bench.ConnectRate}:               {900},
		{"connect", nodejs, bench.ConnectRate}:             {300},
		{"sse-idle", product, bench.MemoryPerConnection}:   {1.5},
		{"sse-idle", mercure, bench.MemoryPerConnection}:   {6},
		{"nothing of ours", peal, "a figure not reported"}: {1},
	}, missing: []string{"Centrifugo: no"}}
	got := c.markdown(t.Context())
	for _, want := range []string{
		"# Results\n\nPeal keeps an idle WebSocket connection in **2.50 KiB** (10000 connections, namespace and one room joined) and delivers a broadcast for **8.00 µs**",
		"| | floor | Peal | Node.js socket.io | Mercure |\n|---|--:|--:|--:|--:|\n",
		"| memory per idle connection, 10000, KiB | 0.50 | 2.50 (2.00–3.00) |  |  |\n",
		"| step to 10000, 100 B, µs | 4.00 | 8.00 | 16.00 |  |\n",
		"| memory per idle event stream, 10000, KiB |  | 1.50 |  | 6.00 |\n",
		"| | floor | Node.js socket.io | Mercure |\n|---|--:|--:|--:|\n",
		"| memory per idle connection, 10000, KiB | 0.20 |  |  |\n",
		"| step to 10000, 100 B, µs | 0.50 | 2.00 |  |\n",
		"| connections per second, 10000, /s |  | 3.00 |  |\n",
		"| memory per idle event stream, 10000, KiB |  |  | 4.00 |\n",
		"## Not measured\n\n- Centrifugo: no\n",
		"No message was lost",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	c.problems = []string{"the moon is missing"}
	if got := c.markdown(t.Context()); !strings.Contains(got, "- the moon is missing\n") || strings.Contains(got, "No message was lost") {
		t.Errorf("problems are not told:\n%s", got)
	}
}

func TestMeasurementsNameServers(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, s := range servers("/d", settings{node: "node", redis: "redis://127.0.0.1:1"}) {
		known[s.name] = true
		if ids[s.name] == "" {
			t.Errorf("%s has no name on the command line", s.name)
		}
		if (s.cluster != "") != (s.name == peal || s.name == product || s.name == nodejs) || (s.node != nil) != (s.name == centrifugo) {
			t.Errorf("%s: cluster command %q, node %v", s.name, s.cluster, s.node)
		}
	}
	rows := map[string]bool{}
	c := &comparison{settings: settings{clients: 1000}}
	for _, r := range append(c.rows(), c.productRows()...) {
		rows[r.measurement] = true
	}
	for _, m := range measurements(1000) {
		if !rows[m.name] {
			t.Errorf("%s is measured and not shown", m.name)
		}
		delete(rows, m.name)
		for _, s := range m.servers {
			if !known[s] {
				t.Errorf("%s: no server %s", m.name, s)
			}
		}
	}
	for name := range rows {
		t.Errorf("%s is shown and not measured", name)
	}
}
