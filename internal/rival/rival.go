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
	// interval is how often connections are looked at.
	interval = 100 * time.Millisecond
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

	rivals service.Gate

	mu      sync.Mutex
	service *service.Service // nil before the first connection
	closed  bool
	conns   map[*conn]struct{}
}

// conn is a connection of a [Watcher].
type conn struct {
	net.Conn
	watcher *Watcher
	dial    func(ctx context.Context) (net.Conn, error) // another one like it
	asked   atomic.Int64                                // when the first was written that nothing has come after, in Unix nanoseconds; 0 if there is none
	heard   atomic.Uint64                               // how often something came
	rivaled time.Time                                   // when it was last compared; of the watcher's goroutine
	dead    atomic.Bool
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
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.service == nil && !w.closed {
		w.service, w.conns = service.Start(w.run), make(map[*conn]struct{})
	}
	if !w.closed {
		w.conns[c] = struct{}{}
	}
	return c, nil
}

func (w *Watcher) run(ctx context.Context) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		w.mu.Lock()
		for c := range w.conns {
			if w.suspects(c) && time.Since(c.rivaled) > again {
				c.rivaled = time.Now()
				w.rivals.Go(func() { w.compare(ctx, c) })
			}
		}
		w.mu.Unlock()
	}
}

// suspects reports whether c has been silent for too long.
func (w *Watcher) suspects(c *conn) bool {
	asked, suspicion := c.asked.Load(), w.Suspicion
	if c.heard.Load() == 0 {
		suspicion = min(suspicion, greeting)
	}
	return asked != 0 && time.Since(time.Unix(0, asked)) > suspicion
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
		c.asked.Store(0)
		c.heard.Add(1)
	}
	if err != nil && c.dead.Load() {
		err = ErrDead
	}
	return n, err
}

// Write implements [net.Conn].
func (c *conn) Write(p []byte) (int, error) {
	if c.asked.Load() == 0 {
		c.asked.Store(time.Now().UnixNano())
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
