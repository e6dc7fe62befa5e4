package command

import (
	"io"

	"github.com/peal-dev/peal/bench/plan"
)

// Plan is a command that works out how many servers a load needs. Its fields are flags; a zero means the default of
// package plan.
type Plan struct {
	Connections    int     `required:"" placeholder:"N" help:"Clients connected at the busiest time."`
	BytesPerSecond float64 `placeholder:"BYTES" help:"What one client receives, without headers."`
	MessageSize    float64 `placeholder:"BYTES" help:"One message's data. Default 200."`
	Audience       float64 `placeholder:"N" help:"Clients that one published message reaches. Default 1."`
	Events         float64 `placeholder:"N" help:"Events that one client sends in a second."`
	Reconnect      float64 `placeholder:"SECONDS" help:"Time in which a lost server's clients must be back. Default 60."`

	Cores       float64 `placeholder:"N" help:"Cores of a server. Default 2."`
	Memory      float64 `placeholder:"GIB" help:"Memory of a server. Default 4."`
	Network     float64 `placeholder:"GBIT" help:"What a server can send in a second. Default 1."`
	Utilisation float64 `placeholder:"SHARE" help:"Share of all that which may be used. Default 0.6."`
	Downtime    float64 `placeholder:"HOURS" help:"How long one server is away in the working hours. Default 1."`
	Working     float64 `placeholder:"HOURS" help:"Working hours in a month. Default 720."`

	CostMemory   float64 `placeholder:"KIB" help:"Memory of a connection, as peal bench idle reports it."`
	CostIdle     float64 `placeholder:"US" help:"CPU µs/s of an idle connection, as peal bench idle reports it."`
	CostDelivery float64 `placeholder:"US" help:"CPU µs of a delivery, as peal bench fanout reports it."`
	CostEvent    float64 `placeholder:"US" help:"CPU µs of an event and its acknowledgement."`

	JSON bool `name:"json" help:"Print JSON."`
}

// Execute works out the plan and writes it to stdout.
func (c *Plan) Execute(stdout io.Writer) error {
	costs := plan.Measured
	for from, to := range map[*float64]*float64{
		&c.CostMemory: &costs.MemoryPerConnection, &c.CostIdle: &costs.IdleCPU,
		&c.CostDelivery: &costs.DeliveryCPU, &c.CostEvent: &costs.EventCPU,
	} {
		if *from != 0 {
			*to = *from
		}
	}
	p, err := plan.New(
		plan.Load{Connections: c.Connections, BytesPerSecond: c.BytesPerSecond, MessageSize: c.MessageSize,
			Audience: c.Audience, Events: c.Events, Reconnect: c.Reconnect},
		plan.Machine{Cores: c.Cores, MemoryGiB: c.Memory, NetworkGbit: c.Network,
			Utilisation: c.Utilisation, DowntimeHours: c.Downtime, WorkingHours: c.Working},
		costs)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(stdout, p)
	}
	return p.WriteText(stdout)
}
