package cluster

import (
	"context"
	"log/slog"
	"slices"
	"time"
)

// ChangeKind says what became of a node.
type ChangeKind string

// The kinds of [Change].
const (
	Joined ChangeKind = "joined" // it has told of itself for the first time
	Left   ChangeKind = "left"   // it has said goodbye, and its clients before
	Died   ChangeKind = "died"   // it is not heard of any more: it crashed, hangs, or is cut off
)

// Change is that a node has come, left or died.
type Change struct {
	Kind ChangeKind `json:"kind"`
	// Node is what it last told of itself: its name, and how many clients it had. The ids of its clients' sessions begin with
	// its ID. Of a node that has died they are gone for everybody else, until they open sessions on other nodes; one that was
	// cut off has its clients still, and joins again when it is back.
	Node Info `json:"node"`
	// At is when this node learned of it. A death is known three heartbeats after the last that came.
	At time.Time `json:"at"`
}

const (
	// maxChanges is how many changes wait for a handler that does not come to an end; then the oldest are not told.
	maxChanges = 2 * maxPeers
	// maxDeparted and keepDeparted are how many nodes that are gone are remembered, and for how long.
	maxDeparted  = 16
	keepDeparted = time.Hour
)

// change notes that something has become of a peer. The caller holds mu.
func (ps *peers) change(k ChangeKind, of Info) {
	if len(ps.changes) >= maxChanges {
		ps.changes = ps.changes[1:]
	}
	c := Change{k, of, time.Now()}
	ps.changes = append(ps.changes, c)
	if k != Joined {
		ps.departed = append(ps.departed, c)
		if len(ps.departed) > maxDeparted {
			ps.departed = slices.Delete(ps.departed, 0, 1)
		}
	}
	select {
	case ps.noted <- struct{}{}:
	default:
	}
}

// take returns the changes since the last time.
func (ps *peers) take() []Change {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	changes := ps.changes
	ps.changes = nil
	return changes
}

// Departed returns the nodes that have left or died of late and have not come again, the last of them first: in the last
// hour, and sixteen at most.
func (n *Node) Departed() []Change {
	n.peers.mu.Lock()
	defer n.peers.mu.Unlock()
	var list []Change
	for _, c := range slices.Backward(n.peers.departed) {
		if n.peers.byID[c.Node.ID] == nil && time.Since(c.At) < keepDeparted {
			list = append(list, c)
		}
	}
	return list
}

// watch tells of changes until ctx ends.
func (n *Node) watch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.peers.noted:
		}
		for _, c := range n.peers.take() {
			n.tell(ctx, c)
		}
	}
}

func (n *Node) tell(ctx context.Context, c Change) {
	n.changes.Add(string(c.Kind))
	level, text := slog.LevelInfo, "cluster: a node has joined"
	switch c.Kind {
	case Left:
		text = "cluster: a node has left"
	case Died:
		level, text = slog.LevelWarn, "cluster: a node is not heard of any more; its clients are gone, and requests for its sessions are refused"
	}
	n.opts.Logger.LogAttrs(ctx, level, text, slog.String("node", c.Node.ID), slog.String("name", c.Node.Name),
		slog.String("address", c.Node.Address), slog.Int("clients", c.Node.Load.Clients))
	if n.opts.OnChange != nil {
		n.opts.OnChange(c)
	}
}
