//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "million: needs Linux (epoll, /proc)")
	os.Exit(1)
}
