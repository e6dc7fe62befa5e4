package plan

import (
	"cmp"
	"errors"
	"fmt"
	"math"
)

// Load is what clients ask for. Connections is required.
type Load struct {
	Connections    int     // clients connected at the busiest time
	BytesPerSecond float64 // of messages' data that one client receives; 0 if nearly nothing
	MessageSize    float64 // bytes of one message's data; 0 means 200
	Audience       float64 // clients that one published message reaches; 0 means 1
	Events         float64 // events that one client sends in a second
	Reconnect      float64 // seconds in which the clients of a lost server must be back; 0 means 60
}

// Machine is what one server has. The zero value is a small one.
type Machine struct {
	Cores       float64 // 0 means 2
	MemoryGiB   float64 // 0 means 4
	NetworkGbit float64 // per second, outwards; 0 means 1
	Utilisation float64 // share of these that may be used at the busiest time; 0 means 0.6
	// DowntimeHours is how long one server is away in the WorkingHours of a month: failures, updates, moves. 0 means 1
	// hour; WorkingHours 0 means 720, all of them.
	DowntimeHours float64
	WorkingHours  float64
}

// Costs are what the work costs, as `peal bench` measures it. The zero value means Measured.
type Costs struct {
	MemoryPerConnection float64 // KiB, of the process
	KernelPerConnection float64 // KiB, of the system's sockets
	BaseMiB             float64 // of a server without clients
	IdleCPU             float64 // µs per connection and second
	DeliveryCPU         float64 // µs per delivered message
	EventCPU            float64 // µs per event of a client, with its acknowledgement
	PublishCPU          float64 // µs per message published, on each node that learns of it
	ConnectCPU          float64 // µs per connection made
	RedisCPU            float64 // µs of Redis per message published
	RedisPerNodeCPU     float64 // µs of Redis per message and node
}

// Measured are the costs on the machine of bench/RESULTS.md, rounded up generously. Three are not in that file: the
// kernel's memory is the growth of its slabs with 10,000 connections, half of it for either end; PublishCPU is what two
// nodes used for messages to one client (scenario cluster with one client), published one at a time; and Redis used 37 µs
// for each of these, of which the division into a fixed part and one for each node is an estimate.
var Measured = Costs{
	MemoryPerConnection: 3, KernelPerConnection: 5, BaseMiB: 40,
	IdleCPU: 1, DeliveryCPU: 10, EventCPU: 15, PublishCPU: 60, ConnectCPU: 110,
	RedisCPU: 20, RedisPerNodeCPU: 10,
}

// Term is one step of the calculation.
type Term struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"`
	How   string  `json:"how"` // the formula, with its values
}

// Plan is the result.
type Plan struct {
	Servers  int      `json:"servers"`         // in all, spare ones included
	Redis    int      `json:"redis,omitempty"` // servers of Redis; none are needed for one server
	Terms    []Term   `json:"terms"`
	Warnings []string `json:"warnings,omitempty"`
}

// Frames of small messages are dwarfed by what carries them.
const (
	frameOverhead  = 30      // event name, packet type and frame header
	packetOverhead = 52 + 14 // TCP with timestamps, IP, Ethernet
	segment        = 1448    // data in one Ethernet packet
)

// New works out a plan. It fails if the input makes none possible.
func New(load Load, machine Machine, costs Costs) (*Plan, error) {
	load.MessageSize = cmp.Or(load.MessageSize, 200)
	load.Audience = cmp.Or(load.Audience, 1)
	load.Reconnect = cmp.Or(load.Reconnect, 60)
	machine.Cores = cmp.Or(machine.Cores, 2)
	machine.MemoryGiB = cmp.Or(machine.MemoryGiB, 4)
	machine.NetworkGbit = cmp.Or(machine.NetworkGbit, 1)
	machine.Utilisation = cmp.Or(machine.Utilisation, 0.6)
	machine.DowntimeHours = cmp.Or(machine.DowntimeHours, 1)
	machine.WorkingHours = cmp.Or(machine.WorkingHours, 720)
	if costs == (Costs{}) {
		costs = Measured
	}
	c := &calculation{load: load, machine: machine, costs: costs, connections: float64(load.Connections)}
	if err := c.check(); err != nil {
		return nil, err
	}
	return c.plan()
}

