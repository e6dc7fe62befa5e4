package socketio

import (
	"sync"

	"github.com/peal-dev/peal/socketio/sioproto"
)

// inboxBytes is how many bytes of events may wait for the handlers of one connection before it is not read any
// further. One event may be larger.
const inboxBytes = 4 << 20

type itemKind uint8

const (
	itemJoin  itemKind = iota // run the middleware, join, run OnConnect
	itemEvent                 // handle the packet
	itemGone                  // run OnDisconnecting and OnDisconnect
	itemLeft                  // leave the adapter first
)

// item is one thing to do for a socket, in order.
type item struct {
	socket *Socket
	packet *sioproto.Packet
	kind   itemKind
}

func (it *item) size() int {
	if it.packet == nil {
		return 0
	}
	n := len(it.packet.Data)
	for _, a := range it.packet.Attachments {
		n += len(a)
	}
	return n
}

// inbox is a queue that exists only while there is something in it or a handler runs.
type inbox struct {
	items []item
	head  int
	bytes int
	held  held
}

var inboxes = sync.Pool{New: func() any { return &inbox{items: make([]item, 0, 4)} }}

// maxPooledInbox keeps the inbox of a rare long burst out of the pool.
const maxPooledInbox = 64

func (in *inbox) len() int { return len(in.items) - in.head }

func (in *inbox) push(it item) {
	if in.head > 0 && len(in.items) == cap(in.items) {
		n := copy(in.items, in.items[in.head:])
		clear(in.items[n:])
		in.items, in.head = in.items[:n], 0
	}
	in.items = append(in.items, it)
	in.bytes += it.size()
}

func (in *inbox) pop() item {
	it := in.items[in.head]
	in.items[in.head] = item{}
	in.head++
	in.bytes -= it.size()
	return it
}

func (in *inbox) recycle() {
	in.held.reset()
	if cap(in.items) <= maxPooledInbox {
		in.items, in.head, in.bytes = in.items[:0], 0, 0
		inboxes.Put(in)
	}
}

// pauseState is what reading should be and what it is. They differ while one goroutine tells the session.
type pauseState struct{ wanted, is, telling bool }

// push queues it and sees to it that a goroutine drains the inbox.
func (c *client) push(it item) {
	c.mu.Lock()
	start := c.inbox == nil
	if start {
		c.inbox = inboxes.Get().(*inbox)
	}
	c.inbox.push(it)
	pause := !c.pause.wanted && (c.inbox.len() >= c.server.inboxLimit || c.inbox.bytes >= inboxBytes)
	if pause {
		c.pause.wanted = true
		c.server.counters.paused.Add(1)
	}
	c.mu.Unlock()
	if start {
		c.server.work.Run(c)
	}
	if pause {
		c.tellPause()
	}
}

// next returns what is to be done next; false ends the inbox.
func (c *client) next() (it item, ok bool) {
	c.mu.Lock()
	in := c.inbox
	if in.len() == 0 {
		c.inbox = nil
		c.mu.Unlock()
		in.recycle()
		return item{}, false
	}
	it = in.pop()
	resume := c.pause.wanted && in.len() <= c.server.inboxLimit/2 && in.bytes <= inboxBytes/2
	if resume {
		c.pause.wanted = false
	}
	c.mu.Unlock()
	if resume {
		c.tellPause()
	}
	return it, true
}

// Run does what is in the inbox, in order, and ends when it is empty. It holds no lock while a handler runs. It is the
// task of a worker.
func (c *client) Run() {
	finished := false
	defer func() {
		if !finished {
			// A handler has ended the goroutine with runtime.Goexit, as a failing test does. The rest still counts.
			c.server.work.Run(c)
		}
	}()
	for {
		it, ok := c.next()
		if !ok {
			finished = true
			return
		}
		switch it.kind {
		case itemJoin:
			it.socket.join()
		case itemEvent:
			it.socket.handle(it.packet)
		case itemLeft:
			it.socket.depart()
			it.socket.farewell()
		case itemGone:
			it.socket.farewell()
		}
	}
}

// tellPause brings the session's reading to the wanted state. The session is called without locks and by one goroutine
// at a time, so that a Resume cannot overtake the Pause before it.
func (c *client) tellPause() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pause.telling {
		return
	}
	c.pause.telling = true
	for c.pause.is != c.pause.wanted {
		c.pause.is = c.pause.wanted
		tell := c.session.Resume
		if c.pause.is {
			tell = c.session.Pause
		}
		c.mu.Unlock()
		tell()
		c.mu.Lock()
	}
	c.pause.telling = false
}
