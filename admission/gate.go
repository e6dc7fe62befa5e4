package admission

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
)

// DefaultConnections is the bound of a Gate of which nothing else was said.
const DefaultConnections = 100_000

// pendingShare is which part of all connections may be pending unless that was said.
const pendingShare = 4

// The reasons for which a client is not let in.
var (
	ErrFull    = errors.New("admission: as many clients are connected as the server lets in")
	ErrAddress = errors.New("admission: as many clients of this address are connected as the server lets in")
	ErrPending = errors.New("admission: too many clients have connected and have yet to say what for")
)

// Reason returns the word for a reason for which a client is not let in, by which all doors count it: "too_many_clients",
// "too_many_from_address" or "too_many_pending".
func Reason(err error) string {
	switch {
	case errors.Is(err, ErrAddress):
		return "too_many_from_address"
	case errors.Is(err, ErrPending):
		return "too_many_pending"
	}
	return "too_many_clients"
}

// Limits of a [Gate]. The zero value means the defaults.
type Limits struct {
	// Connections is how many clients may be connected. Zero means DefaultConnections, a negative value no bound.
	Connections int
	// PerAddress is how many of them may come from one address; IPv6 addresses count as one if they agree in their first 64
	// bits, for that is what one client has. Behind a proxy all clients have the proxy's address, unless a middleware sets
	// http.Request.RemoteAddr to what a trusted header says. Zero means no bound.
	PerAddress int
	// Pending is how many may have connected without having said what for: Socket.IO clients that have joined no namespace.
	// Zero means a quarter of Connections, a negative value no bound.
	Pending int
}

// Gate counts clients in and out. It is safe for concurrent use, and is made by [New]. Letting a client in or out is two
// additions, and a look-up under a lock if addresses are counted; nothing else touches a Gate.
type Gate struct {
	limits        Limits
	open, pending atomic.Int64

	mu        sync.Mutex // protects the following
	addresses map[netip.Addr]int
}

// New makes a Gate.
func New(limits Limits) *Gate {
	if limits.Connections == 0 {
		limits.Connections = DefaultConnections
	}
	switch {
	case limits.Pending != 0:
	case limits.Connections < 0:
		limits.Pending = -1
	default:
		limits.Pending = max(limits.Connections/pendingShare, 1)
	}
	g := &Gate{limits: limits}
	if limits.PerAddress > 0 {
		g.addresses = make(map[netip.Addr]int)
	}
	return g
}

// Limits returns the limits, with the defaults filled in.
func (g *Gate) Limits() Limits { return g.limits }

// Stats are the clients that are in now.
type Stats struct {
	Connections int
	Pending     int // of these, those that have yet to say what they came for
}

// Stats returns how many clients are in.
func (g *Gate) Stats() Stats {
	return Stats{Connections: int(g.open.Load()), Pending: int(g.pending.Load())}
}

// Enter lets a client in, whose address is as in http.Request.RemoteAddr, or returns ErrFull, ErrAddress or ErrPending.
// A client that is in must Leave.
func (g *Gate) Enter(remoteAddr string, pending bool) error {
	if !enter(&g.open, g.limits.Connections) {
		return ErrFull
	}
	if pending && !enter(&g.pending, g.limits.Pending) {
		g.open.Add(-1)
		return ErrPending
	}
	if !g.enterFrom(remoteAddr) {
		g.leave(pending)
		return ErrAddress
	}
	return nil
}

// Settle notes that a client that entered as pending is so no more.
func (g *Gate) Settle() { g.pending.Add(-1) }

// Leave lets a client out that was let in from that address; pending says whether it is so still.
func (g *Gate) Leave(remoteAddr string, pending bool) {
	g.leave(pending)
	if g.addresses == nil {
		return
	}
	addr := Address(remoteAddr)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.addresses[addr]--; g.addresses[addr] <= 0 {
		delete(g.addresses, addr)
	}
}

func (g *Gate) leave(pending bool) {
	g.open.Add(-1)
	if pending {
		g.pending.Add(-1)
	}
}

// enter adds one to n unless that would be more than limit.
func enter(n *atomic.Int64, limit int) bool {
	if n.Add(1) > int64(limit) && limit >= 0 {
		n.Add(-1)
		return false
	}
	return true
}

func (g *Gate) enterFrom(remoteAddr string) bool {
	if g.addresses == nil {
		return true
	}
	addr := Address(remoteAddr)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.addresses[addr] >= g.limits.PerAddress {
		return false
	}
	g.addresses[addr]++
	return true
}

// prefix is how much of an IPv6 address belongs to a network rather than to a host in it.
const prefix = 64

// Address returns what counts as the address of one client of that http.Request.RemoteAddr: see [Limits].PerAddress. What
// is no address, as on a Unix socket, is all one.
func Address(remoteAddr string) netip.Addr {
	var addr netip.Addr
	if ap, err := netip.ParseAddrPort(remoteAddr); err == nil {
		addr = ap.Addr()
	} else if addr, err = netip.ParseAddr(remoteAddr); err != nil { // as middlewares set it
		return netip.Addr{}
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(prefix); err == nil {
			return p.Addr()
		}
	}
	return addr
}
