package cluster

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
)

const (
	// lostBeats is after how many heartbeats of this node that came back, without one of a peer between, that is lost.
	lostBeats = 2
	// graceBeats is how many more it is given after this node's own did not come back: it may need longer to be there again.
	graceBeats = 3
	// maxPeers bounds what is remembered of others: whoever may publish could name any number.
	maxPeers = 4096
)

// CheckAddress returns what is wrong with an address that a node is to be reached by: a host, which may be a name, and the
// port of its HTTP server, behind https:// if it speaks TLS.
func CheckAddress(address string) error {
	_, target := target(address)
	host, port, err := net.SplitHostPort(target)
	n, perr := strconv.ParseUint(port, 10, 16)
	if err != nil || perr != nil || n == 0 || host == "" || strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r > '~' || r == '/' }) {
		return fmt.Errorf("%.100q is no address that other nodes can reach; want HOST:PORT, such as 10.0.0.7:8080, or https://HOST:PORT", address)
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		return fmt.Errorf("%q stands for all addresses of a machine; name the one by which other nodes reach it, such as 10.0.0.7:%s", address, port)
	}
	return nil
}

// target returns what to connect to, and whether TLS is spoken there.
func target(address string) (secure bool, hostPort string) {
	hostPort, secure = strings.CutPrefix(address, "https://")
	return secure, hostPort
}

// peer is another node, as it last told of itself.
type peer struct {
	id, address string
	key         []byte

	// Guarded by peers.mu.
	info    Info
	missed  int
	flights map[*flight]struct{}
	lost    bool
}

func (p *peer) secure() bool {
	secure, _ := target(p.address)
	return secure
}

func (p *peer) hostPort() string {
	_, hostPort := target(p.address)
	return hostPort
}

// flight is a request that a peer is to answer.
type flight struct{ cut context.CancelFunc }

// peers are the other nodes. Its zero value is ready to use.
type peers struct {
	mu      sync.Mutex
	byID    map[string]*peer
	changed chan struct{} // closed when there is another; nil if nobody waits

	changes  []Change      // that were not told
	noted    chan struct{} // full: there are some; nil if nobody wants to know
	departed []Change
}

// heard takes an announcement of another node.
func (ps *peers) heard(a announcement) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if a.Kind == bye {
		if p := ps.byID[a.ID]; p != nil {
			ps.change(Left, p.info)
		}
		delete(ps.byID, a.ID) // what it has answered may still be on its way, and it ends the rest itself
		return
	}
	p := ps.byID[a.ID]
	if p != nil && p.address == a.Address && string(p.key) == string(a.Key) {
		p.missed, p.info = 0, a.Info
		return
	}
	if p != nil { // it is not the same any more
		ps.change(Died, p.info)
		ps.drop(p)
	}
	if len(ps.byID) >= maxPeers {
		return
	}
	if ps.byID == nil {
		ps.byID = make(map[string]*peer)
	}
	ps.change(Joined, a.Info)
	ps.byID[a.ID] = &peer{id: a.ID, address: a.Address, key: a.Key, info: a.Info, flights: make(map[*flight]struct{})}
	if ps.changed != nil {
		close(ps.changed)
		ps.changed = nil
	}
}

// beat counts a heartbeat of this node that came back, and returns the peers that are lost by it.
func (ps *peers) beat() (lost []string) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for id, p := range ps.byID {
		if p.missed++; p.missed > lostBeats {
			ps.change(Died, p.info)
			ps.drop(p)
			lost = append(lost, id)
		}
	}
	return lost
}

// away takes note of a heartbeat of this node that did not come back.
func (ps *peers) away() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range ps.byID {
		p.missed = -graceBeats
	}
}

// drop forgets a peer and cuts what it is to answer. The caller holds mu.
func (ps *peers) drop(p *peer) {
	if p == nil {
		return
	}
	p.lost = true
	delete(ps.byID, p.id)
	for f := range p.flights {
		f.cut()
	}
}

// find returns a peer, or what is closed when another one comes.
func (ps *peers) find(id string) (p *peer, changed <-chan struct{}) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p := ps.byID[id]; p != nil {
		return p, nil
	}
	if ps.changed == nil {
		ps.changed = make(chan struct{})
	}
	return nil, ps.changed
}

// begin has cut called if p is lost before land. False says that it is lost already.
func (ps *peers) begin(p *peer, cut context.CancelFunc) (f *flight, ok bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p.lost {
		return nil, false
	}
	f = &flight{cut}
	p.flights[f] = struct{}{}
	return f, true
}

func (ps *peers) land(p *peer, f *flight) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	delete(p.flights, f)
}

// clear forgets all.
func (ps *peers) clear() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range ps.byID {
		ps.drop(p)
	}
}

// infos returns what the peers last told of themselves, in no order.
func (ps *peers) infos() []Info {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	infos := make([]Info, 0, len(ps.byID))
	for _, p := range ps.byID {
		infos = append(infos, p.info)
	}
	return infos
}

func (ps *peers) len() int {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return len(ps.byID)
}
