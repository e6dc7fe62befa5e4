//go:build !linux

package netconn

import (
	"errors"
	"net"
)

// poller does not exist on this system: every connection is goroutine-driven.
type poller struct{}

func newPoller(*Loop) (*poller, error)         { return nil, errors.ErrUnsupported }
func pollable(net.Conn) bool                   { return false }
func detach(net.Conn) (int, error)             { return -1, errors.ErrUnsupported }
func closeFD(int)                              {}
func writeBatch(int, batch) (int, bool, error) { return 0, false, errors.ErrUnsupported }
func (*poller) run()                           {}
func (*poller) stop()                          {}
func (*poller) watch(*Conn)                    {}
func (*poller) rearm(*Conn)                    {}
func (*poller) hangup(*Conn)                   {}
func (*poller) shutdownWrite(*Conn)            {}
