package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

func init() {
	// The kernel ends a child when the thread that started it ends (PDEATHSIG). The main thread ends with the process.
	runtime.LockOSThread()
}

func main() {
	if os.Getenv(role) != "" {
		os.Exit(report(generate(os.Stdin, os.Stdout)))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := parse(os.Args[1:])
	if err == nil {
		err = run(ctx, s)
	}
	os.Exit(report(err))
}

// report prints an error and returns the exit code.
func report(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		return 2
	}
	fmt.Fprintln(os.Stderr, "million:", err)
	return 1
}
