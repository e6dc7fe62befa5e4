package sse

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/internal/netconn"
	"github.com/peal-dev/peal/internal/wheel"
	"github.com/peal-dev/peal/message"
)

// takenOutlet writes a stream to a connection that was taken over from net/http: while the stream is silent it has no
// goroutine and no buffer. Its response has no length and no chunks; it ends with the connection.
type takenOutlet struct {
	handler *Handler
	conn    *netconn.Conn
	member  *stream
	adapter *adapter.Adapter
	opened  atomic.Bool // the head of the response has been sent

	mu     sync.Mutex // protects the following
	early  *queue     // posted before that
	timer  wheel.Timer
	reason Reason    // set once the stream is to end
	over   bool      // it has
	silent time.Time // when the next keep-alive is due
	queued int       // what waited at the last look: no less now means that the client does not read
	since  time.Time // since when it has not read
	judged bool      // that was too long at the last look, which is to be confirmed
}

// serveTaken takes the connection of r over for a stream. If it reports false, that cannot be, and nothing was done.
func (h *Handler) serveTaken(w http.ResponseWriter, r *http.Request, s *stream, sub Subscription) bool {
	if h.opts.HoldHandler || r.ProtoMajor != 1 {
		return false
	}
	conn, buffered, err := h.loop.Takeover(w, h.opts.SendBuffer)
	if err != nil {
		return false // a middleware hides the connection
	}
	o := &takenOutlet{handler: h, conn: conn, member: s, adapter: sub.Adapter}
	s.out = o
	h.add(s)
	// Before the response starts: a client that has seen it may rely on getting what is published from then on. If the
	// cluster is away the stream is no worse off than those that are there, and hears other nodes when they do.
	begin := h.enter(r, o.member, sub)
	o.open(append(h.responseHead(w.Header(), r), begin...))
	o.look(time.Now(), h.opts.WriteTimeout)
	conn.Start(o, buffered)
	return true
}

// responseHead makes the head of the response and what the stream begins with.
func (h *Handler) responseHead(header http.Header, r *http.Request) []byte {
	begin := h.start(header)
	header.Set("Connection", "close") // the end of the connection is the end of the response
	header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	var b strings.Builder
	b.WriteString("HTTP/1.")
	b.WriteByte('0' + byte(r.ProtoMinor))
	b.WriteString(" 200 OK\r\n")
	_ = header.Write(&b) // a builder takes everything
	b.WriteString("\r\n")
	b.Write(begin)
	return []byte(b.String())
}

// open sends the head of the response, and behind it the events that were posted since the stream joined its rooms.
func (o *takenOutlet) open(head []byte) {
	o.mu.Lock()
	_ = o.conn.Write(head, 0) // a client that has gone is seen when reading starts
	var outcomes []error
	if o.early != nil {
		for _, it := range o.early.items {
			outcomes = append(outcomes, o.write(it))
		}
		o.early = nil
	}
	o.opened.Store(true)
	if o.reason != "" { // it has been closed meanwhile: what is sent is whole, and the client connects anew
		o.conn.HangUp()
	}
	o.mu.Unlock()
	for _, err := range outcomes {
		o.account(err)
	}
}

func (o *takenOutlet) post(b []byte, volatile bool) {
	it := item{bytes: b, volatile: volatile}
	if o.opened.Load() || !o.hold(it) {
		o.account(o.write(it))
	}
}

// hold keeps an event until the head has been sent. It reports false if that is done. A stream for which more waits than
// SendBuffer is ended, as later.
func (o *takenOutlet) hold(it item) bool {
	o.mu.Lock()
	if o.opened.Load() {
		o.mu.Unlock()
		return false
	}
	if o.reason != "" {
		o.mu.Unlock()
		return true // it is ending
	}
	if o.early == nil {
		o.early = &queue{limit: o.handler.opts.SendBuffer}
	}
	dropped, ok := o.early.push(it)
	if !ok {
		o.early = nil
	}
	o.mu.Unlock()
	o.handler.dropped.Add(uint64(dropped))
	if !ok {
		o.abort(SlowConsumer)
	}
	return true
}

