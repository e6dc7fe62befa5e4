package gateway

import (
	"context"
	"errors"
	"net"
	"net/http"
)

// internal is the address for operators. A nil one does nothing.
type internal struct {
	listener net.Listener
	http     *http.Server
}

// listenInternally listens for operators, or returns nil if they have no address of their own.
func listenInternally(ctx context.Context, address string) (*internal, error) {
	if address == "" {
		return nil, nil
	}
	listener, err := listening.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, listenError("internal-listen", address, err)
	}
	return &internal{listener: listener}, nil
}

// close gives the address up before it was served.
func (i *internal) close() {
	if i != nil {
		_ = i.listener.Close()
	}
}

// shutdown ends the server; when ctx ends before its requests, they are cut.
func (i *internal) shutdown(ctx context.Context) error {
	if i == nil {
		return nil
	}
	err := i.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, i.http.Close())
	}
	return err
}
