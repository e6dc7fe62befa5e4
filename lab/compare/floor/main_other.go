//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "floor: needs Linux (epoll)")
	os.Exit(1)
}
