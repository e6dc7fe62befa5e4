package cluster

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Info is what a node tells of itself.
type Info struct {
	// ID is the node's id, with which those of its sessions begin: five characters of [A-Za-z0-9_-].
	ID string `json:"id"`
	// Address is where the other nodes reach it, HOST:PORT; "" if they cannot.
	Address string `json:"address,omitempty"`
	// Name and Version are for people.
	Name    string `json:"name,omitempty"`
	Version string `json:"version,omitempty"`
	// Started is when it was made, by its own clock.
	Started time.Time `json:"started"`
	// Draining says that it is about to leave and takes no new clients.
	Draining bool `json:"draining,omitempty"`
	// Load is how much it had to do at its last heartbeat.
	Load Load `json:"load"`
}

// Load is how much a node has to do.
type Load struct {
	Clients int `json:"clients"` // connections of clients, by all doors
}

// Self returns what this node tells of itself.
func (n *Node) Self() Info {
	return Info{ID: n.id, Address: n.opts.Advertise, Name: n.opts.Name, Version: n.opts.Version, Started: n.started,
		Draining: n.leaving.Load(), Load: n.opts.Load()}
}

// Nodes returns the nodes of the cluster that are known to be there, with this one, those that started first before the
// others. A node that has died is in it for at most three heartbeats.
func (n *Node) Nodes() []Info {
	nodes := append(n.peers.infos(), n.Self())
	slices.SortFunc(nodes, func(a, b Info) int { return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.ID, b.ID)) })
	return nodes
}

// Drain tells the others that this node takes no new clients any more. It does not leave before [Node.Close].
func (n *Node) Drain() {
	if !n.leaving.Swap(true) {
		n.say(here)
	}
}

// namespace is where nodes tell each other of themselves. Namespaces of clients begin with a slash.
const namespace = "peal-nodes"

// announced is the name of the event in which they do.
const announced = "node"

// announcement is what nodes tell each other.
type announcement struct {
	Info
	Key  []byte `json:"key,omitempty"` // what requests to it are signed with
	Kind kind   `json:"kind"`
}

type kind string

const (
	beat  kind = "beat"  // one of those that come all the time
	hello kind = "hello" // asks the others to say who they are
	here  kind = "here"  // answers that, or tells what has changed
	bye   kind = "bye"
)

// parseAnnouncement reads what a node told: the array of the event.
func parseAnnouncement(data []byte) (a announcement, err error) {
	var event []json.RawMessage
	var name string
	if err := json.Unmarshal(data, &event); err != nil {
		return a, fmt.Errorf("cluster: announcement: %w", err)
	}
	if len(event) != 2 || json.Unmarshal(event[0], &name) != nil || name != announced {
		return a, fmt.Errorf("cluster: an event that is no announcement: %.40q", data)
	}
	if err := json.Unmarshal(event[1], &a); err != nil {
		return a, fmt.Errorf("cluster: announcement: %w", err)
	}
	if len(a.ID) != nodeSize || !plain(a.ID) {
		return a, fmt.Errorf("cluster: announcement of a node %.20q", a.ID)
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
	a.Name, a.Version, a.Load.Clients = cut(a.Name), cut(a.Version), max(a.Load.Clients, 0)
	return a, nil
}

// cut bounds a text for people.
func cut(s string) string { return strings.ToValidUTF8(s[:min(len(s), 100)], "") }
