//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

// The tests' program plays the clients, as the real one does.
func TestMain(m *testing.M) {
	if os.Getenv(role) != "" {
		os.Exit(report(generate(os.Stdin, os.Stdout)))
	}
	dir, err := os.MkdirTemp("", "million-test-")
	if err != nil {
		panic(err)
	}
	built = filepath.Join(dir, "peal")
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := os.RemoveAll(dir); err != nil {
			panic(err)
		}
		os.Exit(code)
	}))
}

// built is where build puts the program peal.
var built string

var build = sync.OnceValues(func() ([]byte, error) {
	cmd := exec.Command("go", "build", "-o", built, "./cmd/peal")
	cmd.Dir = "../.."
	return cmd.CombinedOutput()
})

// small returns the settings of a quick run of a cluster built from this tree.
func small(t *testing.T, flags ...string) *settings {
	t.Helper()
	if out, err := build(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s, err := parse(append([]string{"--peal", built, "--clients=301", "--nodes=3", "--generators=2", "--rounds=3", "--idle=1s", "--foreign=200",
		"--fill", "--patience=30s", "--limit=2m"}, flags...))
	if err != nil {
		t.Fatal(err)
	}
	s.out, s.progress = io.Discard, io.Discard
	return s
}

func TestRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	results := filepath.Join(dir, "RESULTS.md")
	if err := os.WriteFile(results, []byte("# Results\n\n## A million clients\n\nold\n\n## Other\n\nkept\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := small(t, "--results", results, "--json", filepath.Join(dir, "result.json"), "--keep-free=0")
	if err := run(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "result.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r result
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	if r.Clients != 301 || r.Delivery != (deliveryNotice{Received: 3 * 301}) || len(r.Rounds) != 3 || len(r.problems()) > 0 {
		t.Errorf("%s", data)
	}
	for i, round := range r.Rounds {
		if round.Received != 301 || round.Last <= 0 || round.Half > round.Last*1.04 || round.CPU.Nodes <= 0 || round.RedisBytes == 0 {
			t.Errorf("round %d: %+v", i, round)
		}
	}
	if least, most, strays := r.envelopes(); least != 3 || most != 3 || strays != 0 || r.Traffic[0].Envelopes != 0 {
		t.Errorf("the nodes received %+v", r.Traffic)
	}
	if f := r.Foreign; f == nil || f.Received != 200 || f.Elsewhere >= 200 || f.RedisBytes < 200*100 {
		t.Errorf("the room of the first node: %+v", f)
	}
	text, err := os.ReadFile(results)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# Results\n", "One broadcast reaches 301 clients on 3 nodes", "--nodes=3", "## Other\n\nkept"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("nothing of %q in\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "old") {
		t.Error("the old section is still there")
	}
}

// When memory is short nobody connects any more, and those who are there are measured.
func TestRunShortOfMemory(t *testing.T) {
	t.Parallel()
	s := small(t, "--keep-free=1000000000", "--clients=1600", "--nodes=4", "--generators=4", "--together=1", "--foreign=0")
	s.jsonFile = filepath.Join(t.TempDir(), "result.json")
	if err := run(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(s.jsonFile)
	if err != nil {
		t.Fatal(err)
	}
	var r result
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	if r.Clients == 0 || r.Clients >= 1600 || !strings.Contains(r.Connect.Stopped, "memory") || len(r.problems()) != 1 || r.Delivery.Lost != 0 {
		t.Errorf("%d clients, %q, %q", r.Clients, r.Connect.Stopped, r.problems())
	}
}

// cancelling is a writer that cancels a run when it reads a word.
type cancelling struct {
	word   string
	cancel func()
}

func (c cancelling) Write(p []byte) (int, error) {
	if strings.Contains(string(p), c.word) {
		c.cancel()
	}
	return len(p), nil
}

// However far a run is when it is interrupted, it ends and leaves no process behind.
func TestRunIsStopped(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"starting a Redis", "leaving them alone", "broadcast 1 of", "publishing"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			s := small(t, "--keep-free=0")
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			interrupt := errors.New("interrupt")
			s.progress = cancelling{at, func() { cancel(interrupt) }}
			r := &measurement{settings: s}
			if err := r.measure(ctx); !errors.Is(err, interrupt) {
				t.Errorf("got %v", err)
			}
			all := r.cluster.nodes
			if r.crowd != nil {
				all = append(all, r.crowd.generators...)
			}
			for _, c := range append(all, r.cluster.redis) {
				if c.cmd.ProcessState == nil {
					t.Errorf("%s still runs", c.name)
				}
			}
		})
	}
}

// A node that dies ends the run, and the error says which.
func TestRunLosesANode(t *testing.T) {
	t.Parallel()
	s := small(t, "--keep-free=0")
	r := &measurement{settings: s}
	s.progress = cancelling{"leaving them alone", func() {
		if err := r.cluster.nodes[1].cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
	}}
	if err := r.measure(t.Context()); err == nil || !strings.Contains(err.Error(), "node 1 ended: signal: killed") {
		t.Errorf("got %v", err)
	}
}

// A process that ends by itself ends the run, with what it said.
func TestChildEndsByItself(t *testing.T) {
	t.Parallel()
	var ends atomic.Int32
	told := make(chan error, 2)
	r, w := io.Pipe()
	go func() { _, _ = io.Copy(io.Discard, r) }()
	c, err := startChild("the shell", exec.Command("sh", "-c", "echo out of luck >&2; exit 3"), w, func(err error) { ends.Add(1); told <- err })
	if err != nil {
		t.Fatal(err)
	}
	if err := <-told; !strings.Contains(err.Error(), "the shell ended: exit status 3; it said: out of luck") {
		t.Error(err)
	}
	c.wait()
	c.kill() // does no harm
	if ends.Load() != 1 {
		t.Errorf("told %d times", ends.Load())
	}
	if _, err := startChild("nothing", exec.Command("/nonexistent/program"), discard{}, nil); err == nil || !strings.Contains(err.Error(), "starting nothing") {
		t.Error(err)
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	a := &address{found: make(chan string, 1)}
	for _, part := range []string{"hello\nPeal is listen", "ing on http://127.0.0.1:80", "81\n", "listening on http://127.0.0.1:9 "} {
		if _, err := io.WriteString(a, part); err != nil {
			t.Error(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if got := <-a.found; got != "127.0.0.1:8081" {
		t.Errorf("address %q", got)
	}
	if _, more := <-a.found; more {
		t.Error("a second address")
	}
}
