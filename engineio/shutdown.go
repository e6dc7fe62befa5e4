package engineio

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/peal-dev/peal/internal/service"
)

const (
	// goodbyeTimeout bounds how long a shutdown waits for clients that have everything to close their connections, or to
	// fetch the packet that says so: one that does not is rude, or gone.
	goodbyeTimeout = time.Second
	// flushLimit is how long a shutdown waits for clients to take what was sent to them if its context has no deadline.
	flushLimit = lingerTimeout
	// flushTick is how often it looks, at the most.
	flushTick = 20 * time.Millisecond
)

// Refuse refuses new sessions from now on. Those there are go on until Shutdown, which refuses too, closes them.
func (s *Server) Refuse() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
}

// Shutdown refuses new sessions and closes those there are with the reason ServerShutdown. What was sent to a client is
// still delivered, for which polling clients must be able to come; Shutdown waits for it for three quarters of the time
// that ctx leaves. What then waits for clients that do not read is dropped, which is logged. At last it waits until the
// receivers have been told, or until ctx is done, whose error it returns.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Refuse()
	sessions := s.all()
	for _, sess := range sessions {
		sess.end(ServerShutdown, nil, true)
	}
	s.flush(ctx, sessions)
	for _, sess := range s.all() {
		sess.CloseWith(ForcedClose, nil)
	}
	s.often.Close()
	return service.Within(ctx, func() { // a receiver that blocks for ever breaks its contract
		s.loop.Close()
		s.wg.Wait()
	})
}

// all returns the sessions that are open, and those on polling whose client has yet to learn of their end.
func (s *Server) all() []*Session {
	s.mu.RLock()
	defer s.mu.RUnlock()
	sessions := make([]*Session, 0, len(s.sessions))
	for _, sess := range s.sessions {
		sessions = append(sessions, sess)
	}
	return sessions
}

// flush waits for the clients of sessions that have ended to take what was sent to them.
func (s *Server) flush(ctx context.Context, sessions []*Session) {
	limit := flushLimit
	if deadline, ok := ctx.Deadline(); ok {
		limit = time.Until(deadline) / 4 * 3
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	waitUntil(ctx, func() bool {
		sessions = slices.DeleteFunc(sessions, func(sess *Session) bool { return !sess.owed() })
		return len(sessions) == 0
	})
	if len(sessions) > 0 {
		s.log.LogAttrs(ctx, slog.LevelWarn, "engineio: dropped what clients did not take before the shutdown", slog.Int("clients", len(sessions)))
	}
	ctx, cancel = context.WithTimeout(ctx, goodbyeTimeout)
	defer cancel()
	waitUntil(ctx, func() bool {
		s.mu.RLock()
		defer s.mu.RUnlock()
		return len(s.sessions) == 0 && s.loop.Stats().Conns == 0
	})
}

// waitUntil waits until done reports true or ctx is done. It looks ever less often.
func waitUntil(ctx context.Context, done func() bool) {
	pause := time.Millisecond / 2
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for !done() {
		select {
		case <-timer.C:
			pause = min(2*pause, flushTick)
			timer.Reset(pause)
		case <-ctx.Done():
			return
		}
	}
}

// owed reports whether something that was sent still waits for the client to take it. Heartbeats do not count.
func (s *Session) owed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if conn := s.conn.Load(); conn != nil {
		return conn.Queued() > 0
	}
	return s.stage() == leaving && (s.polling.answer != nil || slices.ContainsFunc(s.polling.buffer, func(p *Prepared) bool { return p.size > 0 }))
}
