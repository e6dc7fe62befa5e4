package plan_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/bench/plan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// costs are round figures, so that the expected values can be worked out by heart.
var costs = plan.Costs{MemoryPerConnection: 3, KernelPerConnection: 5, BaseMiB: 24, IdleCPU: 1, DeliveryCPU: 9, EventCPU: 20,
	PublishCPU: 100, ConnectCPU: 100, RedisCPU: 10, RedisPerNodeCPU: 5}

var machine = plan.Machine{Cores: 2, MemoryGiB: 2, NetworkGbit: 1, Utilisation: 0.5, DowntimeHours: 1, WorkingHours: 100}

func TestNew(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		load    plan.Load
		machine plan.Machine
		terms   map[string]float64
		servers int
	}{
		"memory decides": {
			plan.Load{Connections: 1_000_000}, machine,
			map[string]float64{"servers by memory": 7.8125, "servers by CPU": 1, "servers by network": 0, "servers needed": 8}, 9,
		},
		"CPU decides": {
			// 10 messages a second to each, one for all: 91 µs/s of a core per connection.
			plan.Load{Connections: 100_000, BytesPerSecond: 2000, MessageSize: 200, Audience: 100_000}, machine,
			map[string]float64{"CPU of one connection": 91, "messages published": 10, "CPU of one node for what is published": 1000, "servers needed": 10}, 11,
		},
		"the network decides": {
			// 1418 + 30 bytes fill a packet: 1514 on the wire.
			plan.Load{Connections: 100_000, BytesPerSecond: 1418, MessageSize: 1418, Audience: 100_000},
			plan.Machine{Cores: 64, MemoryGiB: 64, NetworkGbit: 0.1, Utilisation: 1, DowntimeHours: 1, WorkingHours: 1e12},
			map[string]float64{"servers by network": 12.112, "servers needed": 13}, 14,
		},
		"downtime decides": {
			plan.Load{Connections: 128_000}, plan.Machine{Cores: 2, MemoryGiB: 2, Utilisation: 0.5, DowntimeHours: 1, WorkingHours: 8},
			map[string]float64{"servers by memory": 1, "servers needed": 2}, 3,
		},
		"an exact fit": {
			plan.Load{Connections: 128_000}, plan.Machine{Cores: 2, MemoryGiB: 2, Utilisation: 0.5, DowntimeHours: 1e-12, WorkingHours: 8},
			map[string]float64{"servers needed": 1}, 2,
		},
		"hardly anything": {plan.Load{Connections: 1}, plan.Machine{}, map[string]float64{"servers needed": 1, "servers of Redis": 2}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := plan.New(test.load, test.machine, costs)
			if err != nil {
				t.Fatal(err)
			}
			if p.Servers != test.servers || p.Redis != 2 {
				t.Errorf("%d servers, %d of Redis; %d wanted\n%+v", p.Servers, p.Redis, test.servers, p.Terms)
			}
			got := map[string]float64{}
			for _, term := range p.Terms {
				got[term.Name] = term.Value
				if term.How == "" || strings.Contains(term.How, "%!") {
					t.Errorf("%s is explained by %q", term.Name, term.How)
				}
			}
			for name, want := range test.terms {
				if math.Abs(got[name]-want) > 1e-9 {
					t.Errorf("%s is %g, it should be %g", name, got[name], want)
				}
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	p, err := plan.New(plan.Load{Connections: 1_000_000, BytesPerSecond: 2000, MessageSize: 200, Audience: 200, Reconnect: 0.1},
		plan.Machine{Cores: 16, MemoryGiB: 64, NetworkGbit: 10, Utilisation: 0.9}, costs)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Warnings) != 2 || !strings.Contains(p.Warnings[0], "lost server") || !strings.Contains(p.Warnings[1], "Redis works on one core") {
		t.Errorf("%q", p.Warnings)
	}
	var b strings.Builder
	if err := p.WriteText(&b); err != nil || strings.Count(b.String(), "WARNING") != 2 {
		t.Errorf("%v\n%s", err, b.String())
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for want, test := range map[string]struct {
		load    plan.Load
		machine plan.Machine
		costs   plan.Costs
	}{
		"connections must be positive":    {plan.Load{}, machine, costs},
		"bytes per second cannot be -1":   {plan.Load{Connections: 1, BytesPerSecond: -1}, machine, costs},
		"audience must be positive":       {plan.Load{Connections: 1, Audience: -1}, machine, costs},
		"at most 1, not 2":                {plan.Load{Connections: 1}, plan.Machine{Utilisation: 2}, costs},
		"serves nobody":                   {plan.Load{Connections: 1}, plan.Machine{DowntimeHours: 9, WorkingHours: 9}, costs},
		"do not even hold":                {plan.Load{Connections: 1}, plan.Machine{MemoryGiB: 0.01}, costs},
		"on learning what is published":   {plan.Load{Connections: 1_000_000, BytesPerSecond: 200}, machine, costs},
		"delivery CPU cannot be NaN":      {plan.Load{Connections: 1}, machine, plan.Costs{DeliveryCPU: math.NaN()}},
		"message size must be positive":   {plan.Load{Connections: 1, MessageSize: math.NaN()}, machine, costs},
		"network must be positive, not -": {plan.Load{Connections: 1}, plan.Machine{NetworkGbit: -1}, costs},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			if _, err := plan.New(test.load, test.machine, test.costs); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestMeasuredIsTheDefault(t *testing.T) {
	t.Parallel()
	load := plan.Load{Connections: 500_000, BytesPerSecond: 100, Audience: 1000}
	a, err := plan.New(load, plan.Machine{}, plan.Costs{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := plan.New(load, plan.Machine{}, plan.Measured)
	if err != nil || fmt.Sprint(*a) != fmt.Sprint(*b) {
		t.Errorf("%v\n%+v\n%+v", err, *a, *b)
	}
}
