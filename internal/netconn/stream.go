package netconn

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"time"
)

// stream is the goroutine-driven side of a Conn.
type stream struct {
	nc net.Conn

	deadline time.Time // of writes; the writer's own
	moved    sync.Cond // with the Conn's mutex: something left the queue, or the peer holds the writer up

	mu      sync.Mutex
	resumed chan struct{} // not nil while the reader waits to be resumed
	once    sync.Once
}

const (
	readBuffer = 4 << 10
	// stallLimit bounds a write to a peer that takes nothing, so that its writer ends: after so long at most, and after
	// two thirds of it at least, for the deadline is not set for every write.
	stallLimit = 30 * time.Second
	// together is how much goes into one write: a TLS connection makes a record of each, which holds so much.
	together = 16 << 10
)

var readBuffers = sync.Pool{New: func() any { b := make([]byte, readBuffer); return &b }}

func (c *Conn) startStream() {
	l := c.loop
	c.mu.Lock()
	c.status |= started
	c.mu.Unlock()
	l.mu.Lock()
	if l.closed.Load() {
		l.mu.Unlock()
		c.Close(ErrLoopClosed)
		c.ended()
		return
	}
	defer l.mu.Unlock()
	l.streams[c] = struct{}{}
	l.running.Go(c.readStream)
}

// ended is the last of a goroutine-driven connection.
func (c *Conn) ended() {
	c.loop.conns.Add(-1)
	c.tellClosed()
}

func (c *Conn) readStream() {
	buf := readBuffers.Get().(*[]byte)
	defer readBuffers.Put(buf)
	var turn Turn
	for {
		n, err := c.stream.nc.Read(*buf)
		for rest := (*buf)[:n]; c.awaitResume() && len(rest) > 0; {
			var derr error
			if rest, derr = c.data(rest, &turn); derr != nil {
				c.Close(derr)
			}
			if turn.over { // a peer that always has more to say would keep a core for the whole of the scheduler's slice
				runtime.Gosched()
				turn.next()
			}
		}
		if c.isClosed() {
			break
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.EOF
				if c.endInput() {
					c.awaitClose()
					break
				}
			}
			c.Close(err)
			break
		}
	}
	l := c.loop
	l.mu.Lock()
	delete(l.streams, c)
	l.mu.Unlock()
	c.ended()
}

func (c *Conn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.is(closed)
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

// awaitClose waits until the connection is closed by whoever writes to it.
func (c *Conn) awaitClose() {
	for {
		c.stream.mu.Lock()
		if c.isClosed() {
			c.stream.mu.Unlock()
			return
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

// writeStream writes the queue until it is empty. Small slices are joined in buf.
func (c *Conn) writeStream(buf []byte) {
	c.mu.Lock()
	c.status &^= scheduled
	if c.is(closed) {
		c.mu.Unlock()
		return
	}
	c.status |= writing
	var err error
	for c.queue.bytes > 0 && !c.is(closed) && err == nil {
		b := c.queue.batch()
		c.mu.Unlock()
		var n int
		n, err = c.stream.write(b.join(buf))
		count := &c.loop.counts[c.core]
		count.writes.Add(1)
		c.mu.Lock()
		c.status &^= blocked
		count.frames.Add(uint64(c.queue.consume(n)))
		c.stream.moved.Broadcast()
	}
	c.status &^= writing
	c.wrote(err)
}

// holdUp notes that the peer holds up the writer of c.
func (c *Conn) holdUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.is(writing) {
		c.status |= blocked
		c.stream.moved.Broadcast()
	}
}

func (s *stream) write(b []byte) (int, error) {
	now := time.Now()
	if s.deadline.Sub(now) < stallLimit*2/3 {
		s.deadline = now.Add(stallLimit)
		_ = s.nc.SetWriteDeadline(s.deadline) // fails only on a closed connection, as the write will
	}
	n, err := s.nc.Write(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = ErrSlow
	}
	return n, err
}

// join returns the head of the batch as one slice, in buf if it is made of several.
func (b batch) join(buf []byte) []byte {
	if len(b.rest) == 0 {
		return b.first
	}
	head, rest := b.first, b.rest
	if len(head) == 0 {
		head, rest = rest[0], rest[1:]
	}
	if len(rest) == 0 || len(head)+len(rest[0]) > len(buf) {
		return head
	}
	n := copy(buf, head)
	for _, p := range rest {
		if n+len(p) > len(buf) {
			break
		}
		n += copy(buf[n:], p)
	}
	return buf[:n]
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
