package redispubsub_test

import (
	"strings"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/internal/faultproxy"
	"github.com/peal-dev/peal/internal/testredis"
	"github.com/peal-dev/peal/message"
)

// replicaOf makes a server a replica of whoever listens there.
func replicaOf(master, replica *testredis.Server, addr string) {
	host, port, _ := strings.Cut(addr, ":")
	master.Do("CONFIG", "SET", "repl-diskless-sync-delay", "0")
	replica.Do("REPLICAOF", host, port)
	for master.Do("WAIT", "1", "20000") != "1" {
	}
}

// words returns the next message that is no frame: those a node of another make does not hear.
func (p *peer) words() published {
	p.t.Helper()
	for {
		if m := p.next(); !strings.HasPrefix(m.channel, "socket.io-peal1#") {
			return m
		}
	}
}

// hears requires p, a node of another make, to hear what a publishes, in its words.
func hears(t *testing.T, a *adapter.Adapter, p *peer, event string) {
	t.Helper()
	if err := a.Broadcast(t.Context(), newMessage(event), message.Target{}); err != nil {
		t.Fatal(err)
	}
	if m := p.words(); m.channel != "socket.io#/#" || !strings.Contains(m.payload, event) {
		t.Errorf("%q on %s, want %s in words", m.payload, m.channel, event)
	}
}

// TestReplicaComes attaches a replica, on which there is a node of another make: from then on that hears everything, though nobody
// had looked whether there is a replica.
func TestReplicaComes(t *testing.T) {
	t.Parallel()
	server, replica := testredis.Start(t), testredis.Start(t)
	p := newPeer(t, replica)
	p.counted()
	a, _ := newAdapter(t, newDriver(t, redispubsub.Options{URL: server.URL()}))
	if err := a.Broadcast(t.Context(), newMessage("before"), message.Target{}); err != nil {
		t.Fatal(err)
	}
	replicaOf(server, replica, server.Addr())
	hears(t, a, p, "after")
	hears(t, a, p, "later")
}

// TestReplicaComesBack cuts off a replica, so that its server says that there is none, and a node starts. What that publishes is
// heard on the replica when it is back, for it is sent what it has missed.
func TestReplicaComesBack(t *testing.T) {
	t.Parallel()
	server, replica := testredis.Start(t), testredis.Start(t)
	proxy := faultproxy.Start(t, server.Addr())
	p := newPeer(t, replica)
	p.counted()
	replicaOf(server, replica, proxy.Addr())
	proxy.Refuse()
	proxy.Cut()
	for !strings.Contains(server.Do("INFO", "replication"), "connected_slaves:0") {
	}
	a, _ := newAdapter(t, newDriver(t, redispubsub.Options{URL: server.URL()}))
	if err := a.Broadcast(t.Context(), newMessage("meanwhile"), message.Target{}); err != nil {
		t.Fatal(err)
	}
	proxy.Admit()
	if m := p.words(); m.channel != "socket.io#/#" || !strings.Contains(m.payload, "meanwhile") {
		t.Errorf("%q on %s, want what was published meanwhile in words", m.payload, m.channel)
	}
	hears(t, a, p, "after")
}
