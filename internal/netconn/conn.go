package netconn

import (
	"errors"
	"io"
	"math"
	"net"
	"runtime"
	"sync"
)

const (
	// DefaultLimit is how many bytes may wait for one connection unless the caller says otherwise.
	DefaultLimit = 1 << 20
	// soft is the queue length at which a sender writes itself instead of leaving it to the flusher. It makes a
	// publisher that is faster than the flushers pay with its own time.
	soft = 64 << 10
)

var (
	// ErrClosed is returned by writes to a connection that is closed or closing.
	ErrClosed = net.ErrClosed
	// ErrSlow is returned by a write that does not fit into the queue; the caller decides what becomes of the connection.
	ErrSlow = errors.New("netconn: the queue of the connection is full: its peer reads too slowly")
	// ErrDropped is returned by a droppable write that the connection cannot take now.
	ErrDropped = errors.New("netconn: dropped, the connection is busy")
)

// Handler is what a connection's bytes are for. Its methods are called one at a time, Data in the order of the bytes.
// They run on a goroutine that serves other connections too and must not block, nor wait for a lock that may be held for
// long. A panic closes the connection with a *PanicError.
type Handler interface {
	// Data is given bytes that arrived, or that it left. They are valid only during the call, and the handler may change
	// them. Bytes that hold many small things take their turns with other connections: when turn is over, the handler
	// returns what is left, the end of p, and is given it again. An error closes the connection with that error as the
	// cause. What is written to c meanwhile leaves together when the turn ends.
	Data(c *Conn, p []byte, turn *Turn) (rest []byte, err error)
	// Closed is called once, after the last Data. The cause is io.EOF if the peer closed the connection in good order.
	Closed(c *Conn, cause error)
}

// Mode says how a write is to be done.
type Mode uint8

const (
	// Droppable lets a write be dropped if the connection cannot take it now.
	Droppable Mode = 1 << iota
	// Deferred lets the write wait a moment, so that what follows at once leaves in the same system call or TLS record.
	Deferred
)

// Conn is one connection. All methods are safe for concurrent use.
//
// What a fan-out touches stands first and fills one cache line; the whole fills two. With ten thousand connections that
// decides what a delivery costs beside its system call.
type Conn struct {
	mu     sync.Mutex // guards queue and status; never held while reading or writing
	queue  queue
	fd     int32
	limit  int32
	status status
	core   uint16 // whose counts
	slot   uint32 // in the poller

	gen     uint32
	loop    *Loop
	handler Handler
	poller  *poller // nil if goroutine-driven
	stream  *stream // nil if poller-driven
	cause   error   // why it was closed
}

// status is the set of things true of a Conn.
type status uint16

const (
	writing   status = 1 << iota // somebody is in a write: only they touch the head of the queue
	scheduled                    // listed as dirty with the flusher
	blocked                      // the kernel took less than it was given
	writable                     // the kernel said so while somebody was writing
	finishing                    // closes once the queue is empty
	hangingUp                    // closes then, and does not wait for the peer
	finished                     // the sending side is shut; only the peer's end is awaited
	closed                       // no more reads and writes
	letGo                        // the poller will not touch the descriptor again
	detached                     // the descriptor has been closed
	paused                       // reads nothing
	started
	corked     // a poller is in its turn: it writes what is queued when the turn ends
	yielded    // listed with its poller for another turn
	awaited    // the handler is told when there is room in the queue
	inputEnded // the peer has shut its sending side, and ours is open
)

func (c *Conn) is(s status) bool { return c.status&s != 0 }

// Start begins reading for h, with the bytes that were read before as its first data. It must be called once, also on
// a connection that was closed meanwhile: h is told of it, and the descriptor is let go.
func (c *Conn) Start(h Handler, buffered []byte) {
	c.handler = h
	c.begin(buffered)
}

func (c *Conn) begin(buffered []byte) {
	var turn Turn
	for len(buffered) > 0 {
		rest, err := c.data(buffered, &turn)
		if err != nil {
			c.Close(err)
			break
		}
		buffered = rest
		turn.next()
	}
	if c.poller != nil {
		c.poller.watch(c)
		return
	}
	c.startStream()
}

