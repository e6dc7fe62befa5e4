//go:build !linux

package netconn

import (
	"errors"
	"net"

	"github.com/peal-dev/peal/internal/service"
)

// poller does not exist on this system: every connection is goroutine-driven.
type poller struct {
	flusher           flusher
	reading, flushing *service.Service
}

func newPoller() (*poller, error)                 { return nil, errors.ErrUnsupported }
func pollable(net.Conn) bool                      { return false }
func detach(net.Conn) (int, error)                { return -1, errors.ErrUnsupported }
func closeFD(int)                                 {}
func writeBatch(int, batch) (int, bool, error)    { return 0, false, errors.ErrUnsupported }
func (*poller) run()                              {}
func (*poller) stop()                             {}
func (*poller) closeAll(func(*Conn) bool) []*Conn { return nil }
func (*poller) watch(*Conn)                       {}
func (*poller) rearm(*Conn)                       {}
func (*poller) hangup(*Conn)                      {}
func (*poller) shutdownWrite(*Conn)               {}
