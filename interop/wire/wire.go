// Package wire lists the ways in which nodes of Go and of Node.js are one cluster, for the tests of package interop and the
// Go node that they start. Each has a module of the same name in node/wires, with the official adapter.
package wire

import (
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/internal/testredis"
)

// Wire is one way for nodes to reach each other.
type Wire struct {
	Name string
	// Start starts what the nodes meet at, which ends with the test.
	Start func(testing.TB) Broker
	// Driver makes the driver of a Go node from a Broker's URL.
	Driver func(url string) (adapter.Driver, error)
	// Rooms says that the official adapter can be asked for the rooms of all nodes.
	Rooms bool
	// TextEvents says that the official adapter sends server-side events as JSON, in which bytes are lost.
	TextEvents bool
}

// Broker is what the nodes of a cluster meet at.
type Broker interface {
	URL() string
}

// All are the wires that there are.
var All = []Wire{
	{
		Name: "redispubsub", Rooms: true, TextEvents: true,
		Start: func(t testing.TB) Broker { return testredis.Start(t) },
		Driver: func(url string) (adapter.Driver, error) {
			return redispubsub.New(redispubsub.Options{URL: url})
		},
	},
}

// ByName returns the wire with that name, or nil.
func ByName(name string) *Wire {
	for i := range All {
		if All[i].Name == name {
			return &All[i]
		}
	}
	return nil
}