// Write sends b, a whole message, in the given mode. It keeps b, which must not change any more, and never blocks on the
// network. It returns ErrClosed, ErrSlow or ErrDropped if b was not taken.
func (c *Conn) Write(b []byte, mode Mode) error {
	c.mu.Lock()
	for c.queue.bytes > 0 && !c.is(closed|blocked) {
		full := c.overflows(len(b))
		switch {
		case !full && c.queue.bytes < soft:
		case c.stream != nil:
			// A publisher that is faster than the writers waits for them here; they soon know a peer that holds them up.
			c.stream.moved.Wait()
			continue
		case c.is(writing):
			// Whoever is writing does so without blocking, so they are done in a moment: a publisher that is faster than a
			// flusher waits for it here.
			c.mu.Unlock()
			runtime.Gosched()
			c.mu.Lock()
			continue
		case full:
			// Nobody has offered the kernel yet what waits for the flusher: only what the kernel then refuses tells of a peer
			// that does not read.
			c.flush()
			c.mu.Lock()
			continue
		}
		break
	}
	if c.is(closed | finishing) {
		c.mu.Unlock()
		return ErrClosed
	}
	if mode&Droppable != 0 && (c.is(blocked) || c.queue.bytes >= soft) {
		c.mu.Unlock()
		c.loop.dropped.Add(1)
		return ErrDropped
	}
	if c.overflows(len(b)) {
		c.mu.Unlock()
		c.loop.slow.Add(1)
		return ErrSlow
	}
	c.queue.push(b)
	switch {
	case c.is(writing | blocked), c.is(corked) && c.queue.bytes < soft:
		c.mu.Unlock()
	case mode&Deferred != 0 && c.queue.bytes < soft && c.poller != nil:
		first := !c.is(scheduled)
		c.status |= scheduled
		c.mu.Unlock()
		if first {
			c.poller.flusher.add(c)
		}
	default:
		c.flush()
	}
	return nil
}

// overflows reports whether n more bytes are too many. A single message may be longer than the limit.
func (c *Conn) overflows(n int) bool { return c.queue.bytes > 0 && c.queue.bytes+n > int(c.limit) }

// flushScheduled is the flusher's turn at c.
func (c *Conn) flushScheduled() {
	c.mu.Lock()
	c.status &^= scheduled
	if c.queue.bytes == 0 || c.is(writing|blocked|closed) {
		c.mu.Unlock()
		return
	}
	c.flush()
}

// flush writes the queue, or leaves that to the writers of streams. It is called with c.mu held and nobody writing, and
// releases c.mu.
func (c *Conn) flush() {
	if c.stream != nil {
		first := !c.is(scheduled)
		c.status |= scheduled
		c.mu.Unlock()
		if first {
			c.loop.writers.add(c)
		}
		return
	}
	c.status |= writing
	var err error
	for c.queue.bytes > 0 && !c.is(closed) && err == nil {
		batch := c.queue.batch()
		c.status &^= writable
		c.mu.Unlock()
		n, again, werr := writeBatch(int(c.fd), batch)
		count := &c.loop.counts[c.core]
		count.writes.Add(1)
		c.mu.Lock()
		took := c.queue.consume(n)
		count.frames.Add(uint64(took))
		err = werr
		if again && !c.is(writable) {
			c.status |= blocked // the poller continues when the kernel has room
			break
		}
	}
	c.status &^= writing
	c.wrote(err)
}

// wrote ends a write. It is called with c.mu held and releases it.
func (c *Conn) wrote(err error) {
	if c.is(closed) {
		c.queue.reset()
		c.closeDescriptor()
		c.mu.Unlock()
		return
	}
	finish, hangUp := c.is(finishing) && c.queue.bytes == 0 && !c.is(finished), c.is(hangingUp|inputEnded)
	if finish {
		c.status |= finished
	}
	room := c.is(awaited) && c.queue.bytes <= relayWindow/2
	if room {
		c.status &^= awaited
	}
	c.mu.Unlock()
	if room {
		c.handler.(roomGiver).room()
	}
	switch {
	case err != nil:
		c.Close(err)
	case finish && hangUp:
		c.Close(nil)
	case finish:
		c.shutdownWrite()
	}
}

