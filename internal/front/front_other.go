//go:build !linux

package front

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// front is what the answers of another system have none of.
type front struct {
	net.Listener
	handler http.Handler
}

func newFront(l net.Listener, _ http.Handler, _ time.Duration) net.Listener { return l }

func newAccepted(int, netip.AddrPort, netip.AddrPort, []byte) (net.Conn, error) {
	return nil, errors.ErrUnsupported
}

func localOf(int) netip.AddrPort { return netip.AddrPort{} }

func closeFD(int) {}