func (o *takenOutlet) write(it item) error {
	mode := netconn.Deferred
	if it.volatile {
		mode |= netconn.Droppable
	}
	return o.conn.Write(it.bytes, mode)
}

// account draws the consequences of a write. o.mu is not held.
func (o *takenOutlet) account(err error) {
	switch {
	case err == nil:
		o.handler.delivered.Add(1)
	case errors.Is(err, netconn.ErrDropped):
		o.handler.dropped.Add(1)
	case errors.Is(err, netconn.ErrSlow):
		o.abort(SlowConsumer)
	}
}

// close ends the stream after what waits for it has been written. Expire goes on to look whether its client reads.
func (o *takenOutlet) close(reason Reason) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.reason != "" {
		return false
	}
	o.reason = reason
	if o.opened.Load() { // else open does, behind the head of the response
		o.conn.HangUp()
	}
	return true
}

// abort ends the stream and drops what waits for it.
func (o *takenOutlet) abort(reason Reason) {
	o.mu.Lock()
	if o.reason == "" {
		o.reason = reason
	}
	o.mu.Unlock()
	o.conn.Close(nil)
}

// Expire looks after the stream now and then: a silent one is sent a comment, one that does not read is closed.
func (o *takenOutlet) Expire() {
	now := time.Now()
	queued := o.conn.Queued()
	o.mu.Lock()
	ending := o.reason != ""
	stalled := queued > 0 && queued >= o.queued
	switch {
	case !stalled:
		o.since = time.Time{}
	case o.since.IsZero():
		o.since = now
	}
	timeout := o.handler.opts.WriteTimeout
	tooLong := stalled && now.Sub(o.since) >= timeout
	sure := tooLong && o.judged
	o.judged = tooLong
	o.queued = queued
	speak := !ending && queued == 0 && o.handler.opts.KeepAlive > 0 && !now.Before(o.silent)
	o.mu.Unlock()
	switch {
	case sure:
		o.abort(WriteTimeout)
		return
	case tooLong: // if the process was stopped meanwhile, what the client has read is about to be noticed
		o.look(now, min(timeout/4, time.Second))
		return
	case speak:
		told := o.adapter.AtTop(func(top message.Offset) { _ = o.conn.Write(idLine(top), netconn.Droppable) })
		if !told {
			_ = o.conn.Write(keepAlive, netconn.Droppable) // a connection that has gone is seen by its reader
		}
	}
	o.look(now, timeout)
}

// look sets the next look at the stream, which is within the given time.
func (o *takenOutlet) look(now time.Time, within time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return // and the timer was stopped for good
	}
	if keep := o.handler.opts.KeepAlive; keep > 0 {
		if !now.Before(o.silent) {
			o.silent = now.Add(keep)
		}
		within = min(within, o.silent.Sub(now))
	}
	o.handler.wheel.Set(&o.timer, o, within)
}

// Data ignores what the client says: it has nothing to say on a stream.
func (o *takenOutlet) Data(*netconn.Conn, []byte, *netconn.Turn) ([]byte, error) { return nil, nil }

// Closed ends the stream. What waits for locks is left to a worker: this goroutine reads other connections too.
func (o *takenOutlet) Closed(_ *netconn.Conn, cause error) {
	o.mu.Lock()
	o.over = true
	o.handler.wheel.Stop(&o.timer)
	if o.reason == "" {
		o.reason = ClientLeft
		if !errors.Is(cause, io.EOF) {
			o.reason = WriteError
		}
	}
	o.mu.Unlock()
	o.handler.leaving.Run(o)
}

// Run ends the membership of a stream that has been closed. It waits while a broadcast is on its way to a room of it.
func (o *takenOutlet) Run() {
	o.adapter.Remove(o.member.id)
	o.mu.Lock()
	reason := o.reason
	o.mu.Unlock()
	o.handler.remove(o.member, reason)
}
