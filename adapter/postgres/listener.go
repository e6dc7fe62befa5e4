package postgres

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/peal-dev/peal/internal/service"
)

// listener keeps the connection that receives: what it is to LISTEN to, over all reconnects. It is safe for concurrent use.
type listener struct {
	server *server
	notify func(channel, payload string) // must not block: while nobody reads, PostgreSQL keeps what it has for all
	state  func(up bool, err error)
	loop   *service.Service

	mu        sync.Mutex
	channels  map[string]*listening
	pending   []string // channels that LISTEN or UNLISTEN has to be said for
	interrupt context.CancelFunc
	conn      *pgconn.PgConn // nil while there is none
	since     time.Time      // when it was ready
}

// listening is a channel that somebody listens to, or did a moment ago.
type listening struct {
	users int
	on    bool          // the server has confirmed it, on the connection there is
	err   error         // or refused
	done  chan struct{} // closed with the answer of the server
}

func newListener(s *server, notify func(channel, payload string), state func(up bool, err error)) *listener {
	l := &listener{server: s, notify: notify, state: state, channels: make(map[string]*listening)}
	l.loop = service.Start(func(ctx context.Context) {
		handle := func(_ *pgconn.PgConn, n *pgconn.Notification) { l.notify(n.Channel, n.Payload) }
		s.keep(ctx, handle, settings(s.timeout), l.serve, l.lost)
	})
	return l
}

// listen returns when the server sends what is notified on the channel, or with the reason for which it does not, or when ctx
// ends. Whatever it returns, unlisten has to follow.
func (l *listener) listen(ctx context.Context, channel string) error {
	c, done := l.want(channel)
	for {
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		case <-l.loop.Done():
			return errClosed
		}
		l.mu.Lock()
		err, again := c.err, done != (<-chan struct{})(c.done) // the connection was lost meanwhile
		done = c.done
		l.mu.Unlock()
		if !again {
			return err
		}
	}
}

var errClosed = errors.New("postgres: closed")

// want is listen without the waiting.
func (l *listener) want(channel string) (c *listening, done <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c = l.channels[channel]
	if c == nil {
		c = &listening{done: make(chan struct{})}
		l.channels[channel] = c
	}
	c.users++
	if c.users == 1 || c.err != nil {
		c.reset()
		l.say(channel)
	}
	return c, c.done
}

// unlisten ends a listen.
func (l *listener) unlisten(channel string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.channels[channel]; c != nil {
		if c.users--; c.users == 0 {
			l.say(channel)
		}
	}
}

// reset has callers of listen wait for another answer.
func (c *listening) reset() {
	select {
	case <-c.done:
		c.done = make(chan struct{})
	default:
	}
	c.on, c.err = false, nil
}

// say has the server be told about a channel. The caller holds l.mu.
func (l *listener) say(channel string) {
	l.pending = append(l.pending, channel)
	if l.interrupt != nil {
		l.interrupt()
	}
}

// serve uses a connection until it fails.
func (l *listener) serve(ctx context.Context, conn *pgconn.PgConn) error {
	l.mu.Lock()
	l.conn = conn
	l.pending = l.pending[:0]
	for name := range l.channels {
		l.pending = append(l.pending, name)
	}
	l.mu.Unlock()
	defer l.gone()
	for told := false; ; {
		if err := l.tell(ctx, conn); err != nil {
			return err
		}
		if !told {
			told = true
			l.ready()
		}
		if err := l.wait(ctx, conn); err != nil {
			return err
		}
	}
}

// ready notes that all channels are listened to.
func (l *listener) ready() {
	l.mu.Lock()
	l.since = time.Now()
	l.mu.Unlock()
	l.state(true, nil)
}

// wait receives until there is something to say, or with an error.
func (l *listener) wait(ctx context.Context, conn *pgconn.PgConn) error {
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	l.mu.Lock()
	if len(l.pending) > 0 {
		l.mu.Unlock()
		return nil
	}
	l.interrupt = cancel
	l.mu.Unlock()
	for {
		err := conn.WaitForNotification(waiting)
		switch {
		case err == nil:
		case waiting.Err() != nil && ctx.Err() == nil && !conn.IsClosed():
			return nil // interrupted; what was read of the next message is kept
		default:
			return err
		}
	}
}

// tell says LISTEN and UNLISTEN for the channels that wait for it.
func (l *listener) tell(ctx context.Context, conn *pgconn.PgConn) error {
	for {
		l.mu.Lock()
		if len(l.pending) == 0 {
			l.mu.Unlock()
			return nil
		}
		name := l.pending[0]
		l.pending = l.pending[1:]
		c := l.channels[name]
		wanted := c != nil && c.users > 0
		nothing := c == nil || wanted && c.on
		l.mu.Unlock()
		if nothing {
			continue
		}
		command := "LISTEN " + quote(name)
		if !wanted {
			command = "UNLISTEN " + quote(name)
		}
		bounded, cancel := context.WithTimeout(ctx, l.server.timeout)
		_, err := conn.Exec(bounded, command).ReadAll()
		cancel()
		if err != nil && (!wanted || fatal(conn, err)) {
			return err
		}
		l.answered(name, wanted, err)
	}
}

// answered notes what the server has said about a channel.
func (l *listener) answered(name string, on bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.channels[name]
	switch {
	case c == nil:
	case !on:
		c.on = false
		if c.users == 0 {
			delete(l.channels, name)
		}
	default:
		c.on, c.err = err == nil, err
		select {
		case <-c.done:
		default:
			close(c.done)
		}
	}
}

// gone notes that the connection is there no more, and with it all that was said on it.
func (l *listener) gone() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn, l.interrupt, l.since = nil, nil, time.Time{}
	for name, c := range l.channels {
		if c.users == 0 {
			delete(l.channels, name)
			continue
		}
		c.reset()
	}
}

// refusal returns why the server does not send what is notified on a channel although the connection is there, or nil.
func (l *listener) refusal(channel string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.channels[channel]; c != nil {
		return c.err
	}
	return nil
}

// refused returns how many channels there are of which the server sends nothing although the connection is there.
func (l *listener) refused() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.channels {
		if c.err != nil {
			n++
		}
	}
	return n
}

func (l *listener) lost(err error) { l.state(false, err) }

// replace ends the connection, so that another is made, if it was ready at that time.
func (l *listener) replace(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil && !l.since.IsZero() && l.since.Before(at) {
		_ = l.conn.Conn().Close()
	}
}

func (l *listener) close() { l.loop.Stop() }