// Finish sends b (nil for nothing), and closes the sending side once all that waits has left. Data that still arrives is
// handed to the handler. The connection ends when the peer closes its side; the caller bounds that time with Close.
func (c *Conn) Finish(b []byte) { c.finish(b, finishing) }

// HangUp closes the connection once all that waits has left, without waiting for the peer. It suits a peer that says
// nothing: what it had said and nobody read would make the system reset the connection. Close bounds the time it takes.
func (c *Conn) HangUp() { c.finish(nil, finishing|hangingUp) }

func (c *Conn) finish(b []byte, how status) {
	c.mu.Lock()
	if c.is(closed | finishing) {
		c.mu.Unlock()
		return
	}
	was := c.is(paused)
	c.status |= how
	c.status &^= paused // else the peer's end would never be seen
	if len(b) > 0 {
		c.queue.push(b)
	}
	if c.is(writing | blocked | corked) {
		c.mu.Unlock()
	} else {
		c.flush()
	}
	if was {
		c.readOn()
	}
}

// Close closes the connection at once and drops what waits in its queue. The handler is told the cause; nil counts as
// io.EOF. Only the first cause counts.
func (c *Conn) Close(cause error) {
	isStarted, first := c.markClosed(cause)
	switch {
	case !first:
	case c.stream != nil:
		c.stream.close()
	case isStarted:
		c.poller.hangup(c) // its goroutine may be reading: it lets go of the descriptor
	}
}

// markClosed is what Close does to the state alone: the poller lets go of the descriptor by itself.
func (c *Conn) markClosed(cause error) (isStarted, first bool) {
	if cause == nil {
		cause = io.EOF
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.is(closed) {
		return false, false
	}
	c.status |= closed
	c.cause = cause
	if !c.is(writing) {
		c.queue.reset()
	}
	if c.stream != nil {
		c.stream.moved.Broadcast()
	}
	return c.is(started), true
}

// Pause stops reading, so that the peer is slowed down by TCP itself. Data the handler is being given is not held back.
func (c *Conn) Pause() {
	c.mu.Lock()
	if !c.is(closed | finishing) {
		c.status |= paused
	}
	c.mu.Unlock()
}

// Resume continues reading after Pause.
func (c *Conn) Resume() {
	c.mu.Lock()
	was := c.is(paused)
	c.status &^= paused
	c.mu.Unlock()
	if was {
		c.readOn()
	}
}

// readOn reads on after a pause has ended: what happened meanwhile has been seen and left alone.
func (c *Conn) readOn() {
	c.mu.Lock()
	isStarted := c.is(started)
	c.mu.Unlock()
	switch {
	case !isStarted: // Start will look
	case c.poller != nil:
		c.poller.rearm(c)
	default:
		c.stream.resume()
	}
}

// Queued returns how many bytes wait to be written.
func (c *Conn) Queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queue.bytes
}

// Widen lets n more bytes wait, or fewer if n is negative.
func (c *Conn) Widen(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit = int32(min(max(int(c.limit)+n, 0), math.MaxInt32))
}

// Busy reports whether the peer has not yet taken what was sent before.
func (c *Conn) Busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.is(blocked) || c.queue.bytes >= soft
}

// closeDescriptor closes the descriptor of a closed connection once nobody uses it: not the poller, and not a writer.
// Closed any earlier, its number could be another client's by the time a write reaches it. It is called with c.mu held.
func (c *Conn) closeDescriptor() {
	if c.poller == nil || !c.is(letGo) || c.is(writing|detached) {
		return
	}
	c.status |= detached
	closeFD(int(c.fd))
}