type calculation struct {
	load        Load
	machine     Machine
	costs       Costs
	connections float64
	result      Plan
}

func (c *calculation) check() error {
	var errs []error
	for name, v := range map[string]float64{
		"bytes per second": c.load.BytesPerSecond, "events": c.load.Events, "memory per connection": c.costs.MemoryPerConnection,
		"kernel memory per connection": c.costs.KernelPerConnection, "idle CPU": c.costs.IdleCPU, "delivery CPU": c.costs.DeliveryCPU,
		"event CPU": c.costs.EventCPU, "publish CPU": c.costs.PublishCPU, "connect CPU": c.costs.ConnectCPU,
		"Redis CPU": c.costs.RedisCPU, "Redis CPU per node": c.costs.RedisPerNodeCPU, "base memory": c.costs.BaseMiB,
	} {
		if v < 0 || math.IsNaN(v) || math.IsInf(v, 0) {
			errs = append(errs, fmt.Errorf("%s cannot be %g", name, v))
		}
	}
	for name, v := range map[string]float64{
		"connections": c.connections, "message size": c.load.MessageSize, "audience": c.load.Audience, "reconnect time": c.load.Reconnect,
		"cores": c.machine.Cores, "memory": c.machine.MemoryGiB, "network": c.machine.NetworkGbit, "working hours": c.machine.WorkingHours,
	} {
		if !(v > 0) || math.IsInf(v, 0) {
			errs = append(errs, fmt.Errorf("%s must be positive, not %g", name, v))
		}
	}
	if u := c.machine.Utilisation; !(u > 0 && u <= 1) {
		errs = append(errs, fmt.Errorf("utilisation must be more than 0 and at most 1, not %g", u))
	}
	if d := c.machine.DowntimeHours; !(d >= 0 && d < c.machine.WorkingHours) {
		errs = append(errs, fmt.Errorf("a server that is away for %g of %g hours serves nobody", d, c.machine.WorkingHours))
	}
	return errors.Join(errs...)
}

func (c *calculation) term(name string, value float64, unit, how string, args ...any) float64 {
	c.result.Terms = append(c.result.Terms, Term{name, value, unit, fmt.Sprintf(how, args...)})
	return value
}

