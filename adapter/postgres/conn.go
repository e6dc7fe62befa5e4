package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/peal-dev/peal/internal/service"
)

// server makes connections and knows those that are there, so that closing ends each of them, whatever it waits for. It is
// safe for concurrent use.
type server struct {
	config      *pgconn.Config
	credentials func(ctx context.Context) (username, password string, err error) // nil if config has them
	timeout     time.Duration
	dial        pgconn.DialFunc

	mu     sync.Mutex
	closed bool
	conns  map[*trackedConn]struct{}
}

func newServer(config *pgconn.Config, opts *Options) *server {
	s := &server{config: config, credentials: opts.Credentials, timeout: opts.Timeout, dial: config.DialFunc}
	s.conns = make(map[*trackedConn]struct{})
	config.DialFunc = s.track
	return s
}

// dialing marks the context of a connection that is wanted. What pgconn dials by itself is to cancel a command on a
// connection that it gives up, which the server does after the same time by statement_timeout.
type dialing struct{}

var errNotDialed = errors.New("postgres: no connection for this")

func (s *server) track(ctx context.Context, network, addr string) (net.Conn, error) {
	if ctx.Value(dialing{}) == nil {
		return nil, errNotDialed
	}
	conn, err := s.dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	tracked := &trackedConn{Conn: conn, server: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.Join(net.ErrClosed, conn.Close())
	}
	s.conns[tracked] = struct{}{}
	return tracked, nil
}

type trackedConn struct {
	net.Conn
	server *server
}

// Close implements [net.Conn].
func (c *trackedConn) Close() error {
	c.server.mu.Lock()
	delete(c.server.conns, c)
	c.server.mu.Unlock()
	return c.Conn.Close()
}

// close ends all connections, and lets none begin.
func (s *server) close() {
	s.mu.Lock()
	s.closed = true
	conns := s.conns
	s.conns = make(map[*trackedConn]struct{})
	s.mu.Unlock()
	for c := range conns {
		_ = c.Conn.Close()
	}
}

// stagger is how long an attempt to connect goes on before another is made beside it. What the first one sent may be lost
// for good, in which case the second is there before the first has been given up.
const stagger = 500 * time.Millisecond

// connect makes a connection within the timeout and prepares it.
func (s *server) connect(ctx context.Context, notify pgconn.NotificationHandler, prepare string) (*pgconn.PgConn, error) {
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, dialing{}, true), s.timeout)
	defer cancel()
	type outcome struct {
		conn *pgconn.PgConn
		err  error
	}
	outcomes := make(chan outcome)
	begin := func() {
		go func() { // ends with ctx, and is waited for
			conn, err := s.attempt(ctx, notify, prepare)
			outcomes <- outcome{conn, err}
		}()
	}
	ticker := time.NewTicker(stagger)
	defer ticker.Stop()
	begin()
	var first outcome // to end
	for running, ended := 1, false; running > 0; {
		select {
		case <-ticker.C:
			if !ended {
				running++
				begin()
			}
		case o := <-outcomes:
			running--
			if !ended {
				first, ended = o, true
				cancel()
			} else if o.err == nil {
				discard(o.conn)
			}
		}
	}
	return first.conn, first.err
}

func (s *server) attempt(ctx context.Context, notify pgconn.NotificationHandler, prepare string) (*pgconn.PgConn, error) {
	config := s.config.Copy()
	config.OnNotification = notify
	if s.credentials != nil {
		var err error
		if config.User, config.Password, err = s.credentials(ctx); err != nil {
			return nil, fmt.Errorf("credentials: %w", err)
		}
	}
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, prepare).ReadAll(); err != nil {
		discard(conn)
		return nil, err
	}
	return conn, nil
}

// goodbye is how long the server has to end a connection that it is asked to end.
const goodbye = 100 * time.Millisecond

// discard ends a connection, whatever state it is in, and waits until nothing of it is left.
func discard(conn *pgconn.PgConn) {
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	_ = conn.Close(ctx) // by the server's leave if possible
	select {
	case <-conn.CleanupDone():
	case <-ctx.Done(): // pgconn would wait for 15 s
		_ = conn.Conn().Close()
		<-conn.CleanupDone()
	}
}

// newBackoff returns the pauses between attempts to connect: delivery goes on within two seconds of the server's return.
func newBackoff() service.Backoff {
	return service.Backoff{Min: 50 * time.Millisecond, Max: 500 * time.Millisecond}
}

// keep makes a connection, uses it until that fails, and makes another, until ctx ends. It tells each failure.
func (s *server) keep(ctx context.Context, notify pgconn.NotificationHandler, prepare string,
	use func(context.Context, *pgconn.PgConn) error, failed func(error)) {
	backoff := newBackoff()
	for ctx.Err() == nil {
		conn, err := s.connect(ctx, notify, prepare)
		if err == nil {
			backoff.Reset()
			err = use(ctx, conn)
			discard(conn)
		}
		if ctx.Err() != nil {
			return
		}
		failed(err)
		if !service.Pause(ctx, backoff.Next()) {
			return
		}
	}
}

// fatal reports whether a connection is of no use after err: it is broken, or on a server that does not write.
func fatal(conn *pgconn.PgConn, err error) bool {
	const readOnly = "25006"
	var refusal *pgconn.PgError
	return conn.IsClosed() || !errors.As(err, &refusal) || refusal.Code == readOnly
}

// settings is what each connection begins with. It waits for no disk, which PostgreSQL does for a row of the table, and all
// other notifications wait for that transaction.
func settings(timeout time.Duration) string {
	return "SET synchronous_commit = off; SET statement_timeout = " + strconv.FormatInt(max(timeout.Milliseconds(), 1), 10)
}
