package evloop

import (
	"errors"
	"net/netip"
)

// Handler is what a connection's bytes are for. Its methods are called from Loop.Poll unless they say otherwise.
type Handler interface {
	// Connected is called once the connection stands, perhaps from Loop.Dial.
	Connected(c *Conn)
	// Data is given all bytes that have arrived and were not consumed yet, and returns how many it consumed. They are
	// valid only during the call. An error closes the connection.
	Data(c *Conn, p []byte) (consumed int, err error)
	// Closed is called once, unless the owner closed the connection. The cause is io.EOF if the peer did.
	Closed(c *Conn, cause error)
}

// Conn is one connection of a Loop. Like the Loop it belongs to one goroutine.
type Conn struct {
	loop    *Loop
	handler Handler
	rest    []byte // received, not consumed
	out     []byte // not taken by the kernel yet
	fd      int
	slot    uint32
	gen     uint32
	wants   uint32 // events asked for
	up      bool
	watched bool // by epoll
	closed  bool
}

// Loop waits for the events of its connections. It is not safe for concurrent use.
type Loop struct {
	epoll int
	conns []*Conn
	free  []uint32
	gen   uint32
	open  int
	buf   []byte
	poll  poll
}

// Len returns how many connections are open or being opened.
func (l *Loop) Len() int { return l.open }

// ErrPlatform is returned where there is no epoll.
var ErrPlatform = errors.New("the load generator needs Linux (epoll)")

// readBuffer is what all connections of a loop read into.
const readBuffer = 128 << 10

// Source returns a local address for the connection with number i to target. A pair of addresses has some 28,000 free
// ports, so connections to a loopback target are spread over 127.64.0.0/10; others get no address of their own.
func Source(i int, target netip.AddrPort) netip.Addr {
	const perAddress = 10_000
	if !target.Addr().Is4() || !target.Addr().IsLoopback() {
		return netip.Addr{}
	}
	n := i/perAddress + 1
	return netip.AddrFrom4([4]byte{127, byte(64 + n>>14&0x3f), byte(n >> 7 & 0x7f), byte(n&0x7f + 1)})
}

// deliver gives the handler what has arrived and keeps what it did not consume.
func (c *Conn) deliver(p []byte) error {
	if len(c.rest) > 0 {
		c.rest = append(c.rest, p...)
		p = c.rest
	}
	n, err := c.handler.Data(c, p)
	if err != nil {
		return err
	}
	switch {
	case n == len(p):
		c.rest = nil
	case len(c.rest) > 0:
		c.rest = c.rest[:copy(c.rest, c.rest[n:])]
	default:
		c.rest = append([]byte(nil), p[n:]...)
	}
	return nil
}