func (c *calculation) plan() (*Plan, error) {
	l, m, k := c.load, c.machine, c.costs
	messages := c.term("messages to one client", l.BytesPerSecond/l.MessageSize, "/s",
		"%g bytes/s ÷ %g bytes a message", l.BytesPerSecond, l.MessageSize)
	published := c.term("messages published", c.connections*messages/l.Audience, "/s",
		"%d connections × %g /s ÷ %g clients reached by one", l.Connections, messages, l.Audience)

	perConnection := c.term("memory of one connection", k.MemoryPerConnection+k.KernelPerConnection, "KiB",
		"%g KiB in Peal + %g KiB in the kernel", k.MemoryPerConnection, k.KernelPerConnection)
	room := m.MemoryGiB*m.Utilisation*1024 - k.BaseMiB
	if room <= 0 {
		return nil, fmt.Errorf("%g GiB of memory, used to %g, do not even hold the program (%g MiB)", m.MemoryGiB, m.Utilisation, k.BaseMiB)
	}
	byMemory := c.term("servers by memory", c.connections*perConnection/1024/room, "",
		"%d × %g KiB ÷ (%g GiB × %g − %g MiB)", l.Connections, perConnection, m.MemoryGiB, m.Utilisation, k.BaseMiB)

	perSecond := c.term("CPU of one connection", k.IdleCPU+messages*k.DeliveryCPU+l.Events*k.EventCPU, "µs/s",
		"%g idle + %g messages × %g + %g events × %g", k.IdleCPU, messages, k.DeliveryCPU, l.Events, k.EventCPU)
	// What every node does for a message, however few of its clients receive it, leaves less for them on each.
	overhead := c.term("CPU of one node for what is published", published*k.PublishCPU, "µs/s",
		"%g messages/s × %g µs: every node learns of each", published, k.PublishCPU)
	cores := m.Cores*m.Utilisation*1e6 - overhead
	if cores <= 0 {
		return nil, fmt.Errorf("a node of %g cores would spend all its time (%.2g of %g s) on learning what is published; "+
			"reach more clients with one message, take servers with more cores, or split the clients into several clusters", m.Cores, overhead/1e6, m.Cores*m.Utilisation)
	}
	byCPU := c.term("servers by CPU", c.connections*perSecond/cores, "",
		"%d × %g µs/s ÷ (%g cores × %g − %.3g s/s)", l.Connections, perSecond, m.Cores, m.Utilisation, overhead/1e6)

	size := l.MessageSize + frameOverhead
	size += packetOverhead * math.Ceil(size/segment)
	byNetwork := c.term("servers by network", c.connections*messages*size*8/(m.NetworkGbit*m.Utilisation*1e9), "",
		"%d × %g /s × %g bytes with all headers × 8 ÷ (%g Gbit/s × %g)", l.Connections, messages, size, m.NetworkGbit, m.Utilisation)

	busy := math.Max(byMemory, math.Max(byCPU, byNetwork))
	away := c.term("share of the time a server is away", m.DowntimeHours/m.WorkingHours, "", "%g of %g hours", m.DowntimeHours, m.WorkingHours)
	needed := c.term("servers needed", math.Max(1, math.Ceil(round(busy/(1-away)))), "",
		"the largest of the three, %.3g, ÷ (1 − %.3g), rounded up", busy, away)
	c.result.Servers = int(c.term("servers with a spare one", needed+1, "", "N+1: the load is borne while one is lost or updated"))
	c.reconnects(float64(c.result.Servers))
	c.redis(published, float64(c.result.Servers))
	return &c.result, nil
}

// round takes away what floating point adds, so that an exact fit is not one server more.
func round(v float64) float64 { return math.Round(v*1e9) / 1e9 }

// reconnects checks that the others can take a lost server's clients in the time given.
func (c *calculation) reconnects(servers float64) {
	rate := c.term("connections a server takes when one is lost", c.connections/servers/c.load.Reconnect/(servers-1), "/s",
		"%d ÷ %g servers, within %g s, by the %g others", c.load.Connections, servers, c.load.Reconnect, servers-1)
	spare := (1 - c.machine.Utilisation) * c.machine.Cores * 1e6
	if cost := rate * c.costs.ConnectCPU; cost > spare {
		c.result.Warnings = append(c.result.Warnings, fmt.Sprintf(
			"taking a lost server's clients within %g s costs each of the others %.2g cores and %.2g are left: give them more time (clients spread their attempts) or lower the utilisation",
			c.load.Reconnect, cost/1e6, spare/1e6))
	}
}

func (c *calculation) redis(published, servers float64) {
	busy := c.term("CPU of Redis", published*(c.costs.RedisCPU+servers*c.costs.RedisPerNodeCPU)/1e6, "cores",
		"%g messages/s × (%g µs + %g servers × %g µs)", published, c.costs.RedisCPU, servers, c.costs.RedisPerNodeCPU)
	c.result.Redis = int(c.term("servers of Redis", 2, "", "one, which needs one core and little memory, and a replica to take over"))
	if busy > c.machine.Utilisation {
		c.result.Warnings = append(c.result.Warnings, fmt.Sprintf(
			"Redis works on one core, and %.2g would be needed: split the clients into clusters with a Redis each, or reach more clients with one message", busy))
	}
}
