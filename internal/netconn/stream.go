package netconn

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// stream is the goroutine-driven side of a Conn.
type stream struct {
	nc net.Conn

	mu      sync.Mutex
	resumed chan struct{} // not nil while the reader waits to be resumed
	once    sync.Once
}

const (
	readBuffer = 4 << 10
	// stallLimit bounds a write to a peer that takes nothing, so that its writer goroutine ends.
	stallLimit = 30 * time.Second
)

var readBuffers = sync.Pool{New: func() any { b := make([]byte, readBuffer); return &b }}

func (c *Conn) startStream() {
	l := c.loop
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		c.Close(ErrLoopClosed)
	} else {
		l.streams[c] = struct{}{}
		l.mu.Unlock()
	}
	c.mu.Lock()
	c.status |= started
	c.mu.Unlock()
	l.spawn(c.readStream)
}

func (c *Conn) readStream() {
	buf := readBuffers.Get().(*[]byte)
	defer readBuffers.Put(buf)
	for {
		n, err := c.stream.nc.Read(*buf)
		if !c.awaitResume() {
			break
		}
		if n > 0 {
			if derr := c.handler.Data(c, (*buf)[:n]); derr != nil {
				c.Close(derr)
				break
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.EOF
			}
			c.Close(err)
			break
		}
	}
	l := c.loop
	l.mu.Lock()
	delete(l.streams, c)
	l.mu.Unlock()
	l.conns.Add(-1)
	c.handler.Closed(c, c.cause)
}

// awaitResume waits while the connection is paused and reports whether it is still open.
func (c *Conn) awaitResume() bool {
	for {
		c.stream.mu.Lock()
		c.mu.Lock()
		isPaused, isClosed := c.is(paused), c.is(closed)
		c.mu.Unlock()
		if isClosed || !isPaused {
			c.stream.mu.Unlock()
			return !isClosed
		}
		wait := make(chan struct{})
		c.stream.resumed = wait
		c.stream.mu.Unlock()
		<-wait
	}
}

func (s *stream) resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.resumed != nil {
		close(s.resumed)
		s.resumed = nil
	}
}

func (s *stream) close() {
	s.once.Do(func() { _ = s.nc.Close() }) // an error says it was closed already
	s.resume()
}

// writeStream writes the queue until it is empty.
func (c *Conn) writeStream() {
	c.mu.Lock()
	var err error
	for c.queue.bytes > 0 && !c.is(closed) && err == nil {
		batch := c.queue.batch()
		c.mu.Unlock()
		bufs := batch.buffers()
		_ = c.stream.nc.SetWriteDeadline(time.Now().Add(stallLimit)) // fails only on a closed connection, as the write will
		n, werr := bufs.WriteTo(c.stream.nc)
		count := &c.loop.counts[c.core]
		count.writes.Add(1)
		c.mu.Lock()
		count.frames.Add(uint64(c.queue.consume(int(n))))
		if errors.Is(werr, os.ErrDeadlineExceeded) {
			werr = ErrSlow
		}
		err = werr
	}
	c.status &^= writing
	c.wrote(err)
}

// buffers copies small slices together: a TLS connection makes a record of each write.
func (b batch) buffers() net.Buffers {
	if len(b.rest) == 0 {
		return net.Buffers{b.first}
	}
	const together = 16 << 10
	joined := make([]byte, 0, together)
	var out net.Buffers
	for i := -1; i < len(b.rest); i++ {
		part := b.first
		if i >= 0 {
			part = b.rest[i]
		}
		if len(joined)+len(part) > together && len(joined) > 0 {
			out = append(out, joined)
			joined = make([]byte, 0, together)
		}
		joined = append(joined, part...)
	}
	return append(out, joined)
}

// shutdownWrite closes the sending side.
func (c *Conn) shutdownWrite() {
	if c.stream == nil {
		c.poller.shutdownWrite(c)
		return
	}
	if half, ok := c.stream.nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // an error says that the connection is gone, which the reader sees too
		return
	}
	c.Close(nil)
}
