//go:build !linux

package evloop

import (
	"net/netip"
	"time"
)

type poll struct{}

// New fails with ErrPlatform.
func New() (*Loop, error) { return nil, ErrPlatform }

// Close does nothing.
func (l *Loop) Close() {}

// Dial fails with ErrPlatform.
func (l *Loop) Dial(netip.Addr, netip.AddrPort, Handler) (*Conn, error) { return nil, ErrPlatform }

// DialNarrow fails with ErrPlatform.
func (l *Loop) DialNarrow(netip.Addr, netip.AddrPort, Handler, int) (*Conn, error) {
	return nil, ErrPlatform
}

// Poll fails with ErrPlatform.
func (l *Loop) Poll(time.Duration) error { return ErrPlatform }

// Write does nothing.
func (c *Conn) Write([]byte) {}

// Pause does nothing.
func (c *Conn) Pause() {}

// Resume does nothing.
func (c *Conn) Resume() {}

// Close does nothing.
func (c *Conn) Close() {}

// MaxOpen returns 0.
func MaxOpen() int { return 0 }

// Pin does nothing on this system.
func Pin() (release func()) { return func() {} }
