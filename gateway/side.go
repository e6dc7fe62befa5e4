package gateway

import (
	"context"
	"errors"
	"net"
	"net/http"
)

// side is an address beside that for clients: for operators, or for other nodes. A nil one does nothing.
type side struct {
	listener net.Listener
	http     *http.Server
}

// listenAside listens at the address that a setting names, or returns nil if that is empty.
func listenAside(ctx context.Context, setting, address string) (*side, error) {
	if address == "" {
		return nil, nil
	}
	listener, err := listening.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, listenError(setting, address, err)
	}
	return &side{listener: listener}, nil
}

// close gives the address up before it was served.
func (d *side) close() {
	if d != nil {
		_ = d.listener.Close()
	}
}

// shutdown ends the server; when ctx ends before its requests, they are cut.
func (d *side) shutdown(ctx context.Context) error {
	if d == nil {
		return nil
	}
	err := d.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, d.http.Close())
	}
	return err
}
