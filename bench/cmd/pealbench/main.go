package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/peal-dev/peal/bench/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c command.Bench
	kong.Parse(&c, kong.Name("pealbench"), kong.Description("Load a push server and measure what it costs."))
	if err := c.Execute(ctx, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "pealbench:", err)
		os.Exit(1)
	}
}
