//go:build !linux

package netconn

import (
	"context"
	"errors"
	"net"
	"net/http"
)

// front is what the answers of another system have none of.
type front struct {
	handler http.Handler
	base    context.Context //nolint:containedctx // as on Linux
}

func newFront(l net.Listener, _ http.Handler) net.Listener { return l }

func fileConn(int) (net.Conn, error) { return nil, errors.ErrUnsupported }
