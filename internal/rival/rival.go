package rival

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/peal-dev/peal/internal/service"
)

const (
	// greeting is after how much silence a connection has a rival on which nothing has come yet: servers greet at once.
	greeting = 400 * time.Millisecond
	// again is when there is another rival, if the one before was not answered yet: it may have got lost as well, just before
	// the server could be reached again.
	again = 300 * time.Millisecond
	// timeout is how long a rival may take to be answered.
	timeout = time.Second
	// grace is how much later than a rival's an answer may be: a server that hung answers all at once, in any order.
	grace = 200 * time.Millisecond
)

// ErrDead is the error of a connection that was found to be dead.
var ErrDead = errors.New("connection is dead: nothing came on it, and another was answered")

// Watcher ends connections that are dead and do not know it. Set its fields before the first connection; it runs from then
// on until it is closed. It is safe for concurrent use.
type Watcher struct {
	// Probe is what a server answers at once, whoever asks and whatever it says. Required.
	Probe []byte
	// Suspicion is after how much silence a connection has a rival: more than a server that is well takes for an answer. To
	// what is first written on a connection an answer comes at once, and a rival after 400 ms. Required.
	Suspicion time.Duration
	// Exchange returns what knows of a new connection whether an answer is due on it. Nil means that whatever comes answers all that
	// was written: then a part of an answer, behind which nothing comes, is taken for all of it.
	Exchange func() Exchange

	rivals service.Gate

	idle    atomic.Bool   // it sleeps until an answer is due
	stirred chan struct{} // wakes it then

	mu      sync.Mutex
	service *service.Service // nil before the first connection
	closed  bool
	conns   map[*conn]struct{}
}

// Exchange follows what is said on one connection. Asked and Answered are called by one goroutine each, Due by both.
type Exchange interface {
	// Asked takes what is about to be written, in pieces of any length.
	Asked(p []byte)
	// Answered takes what has come, in pieces of any length.
	Answered(p []byte)
	// Due reports whether there has to come something.
	Due() bool
}

// conn is a connection of a [Watcher].
type conn struct {
	net.Conn
	exchange Exchange // nil if none is known
	watcher  *Watcher
	dial     func(ctx context.Context) (net.Conn, error) // another one like it
	asked    atomic.Int64                                // since when an answer is due of which nothing more has come, in Unix nanoseconds; 0 if none is
	heard    atomic.Uint64                               // how often something came
	rivaled  time.Time                                   // when it was last compared; of the watcher's goroutine
	dead     atomic.Bool
}

// Close ends the watch. Connections are left alone, and those that are opened from now on are not watched.
func (w *Watcher) Close() {
	w.mu.Lock()
	w.closed = true
	running := w.service
	w.mu.Unlock()
	if running != nil {
		running.Stop()
	}
	<-w.rivals.Shut()
}

// Open returns a connection of dial's that is watched: after something was written on it, something has to come. Dial is
// called for rivals too, with a context of their own. The server has to answer all that it is sent, and sooner than after
// Suspicion: a command that blocks there needs a connection that is not watched.
func (w *Watcher) Open(ctx context.Context, dial func(ctx context.Context) (net.Conn, error)) (net.Conn, error) {
	opened, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: opened, watcher: w, dial: dial}
	if w.Exchange != nil {
		c.exchange = w.Exchange()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.service == nil && !w.closed {
		w.conns, w.stirred = make(map[*conn]struct{}), make(chan struct{}, 1)
		w.service = service.Start(w.run)
	}
	if !w.closed {
		w.conns[c] = struct{}{}
	}
	return c, nil
}

// run sleeps until a connection may have been silent for too long, or, while an answer is due on none, until one is.
func (w *Watcher) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		next := w.look(ctx)
		if next.IsZero() {
			w.idle.Store(true)
			next = w.look(ctx) // what was written before that has woken nobody
		}
		if !next.IsZero() {
			w.idle.Store(false)
			timer.Reset(min(time.Until(next), greeting)) // what is written meanwhile on another may be due sooner
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-w.stirred:
		}
	}
}

// look compares the connections that have been silent for too long, and returns when there may be another one; the zero time if
// no answer is due.
func (w *Watcher) look(ctx context.Context) (next time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for c := range w.conns {
		due := w.suspect(c)
		if due.IsZero() {
			continue
		}
		if !due.After(now) {
			c.rivaled, due = now, now.Add(again)
			w.rivals.Go(func() { w.compare(ctx, c) })
		}
		if next.IsZero() || due.Before(next) {
			next = due
		}
	}
	return next
}

// suspect returns when c is to have a rival, should nothing come until then; the zero time if no answer is due.
func (w *Watcher) suspect(c *conn) time.Time {
	asked, suspicion := c.asked.Load(), w.Suspicion
	if asked == 0 {
		return time.Time{}
	}
	if c.heard.Load() == 0 {
		suspicion = min(suspicion, greeting)
	}
	due := time.Unix(0, asked).Add(suspicion)
	if then := c.rivaled.Add(again); then.After(due) {
		return then
	}
	return due
}

// compare ends c if a connection that is made now is answered, and nothing comes on c meanwhile.
func (w *Watcher) compare(ctx context.Context, c *conn) {
	heard := c.heard.Load()
	ctx, cancel := context.WithTimeout(ctx, timeout+grace)
	defer cancel()
	rival, err := c.dial(ctx)
	if err != nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = rival.Close() })
	defer func() { stop(); _ = rival.Close() }()
	if _, err := rival.Write(w.Probe); err != nil {
		return
	}
	if _, err := rival.Read(make([]byte, 1)); err != nil {
		return
	}
	select {
	case <-ctx.Done():
		return
	case <-time.After(grace):
	}
	if c.asked.Load() != 0 && c.heard.Load() == heard {
		c.dead.Store(true)
		_ = c.Close()
	}
}

// Read implements [net.Conn].
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.answered(p[:n])
		c.heard.Add(1)
	}
	if err != nil && c.dead.Load() {
		err = ErrDead
	}
	return n, err
}

// answered notes what has come. What is written meanwhile is due as well.
func (c *conn) answered(p []byte) {
	if c.exchange == nil {
		c.asked.Store(0)
		return
	}
	c.exchange.Answered(p)
	if c.exchange.Due() {
		c.asked.Store(time.Now().UnixNano())
		return
	}
	c.asked.Store(0)
	if c.exchange.Due() {
		c.due()
	}
}

// due notes that an answer is due from now on, if none was.
func (c *conn) due() {
	c.asked.CompareAndSwap(0, time.Now().UnixNano())
	if c.watcher.idle.Load() && c.watcher.idle.CompareAndSwap(true, false) {
		select {
		case c.watcher.stirred <- struct{}{}:
		default:
		}
	}
}

// Write implements [net.Conn].
func (c *conn) Write(p []byte) (int, error) {
	if c.exchange != nil {
		c.exchange.Asked(p)
	}
	if c.asked.Load() == 0 && (c.exchange == nil || c.exchange.Due()) {
		c.due()
	}
	return c.Conn.Write(p)
}

// Close implements [net.Conn]. What is closed is not watched any more: nothing will come on it, and it would have one rival after
// another.
func (c *conn) Close() error {
	c.watcher.mu.Lock()
	delete(c.watcher.conns, c)
	c.watcher.mu.Unlock()
	return c.Conn.Close()
}
