// Package faultproxy stands between a client and a server in tests and does to their connections what networks do: delay,
// silence, cut, refuse.
package faultproxy

import (
	"context"
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
	conns    map[net.Conn]struct{}
	accepted int
	delay    time.Duration
	held     bool
	refused  bool
	closed   bool
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
	p := &Proxy{listener: l, targets: targets, conns: make(map[net.Conn]struct{})}
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

func (p *Proxy) cut() {
	for c := range p.conns {
		_ = c.Close()
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
	target, ok := p.register(client)
	if !ok {
		return
	}
	defer p.unregister(client)
	server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", target)
	if err != nil {
		return
	}
	defer server.Close()
	var both sync.WaitGroup
	both.Go(func() { p.pass(client, server) })
	both.Go(func() { p.pass(server, client) })
	both.Wait()
}

func (p *Proxy) register(c net.Conn) (target string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refused || p.closed {
		return "", false
	}
	target = p.targets[p.accepted%len(p.targets)]
	p.accepted++
	p.conns[c] = struct{}{}
	return target, true
}

func (p *Proxy) unregister(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// maxChunks is how much waits in one direction at most.
const maxChunks = 256

// pass carries what is read from one side to the other, and closes that one when there is nothing more.
func (p *Proxy) pass(from, to net.Conn) {
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
		p.whileHeld()
		if _, err := to.Write(c.data); err != nil {
			break
		}
	}
	_ = to.Close()
	_ = from.Close()
	for range chunks { // so that the reader ends
	}
	reader.Wait()
}

func (p *Proxy) delayed() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.delay
}

func (p *Proxy) whileHeld() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.held && !p.closed {
		p.changed.Wait()
	}
}
