package netconn

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/peal-dev/peal/internal/workers"
)

// heldUp is how often the writers are looked at: one that is in the same write as the last time is held up by a peer.
const heldUp = 2 * time.Millisecond

// writers write to the connections that are not polled. A write may block there, and nobody can tell before: so a few
// goroutines, one per core, take the dirty connections one after the other, and for each of them that a peer holds up
// another takes its place until it is back.
type writers struct {
	pool workers.Pool

	mu      sync.Mutex
	dirty   []*Conn
	head    int                  // dirty[:head] is taken
	running map[*writer]struct{} // held up or not
	free    int                  // of these, not held up
	watch   *time.Timer
	looking bool // watch is set
}

// writer is one of them, and a task of the pool.
type writer struct {
	all *writers
	buf [together]byte

	// Guarded by all.mu.
	conn *Conn
	turn uint64
	seen uint64 // turn at the last look
	held bool
}

// backlog is how many connections wait for each writer before another is started.
const backlog = 16

var writerTasks = sync.Pool{New: func() any { return new(writer) }}

// add has c written. The caller has set c's scheduled state, so that a connection is listed once.
func (ws *writers) add(c *Conn) {
	ws.mu.Lock()
	ws.dirty = append(ws.dirty, c)
	w := ws.another()
	ws.mu.Unlock()
	if w != nil {
		ws.pool.Run(w)
	}
}

// another returns a writer to start, or nil if there are enough. ws.mu is held.
func (ws *writers) another() *writer {
	waiting := len(ws.dirty) - ws.head
	if waiting == 0 || ws.free > 0 && (ws.free >= runtime.GOMAXPROCS(0) || waiting <= backlog*ws.free) {
		return nil
	}
	w := writerTasks.Get().(*writer)
	w.all, w.seen, w.turn = ws, 0, 1
	if ws.running == nil {
		ws.running = make(map[*writer]struct{})
		ws.watch = time.AfterFunc(heldUp, ws.look)
	} else if !ws.looking {
		ws.watch.Reset(heldUp)
	}
	ws.looking = true
	ws.running[w] = struct{}{}
	ws.free++
	return w
}

// Run writes until no connection waits.
func (w *writer) Run() {
	for c := w.next(); c != nil; c = w.next() {
		c.writeStream(w.buf[:])
	}
}

// next returns the connection to write next; nil ends the writer.
func (w *writer) next() *Conn {
	ws := w.all
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if w.held {
		w.held = false
		ws.free++
	}
	w.turn++
	w.conn = nil
	if ws.head == len(ws.dirty) || ws.free > runtime.GOMAXPROCS(0) { // or others have taken its place
		delete(ws.running, w)
		ws.free--
		writerTasks.Put(w)
		return nil
	}
	w.conn = ws.dirty[ws.head]
	ws.dirty[ws.head] = nil
	ws.head++
	if ws.head == len(ws.dirty) {
		ws.dirty, ws.head = ws.dirty[:0], 0
	} else if ws.head >= 1024 && 2*ws.head >= len(ws.dirty) { // a list that never runs dry must not grow for ever
		left := copy(ws.dirty, ws.dirty[ws.head:])
		clear(ws.dirty[left:])
		ws.dirty, ws.head = ws.dirty[:left], 0
	}
	return w.conn
}

// look finds out which writers are held up, and starts others in their place.
func (ws *writers) look() {
	ws.mu.Lock()
	for w := range ws.running {
		if !w.held && w.conn != nil && w.turn == w.seen {
			w.held = true
			ws.free--
			w.conn.holdUp()
		}
		w.seen = w.turn
	}
	var start []*writer
	for w := ws.another(); w != nil; w = ws.another() {
		start = append(start, w)
	}
	ws.looking = ws.free > 0
	if ws.looking {
		ws.watch.Reset(heldUp)
	}
	ws.mu.Unlock()
	for _, w := range start {
		ws.pool.Run(w)
	}
}

// close waits for the writers of connections that are closed by now.
func (ws *writers) close() {
	_ = ws.pool.Wait(context.Background()) // which does not end
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.watch != nil {
		ws.watch.Stop()
	}
}
