package local

import (
	"context"
	"net"
	"sync"
	"time"
)

// batch is about how many bytes are written under one deadline.
const batch = 1 << 20

// outbox writes frames to one connection. It is safe for concurrent use.
type outbox struct {
	conn    net.Conn
	limit   int
	timeout time.Duration
	ctx     context.Context
	cut     context.CancelFunc // ends the connection and drops what waits
	done    chan struct{}      // closed when nothing is written any more

	mu     sync.Mutex
	queue  net.Buffers
	size   int           // of what waits or is being written
	ending bool          // what waits is the last
	room   chan struct{} // closed when there is room again; nil if nobody waits
	wake   chan struct{}
}

// newOutbox returns one with a goroutine that ends with cut, by finish, or when the other side does not read for timeout.
func newOutbox(conn net.Conn, limit int, timeout time.Duration) *outbox {
	o := &outbox{conn: conn, limit: limit, timeout: timeout, done: make(chan struct{}), wake: make(chan struct{}, 1)}
	o.ctx, o.cut = context.WithCancel(context.Background()) // it serves all callers
	go o.run()
	return o
}

// put has frame written, which must not change any more. If what waits is too much already it waits for room. One that has
// ended takes it as well.
func (o *outbox) put(ctx context.Context, frame net.Buffers) error {
	for {
		room := o.offer(frame)
		if room == nil {
			return nil
		}
		select {
		case <-room:
		case <-o.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// offer is put without the waiting: it returns nil, or what is closed when there may be room.
func (o *outbox) offer(frame net.Buffers) (room <-chan struct{}) {
	size := 0
	for _, b := range frame {
		size += len(b)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.ending || o.ctx.Err() != nil:
		return nil
	case o.size > 0 && o.size+size > o.limit:
		if o.room == nil {
			o.room = make(chan struct{})
		}
		return o.room
	}
	o.queue = append(o.queue, frame...)
	o.size += size
	o.signal()
	return nil
}

// finish has the connection closed when what waits was written.
func (o *outbox) finish() {
	o.mu.Lock()
	o.ending = true
	o.mu.Unlock()
	o.signal()
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *outbox) run() {
	defer close(o.done)
	defer o.cut()
	defer o.conn.Close()
	defer context.AfterFunc(o.ctx, func() { _ = o.conn.Close() })()
	for {
		frames, size, last := o.take()
		switch {
		case size > 0:
			_ = o.conn.SetWriteDeadline(time.Now().Add(o.timeout)) // fails only on a closed connection, as the write will
			if _, err := frames.WriteTo(o.conn); err != nil {
				return
			}
			o.written(size)
			continue
		case last:
			return
		}
		select {
		case <-o.wake:
		case <-o.ctx.Done():
			return
		}
	}
}

// take returns what is to be written next, and whether there will be no more.
func (o *outbox) take() (frames net.Buffers, size int, last bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for n < len(o.queue) && size < batch {
		size += len(o.queue[n])
		n++
	}
	frames = o.queue[:n:n]
	if o.queue = o.queue[n:]; len(o.queue) == 0 {
		o.queue = nil
	}
	return frames, size, o.ending
}

func (o *outbox) written(size int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.size -= size
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
}
