package mongodb

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"github.com/peal-dev/peal/internal/rival"
)

// suspicion is after how much silence a connection is compared with another. A server that is well answers a request for
// more documents after maxAwait.
const suspicion = maxAwait + 500*time.Millisecond

// dialer opens connections that are known to be dead when they are. When one was found to be, those on which nothing has
// come for as long are closed too: the client has some, and would learn of each as late. Safe for concurrent use.
type dialer struct {
	watcher rival.Watcher
	timeout time.Duration

	mu    sync.Mutex
	conns map[*conn]struct{}
}

func newDialer(timeout time.Duration) *dialer {
	return &dialer{watcher: rival.Watcher{Probe: hello(), Suspicion: suspicion}, timeout: timeout, conns: make(map[*conn]struct{})}
}

// DialContext implements [options.ContextDialer].
func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	opened, err := d.watcher.Open(ctx, func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{Timeout: d.timeout}).DialContext(ctx, network, address)
	})
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: opened, dialer: d}
	c.heard.Store(time.Now().UnixNano())
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conns[c] = struct{}{}
	return c, nil
}

// dead closes the connections on which nothing has come for as long as on one that is dead.
func (d *dialer) dead() {
	since := time.Now().Add(-suspicion).UnixNano()
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		if c.heard.Load() < since {
			_ = c.Conn.Close()
		}
	}
}

// conn is a connection of a dialer.
type conn struct {
	net.Conn
	dialer *dialer
	heard  atomic.Int64 // when something came, in Unix nanoseconds
}

// Read implements [net.Conn].
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.heard.Store(time.Now().UnixNano())
	}
	if errors.Is(err, rival.ErrDead) {
		c.dialer.dead()
	}
	return n, err
}

// Close implements [net.Conn].
func (c *conn) Close() error {
	c.dialer.mu.Lock()
	delete(c.dialer.conns, c)
	c.dialer.mu.Unlock()
	return c.Conn.Close()
}

// opMsg is the opcode of a message of MongoDB's wire protocol with sections.
const opMsg = 2013

// hello returns a message that every server answers, whoever asks: OP_MSG with the command {hello: 1}.
func hello() []byte {
	b := binary.LittleEndian.AppendUint32(nil, 0) // its length
	b = binary.LittleEndian.AppendUint32(b, 1)    // its number
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, opMsg)
	b = binary.LittleEndian.AppendUint32(b, 0) // no flags
	b = append(b, 0)                           // a section that is one document
	start, b := bsoncore.AppendDocumentStart(b)
	b = bsoncore.AppendInt32Element(b, "hello", 1)
	b = bsoncore.AppendStringElement(b, "$db", "admin")
	b = append(b, 0)
	binary.LittleEndian.PutUint32(b[start:], uint32(len(b))-uint32(start))
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	return b
}
