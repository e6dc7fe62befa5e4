// Package faultproxy stands between a client and a server in tests and does to their connections what networks do: delay,
// silence, lose, cut, refuse.
package faultproxy

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy passes TCP connections on. Its methods are safe for concurrent use.
type Proxy struct {
	listener net.Listener
	targets  []string
	running  sync.WaitGroup

	mu       sync.Mutex
	changed  *sync.Cond // held or closed
	conns    map[*link]struct{}
	accepted int
	delay    time.Duration
	held     bool
	lossy    bool
	refused  bool
	closed   bool
	doomed   int // how many of the next connections are cut
}

// link is one connection that is passed on.
type link struct {
	client, server net.Conn // server is nil if there was none to be reached
	dead           bool     // nothing arrives any more, and neither side is told
	doomed         bool     // it is cut when the server has answered for the first time
}

// chunk is something read from one side, and when the other gets it.
type chunk struct {
	data []byte
	due  time.Time
}

// Start starts a proxy that ends with t. It leads its first connection to the first target, the second to the second,
// and so on in turn.
func Start(t testing.TB, targets ...string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("faultproxy: %v", err)
	}
	p := &Proxy{listener: l, targets: targets, conns: make(map[*link]struct{})}
	p.changed = sync.NewCond(&p.mu)
	p.running.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Addr returns the host and port that the proxy listens on.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Delay makes everything that is read from now on reach the other side so much later.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Hold lets nothing through until Release. The connections stay; after some buffers are full, nothing is read either.
func (p *Proxy) Hold() { p.set(&p.held, true) }

// Release ends a Hold: what was held goes on its way.
func (p *Proxy) Release() { p.set(&p.held, false) }

// Lose has all that is sent from now on get lost, until Find, and nobody told: of the ends of connections neither. Those that
// are there, or are made meanwhile, stay dead for good: what is missing of them cannot come any more.
func (p *Proxy) Lose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lossy = true
	for l := range p.conns {
		l.dead = true
	}
	p.changed.Broadcast()
}

// Find ends a Lose: connections that are made from now on are passed on.
func (p *Proxy) Find() { p.set(&p.lossy, false) }

// HalfOpen closes the connections that are there on the side of the server, and does not tell the client: for it they stand,
// and nothing comes.
func (p *Proxy) HalfOpen() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.conns {
		l.dead = true
		if l.server != nil {
			_ = l.server.Close()
		}
	}
	p.changed.Broadcast()
}

// Refuse closes new connections at once, until Admit. Those that are there stay.
func (p *Proxy) Refuse() { p.set(&p.refused, true) }

// Admit ends a Refuse.
func (p *Proxy) Admit() { p.set(&p.refused, false) }

func (p *Proxy) set(what *bool, to bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*what = to
	p.changed.Broadcast()
}

// Cut closes all connections that are there.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut()
}

// CutAgain closes all connections that are there, and the next n when their server has answered for the first time.
func (p *Proxy) CutAgain(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doomed = n
	p.cut()
}

func (p *Proxy) cut() {
	for l := range p.conns {
		_ = l.client.Close()
		if l.server != nil {
			_ = l.server.Close()
		}
	}
}

func (p *Proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.cut()
	p.changed.Broadcast()
	p.mu.Unlock()
	_ = p.listener.Close()
	p.running.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.serve(client) })
	}
}

// serve leads client to a target until one of them ends the connection.
func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	l := &link{client: client}
	target, ok := p.register(l)
	if !ok {
		return
	}
	defer p.unregister(l)
	if p.isDead(l) {
		_, _ = io.Copy(io.Discard, client) // until the client gives up
		return
	}
	server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", target)
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	l.server = server
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() {
		p.pass(l, client, server)
		_ = server.Close() // the client is gone, whatever it knew
	})
	both.Go(func() {
		p.pass(l, server, client)
		if !p.isDead(l) {
			_ = client.Close()
		}
	})
	both.Wait()
}

func (p *Proxy) register(l *link) (target string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refused || p.closed {
		return "", false
	}
	target = p.targets[p.accepted%len(p.targets)]
	p.accepted++
	l.dead = p.lossy
	if p.doomed > 0 {
		p.doomed--
		l.doomed = true
	}
	p.conns[l] = struct{}{}
	return target, true
}

func (p *Proxy) unregister(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, l)
}

func (p *Proxy) isDead(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return l.dead
}

// maxChunks is how much waits in one direction at most.
const maxChunks = 256

// pass carries what is read from one side to the other, until there is nothing more. What is sent on a dead connection is
// read, and lost.
func (p *Proxy) pass(l *link, from, to net.Conn) {
	chunks := make(chan chunk, maxChunks)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(chunks)
		for {
			data := make([]byte, 16<<10)
			n, err := from.Read(data)
			if n > 0 {
				chunks <- chunk{data[:n], time.Now().Add(p.delayed())}
			}
			if err != nil {
				return
			}
		}
	})
	for c := range chunks {
		time.Sleep(time.Until(c.due))
		p.whileHeld(l)
		if p.isDead(l) {
			continue
		}
		if _, err := to.Write(c.data); err != nil && !p.isDead(l) || l.doomed && to == l.client {
			break
		}
	}
	if !p.isDead(l) {
		_ = from.Close()
	}
	for range chunks { // so that the reader ends
	}
	reader.Wait()
}

func (p *Proxy) delayed() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.delay
}

func (p *Proxy) whileHeld(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.held && !p.closed && !l.dead {
		p.changed.Wait()
	}
}
