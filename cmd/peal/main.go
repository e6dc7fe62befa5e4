// Command peal is a node of the real-time push server, and a client to try it with. Run peal --help.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/peal-dev/peal/gateway/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// Once the first signal has asked for a clean end, a second one ends at once.
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Main(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
