package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
)

const (
	// lostBeats is after how many heartbeats of this node that came back, without one of a peer between, that is lost.
	lostBeats = 5
	// maxPeers bounds what is remembered of others: whoever may publish could name any number.
	maxPeers = 4096
)

// announcement is what nodes tell each other.
type announcement struct {
	Node    string `json:"node"`
	Address string `json:"address,omitempty"` // HOST:PORT; none if others cannot reach it
	Key     []byte `json:"key,omitempty"`     // what requests to it are signed with
	Kind    kind   `json:"kind"`
}

type kind string

const (
	beat  kind = "beat"  // one of those that come all the time
	hello kind = "hello" // asks the others to say who they are
	here  kind = "here"  // answers that
	bye   kind = "bye"
)

// parseAnnouncement reads what a node told.
func parseAnnouncement(payload []byte) (a announcement, err error) {
	if err := json.Unmarshal(payload, &a); err != nil {
		return a, fmt.Errorf("cluster: announcement: %w", err)
	}
	if len(a.Node) != nodeSize || !plain(a.Node) {
		return a, fmt.Errorf("cluster: announcement of a node %.20q", a.Node)
	}
	switch a.Kind {
	case beat, hello, here:
		if len(a.Key) != keySize {
			return a, fmt.Errorf("cluster: announcement with a key of %d bytes", len(a.Key))
		}
		if a.Address == "" {
			break
		}
		if err := CheckAddress(a.Address); err != nil {
			return a, fmt.Errorf("cluster: announcement: %w", err)
		}
	case bye:
	default:
		return a, fmt.Errorf("cluster: announcement of a kind %.20q", a.Kind)
	}
	return a, nil
}

// CheckAddress returns what is wrong with an address that a node is to be reached by: a host, which may be a name, and the
// port of its HTTP server.
func CheckAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	n, perr := strconv.ParseUint(port, 10, 16)
	if err != nil || perr != nil || n == 0 || host == "" || strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r > '~' || r == '/' }) {
		return fmt.Errorf("%.100q is no address that other nodes can reach; want HOST:PORT, such as 10.0.0.7:8080", address)
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		return fmt.Errorf("%q stands for all addresses of a machine; name the one by which other nodes reach it, such as 10.0.0.7:%s", address, port)
	}
	return nil
}

// peer is another node, as it last told of itself.
type peer struct {
	id, address string
	key         []byte

	// Guarded by peers.mu.
	missed  int
	flights map[*flight]struct{}
	lost    bool
}

// flight is a request that a peer is to answer.
type flight struct{ cut context.CancelFunc }

// peers are the other nodes. Its zero value is ready to use.
type peers struct {
	mu      sync.Mutex
	byID    map[string]*peer
	changed chan struct{} // closed when there is another; nil if nobody waits
}

// heard takes an announcement of another node.
func (ps *peers) heard(a announcement) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if a.Kind == bye {
		delete(ps.byID, a.Node) // what it has answered may still be on its way, and it ends the rest itself
		return
	}
	p := ps.byID[a.Node]
	if p != nil && p.address == a.Address && string(p.key) == string(a.Key) {
		p.missed = 0
		return
	}
	ps.drop(p) // it is not the same any more
	if len(ps.byID) >= maxPeers {
		return
	}
	if ps.byID == nil {
		ps.byID = make(map[string]*peer)
	}
	ps.byID[a.Node] = &peer{id: a.Node, address: a.Address, key: a.Key, flights: make(map[*flight]struct{})}
	if ps.changed != nil {
		close(ps.changed)
		ps.changed = nil
	}
}

// beat takes a heartbeat of this node that came back. Those of others come the same way, so that none is lost because
// Redis is away.
func (ps *peers) beat() (lost []string) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for id, p := range ps.byID {
		if p.missed++; p.missed > lostBeats {
			ps.drop(p)
			lost = append(lost, id)
		}
	}
	return lost
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

func (ps *peers) len() int {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return len(ps.byID)
}
