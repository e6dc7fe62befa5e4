//go:build unix

package interop_test

import (
	"slices"
	"testing"

	"github.com/peal-dev/peal/interop/wire"
)

// TestMixedCluster holds nodes of both kinds to one behaviour, on every wire: each scenario is played by two Go nodes, by a
// Go and a Node.js node, and by these two in each other's part. A scenario has a namespace and clients of its own, so that
// all of them share a few processes; those in which a node is lost come last.
func TestMixedCluster(t *testing.T) {
	for _, each := range slices.Concat(wire.All, wire.Variants()) {
		w := &each
		t.Run(w.Name+w.Variant, func(t *testing.T) {
			t.Parallel()
			clients := startPeer(t, "client.mjs")
			alike := startPair(t, w, clients, goKind, goKind)
			casts := []*cast{{"Go+Go", alike, &alike.nodes[0], &alike.nodes[1]}}
			if !w.Alone {
				unlike := startPair(t, w, clients, goKind, nodeKind)
				casts = append(casts,
					&cast{"Go+Node", unlike, &unlike.nodes[0], &unlike.nodes[1]},
					&cast{"Node+Go", unlike, &unlike.nodes[1], &unlike.nodes[0]})
			}
			play := func(t *testing.T, scenarios []scenario) {
				for _, scene := range scenarios {
					if scene.official && w.Alone {
						continue
					}
					t.Run(scene.name, func(t *testing.T) {
						for _, cast := range casts {
							if scene.emits && !(*cast.a).emits {
								continue
							}
							t.Run(cast.name, func(t *testing.T) { scene.play(cast.stage(t, scene)) })
						}
					})
				}
			}
			play(t, scenarios)
			play(t, losses)
		})
	}
}

// scenario is what happens between node a and node b.
type scenario struct {
	name      string
	play      func(s *stage)
	namespace string // "" is one of its own
	emits     bool   // whether it is for nodes that have an emitter
	official  bool   // whether it is for wires that official nodes speak
}

// scenarios leave the nodes as they are.
var scenarios = []scenario{
	{name: "payloads", play: payloads},
	{name: "names", play: names},
	{name: "aims", play: aims, namespace: "/"},
	{name: "said by clients", play: saidByClients},
	{name: "order", play: order},
	{name: "namespaces", play: namespaces},
	{name: "dynamic namespaces", play: dynamicNamespaces},
	{name: "orders", play: orders},
	{name: "disconnects", play: disconnects},
	{name: "queries", play: queries},
	{name: "remote sockets", play: remoteSockets},
	{name: "acks", play: acks},
	{name: "questions of clients", play: questionsOfClients},
	{name: "server-side events", play: serverSideEvents},
	{name: "event streams", play: eventStreams},
	{name: "emitters", play: emitters, emits: true},
	{name: "came later", play: cameLater, official: true},
}

// losses take node b away.
var losses = []scenario{
	{name: "stopped", play: stopped},
	{name: "frozen", play: frozen},
	{name: "gone", play: gone},
	{name: "killed", play: killed},
}

// pair is a cluster of two nodes.
type pair struct {
	t       *testing.T // of the wire, with which the nodes end
	wire    *wire.Wire
	broker  wire.Broker
	nodes   [2]*peer
	clients *peer
}

func startPair(t *testing.T, w *wire.Wire, clients *peer, kinds ...string) *pair {
	t.Helper()
	p := &pair{t: t, wire: w, broker: w.Start(t), clients: clients}
	for i, kind := range kinds {
		p.nodes[i] = p.start(kind)
	}
	return p
}

// start starts a node.
func (p *pair) start(kind string) *peer {
	p.t.Helper()
	if kind == goKind {
		return startGoPeer(p.t, p.wire.Name, p.broker.URL())
	}
	return startPeer(p.t, "node-server.mjs", p.wire.Name, p.broker.URL())
}

// cast says which node plays which part.
type cast struct {
	name string
	pair *pair
	a, b **peer
}

// replaceB has a new node play the part of b.
func (c *cast) replaceB() { *c.b = c.pair.start((*c.b).kind) }
