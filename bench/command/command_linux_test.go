package command_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/bench"
	"github.com/peal-dev/peal/bench/command"
	"github.com/peal-dev/peal/bench/plan"
	"github.com/peal-dev/peal/gateway"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func node(t *testing.T) string {
	t.Helper()
	node, err := gateway.Start(t.Context(), gateway.Config{Listen: "127.0.0.1:0", Dev: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := node.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return node.URL()
}

func TestBench(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := command.Bench{Scenario: "fanout", URL: node(t), Transport: "websocket", Dialect: "peal", Clients: 10, Rounds: 2, Burst: 2,
		RoomSize: 2, Settle: time.Millisecond, JSON: filepath.Join(dir, "report.json"), SVG: filepath.Join(dir, "times.svg")}
	var out strings.Builder
	if err := c.Execute(t.Context(), &out, os.Stderr); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "130 of 130 messages received; lost 0") {
		t.Error(out.String())
	}
	data, err := os.ReadFile(c.JSON)
	if err != nil {
		t.Fatal(err)
	}
	var report bench.Report
	if err := json.Unmarshal(data, &report); err != nil || report.Delivery.Received != 130 || len(report.Latencies) != 3 {
		t.Errorf("%v, %+v", err, report.Delivery)
	}
	if svg, err := os.ReadFile(c.SVG); err != nil || !strings.HasPrefix(string(svg), "<svg") {
		t.Errorf("%v, %.40s", err, svg)
	}

	c.JSON, c.SVG = "-", filepath.Join(dir, "no", "such", "directory")
	out.Reset()
	if err := c.Execute(t.Context(), &out, os.Stderr); err == nil || !strings.Contains(err.Error(), "no/such") {
		t.Errorf("got %v", err)
	}
	if !json.Valid([]byte(out.String())) {
		t.Errorf("no JSON: %s", out.String())
	}
}

func TestBenchReportsProblems(t *testing.T) {
	t.Parallel()
	// A node that lets nobody publish loses everything.
	private, err := gateway.Start(t.Context(), gateway.Config{Listen: "127.0.0.1:0", AnonymousSubscribe: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := private.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	c := command.Bench{Scenario: "fanout", URL: private.URL(), Transport: "websocket", Dialect: "peal", Clients: 3, RoomSize: 1,
		Patience: 50 * time.Millisecond}
	var out strings.Builder
	if err := c.Execute(t.Context(), &out, os.Stderr); !errors.Is(err, command.ErrProblems) || !strings.Contains(out.String(), "PROBLEM: of 3 messages 3 were lost") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	c := command.Plan{Connections: 100_000}
	var out strings.Builder
	if err := c.Execute(&out); err != nil || !strings.HasPrefix(out.String(), "2 servers and 2 of Redis\n") {
		t.Errorf("%v\n%s", err, out.String())
	}
	out.Reset()
	c.JSON, c.CostMemory = true, 100
	var p plan.Plan
	if err := errors.Join(c.Execute(&out), json.Unmarshal([]byte(out.String()), &p)); err != nil || p.Servers != 6 {
		t.Errorf("%v\n%s", err, out.String())
	}
	if err := (&command.Plan{}).Execute(&out); err == nil {
		t.Error("nobody needs no server")
	}
}
