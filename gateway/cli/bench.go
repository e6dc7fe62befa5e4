package cli

import (
	"context"

	"github.com/peal-dev/peal/bench/command"
)

// benchCommand is `peal bench`.
type benchCommand struct {
	command.Bench `embed:""`
}

// Run loads a server and prints what it cost.
func (c *benchCommand) Run(ctx context.Context, streams streams) error {
	return c.Execute(ctx, streams.out, streams.err)
}

// planCommand is `peal plan`.
type planCommand struct {
	command.Plan `embed:""`
}

// Run prints how many servers a load needs.
func (c *planCommand) Run(streams streams) error { return c.Execute(streams.out) }
