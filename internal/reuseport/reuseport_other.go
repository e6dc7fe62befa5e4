//go:build !linux

package reuseport

import (
	"context"
	"syscall"
)

// Control fails.
func Control(_, _ string, _ syscall.RawConn) error { return ErrUnsupported }

// Reserve fails.
func Reserve(context.Context, string) (bound string, release func(), err error) {
	return "", nil, ErrUnsupported
}
