package main

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/lab/page"
)

// built returns a comparison whose program of Peal is built from this tree.
func built(t *testing.T) *comparison {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", dir+"/", "./cmd/peal")
	cmd.Dir = filepath.Join("..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return &comparison{
		settings: settings{clients: 100, repeat: 1, quick: true, measure: "nodes,hop", redisServer: "redis-server"},
		servers:  []server{{name: product}}, values: map[key][]float64{}, parts: map[string]part{}, dir: dir, began: time.Now(),
	}
}

// A run of whole clusters, with a real Redis, writes the sections of the page that it is about and leaves the others alone.
func TestSections(t *testing.T) {
	t.Parallel()
	c := built(t)
	list := c.available()
	if len(list) < 2 || list[0].name != "Peal" {
		t.Fatalf("%+v", list)
	}
	quick := quickTrial
	quick.options.Patience = time.Minute // the machine may be busy
	var p part
	problem := func(text string) { p.problem("%s", text) }
	for _, n := range list {
		if n.name != "Peal" && !n.alone {
			continue // they differ in what is behind the same flag
		}
		if err := quick.measureCluster(t.Context(), &n, c.redisServer, c.add("nodes", n.name), problem); err != nil {
			t.Fatal(err)
		}
		p.shown = append(p.shown, c.shownAs(&n))
		for _, r := range nodesRows() {
			k := key{"nodes", n.name, r.figure}
			// What has nothing to do may have used nothing.
			idle := strings.Contains(r.figure, processes[3]) || strings.HasSuffix(r.figure, "at rest") || n.alone && strings.Contains(r.figure, processes[0])
			if values := c.values[k]; len(values) != 1 || values[0] < 0 || values[0] == 0 && !idle {
				t.Errorf("%v: %v", k, values)
			}
		}
	}
	err := quick.measureHop(t.Context(), &list[0], c.redisServer, func(way, name string, value float64) { c.add("hop", way)(name, value) }, problem)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range p.problems {
		t.Error(text)
	}
	c.parts["nodes"], c.parts["hop"] = p, part{}
	const old = "# Results\n\nkept\n\n## From node to node\n\nold\n\n## A million clients\n\nkept, too\n"
	got := c.page(t.Context(), old)
	for _, want := range []string{"# Results\n\nkept\n\n## From node to node\n\nThree nodes", "\n## A million clients\n\nkept, too\n\n## A session on another node\n",
		"| | Peal |\n|---|--:|\n| 100 messages/s: p50, ms | ", "| | Peal, unix |\n", "redis://{broker}\nPeal, unix ", "Every message arrived",
		"| | WebSocket, the session's node | WebSocket, through another | polling, the session's node | polling, through another |\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "old\n") || strings.Contains(got, c.dir) {
		t.Errorf("what was there before, or a path of this machine, is in\n%s", got)
	}
	if again := c.page(t.Context(), got); again != got {
		t.Errorf("written again it is\n%s", again)
	}
}

// What a run did not measure outlives it.
func TestPage(t *testing.T) {
	t.Parallel()
	c := &comparison{settings: settings{clients: 1000, measure: "echo"}, parts: map[string]part{}}
	old := "# Results\n\nold\n\n## How\n\nold\n\n## Problems\n\nold\n"
	for _, heading := range []string{sections[0].heading, sections[1].heading, millionHeading} {
		old += "\n" + heading + "\n\nkept\n"
	}
	got := c.page(t.Context(), old)
	if strings.Contains(got, "old") || strings.Count(got, "\nkept\n") != 3 || page.Section(got, "## Problems") != "" {
		t.Errorf("%s", got)
	}
}

// A cluster that cannot be is left alone; the next one is measured.
func TestClusterThatIsNotThere(t *testing.T) {
	t.Parallel()
	c := &comparison{settings: settings{repeat: 2}, values: map[key][]float64{}}
	var p part
	tried := map[string]int{}
	list := []contestant{{name: "none", command: "false"}, {name: "no Redis", command: "true"}, {name: "alone", alone: true, command: "true"}}
	err := c.repeatedly(t.Context(), "nodes", list, &p, func(n *contestant) error {
		tried[n.name]++
		_, _, err := n.cluster(t.Context(), filepath.Join(t.TempDir(), "nothing"))
		return err
	})
	if err != nil || len(p.problems) != len(list) || tried["none"] != 1 || tried["alone"] != 1 {
		t.Errorf("%v, %q, %v", err, p.problems, tried)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.repeatedly(ctx, "nodes", list, &p, func(*contestant) error { return ctx.Err() }); err == nil {
		t.Error("it went on behind the end")
	}
}
