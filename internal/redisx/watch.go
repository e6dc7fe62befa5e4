package redisx

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
	// watchInterval is how often connections are looked at, and suspicion after how much silence one is suspected.
	watchInterval = 100 * time.Millisecond
	suspicion     = 500 * time.Millisecond
	// rivalTimeout is how long another connection may take to be answered.
	rivalTimeout = time.Second
)

var errDead = errors.New("redis: connection is dead: nothing came on it, and another was answered")

// watcher ends connections that are dead and do not know it: what was sent on them got lost, or the server has forgotten
// them. To wait longer for an answer helps with a server that hangs or with a slow network, and not with these, so time alone
// does not tell. A connection on which nothing comes is compared with one that is made to the same server now: if that is
// answered, and still nothing has come on the first, the first is dead. It holds for every command that Redis answers at once.
// The zero value is ready for use and runs from the first connection on.
type watcher struct {
	rivals service.Gate

	mu      sync.Mutex
	service *service.Service // nil before the first connection
	closed  bool
	conns   map[*watched]struct{}
}

// watched is a connection of a [watcher].
type watched struct {
	net.Conn
	watcher *watcher
	dial    func(ctx context.Context) (net.Conn, error) // another one like it
	asked   atomic.Int64                                // when the first was written that nothing has come after, in Unix nanoseconds; 0 if there is none
	heard   atomic.Uint64                               // how often something came
	rivaled atomic.Bool                                 // it is being compared
	dead    atomic.Bool
}

// close ends the watch. Connections are left alone, and those that are opened from now on are not watched.
func (w *watcher) close() {
	w.mu.Lock()
	w.closed = true
	running := w.service
	w.mu.Unlock()
	if running != nil {
		running.Stop()
	}
	<-w.rivals.Shut()
}

// open opens a connection that is watched.
func (w *watcher) open(ctx context.Context, dial func(ctx context.Context) (net.Conn, error)) (net.Conn, error) {
	conn, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	c := &watched{Conn: conn, watcher: w, dial: dial}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.service == nil && !w.closed {
		w.service, w.conns = service.Start(w.run), make(map[*watched]struct{})
	}
	if !w.closed {
		w.conns[c] = struct{}{}
	}
	return c, nil
}

func (w *watcher) run(ctx context.Context) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		w.mu.Lock()
		for c := range w.conns {
			if asked := c.asked.Load(); asked != 0 && time.Since(time.Unix(0, asked)) > suspicion && c.rivaled.CompareAndSwap(false, true) {
				w.rivals.Go(func() { w.compare(ctx, c) })
			}
		}
		w.mu.Unlock()
	}
}

// compare ends c if a connection that is made now is answered, and nothing comes on c meanwhile.
func (w *watcher) compare(ctx context.Context, c *watched) {
	defer c.rivaled.Store(false)
	heard := c.heard.Load()
	ctx, cancel := context.WithTimeout(ctx, rivalTimeout)
	defer cancel()
	rival, err := c.dial(ctx)
	if err != nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = rival.Close() })
	defer func() { stop(); _ = rival.Close() }()
	// Whoever is not let in is answered as well.
	if _, err := rival.Write([]byte("PING\r\n")); err != nil {
		return
	}
	if _, err := rival.Read(make([]byte, 1)); err != nil {
		return
	}
	if c.asked.Load() != 0 && c.heard.Load() == heard {
		c.dead.Store(true)
		_ = c.Close()
	}
}

// Read implements [net.Conn].
func (c *watched) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.asked.Store(0)
		c.heard.Add(1)
	}
	if err != nil && c.dead.Load() {
		err = errDead
	}
	return n, err
}

// Write implements [net.Conn].
func (c *watched) Write(p []byte) (int, error) {
	if c.asked.Load() == 0 {
		c.asked.Store(time.Now().UnixNano())
	}
	return c.Conn.Write(p)
}

// Close implements [net.Conn].
func (c *watched) Close() error {
	c.watcher.mu.Lock()
	delete(c.watcher.conns, c)
	c.watcher.mu.Unlock()
	return c.Conn.Close()
}
