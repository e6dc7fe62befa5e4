package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Shutdown takes the node out of service, in order:
//
//  1. It turns unready and refuses new clients. If Config.Drain says so, it sends those there are away at an even pace, and
//     serves them, publications and other nodes meanwhile. If ctx has a deadline, half of Config.ShutdownTimeout is left for
//     the rest.
//  2. It refuses publications, and finishes what is being published.
//  3. Who waits for a topic is answered, and its event streams end. Event streams end, and after them Socket.IO connections, when what was sent to them has been taken; see
//     [sse.Handler.Shutdown] and [socketio.Server.Shutdown]. What a client does not take in its share of the time is
//     dropped. So whatever was acknowledged to its publisher has reached every client of this node that reads.
//  4. It stops listening, until when polling clients must reach it, ends what it passes on to other nodes, whose clients
//     connect anew, and finishes the requests that are left.
//  5. It leaves the cluster.
//
// When ctx ends before that is done, what is left is cut and ctx's error returned. Only the first call does anything;
// others return nil at once.
func (s *Server) Shutdown(ctx context.Context) error {
	if s.leaving.Swap(true) {
		return nil
	}
	over := time.Duration(s.drainTime.Load())
	if deadline, ok := ctx.Deadline(); ok {
		over = min(over, time.Until(deadline)-s.cfg.ShutdownTimeout/2)
	}
	s.drain(ctx, over)
	s.draining.Store(true)
	s.Leave(0) // for Wait to return
	if s.balancing != nil {
		s.balancing.Stop()
	}
	err := within("finish what is being published", s.publishing.Close(ctx))
	err = errors.Join(err, within("end the requests for topics", s.topics.shutdown(ctx)))
	err = errors.Join(err, within("end the event streams", s.endStreams(ctx)))
	err = errors.Join(err, within("end the Socket.IO connections", s.io.Shutdown(ctx)))
	err = errors.Join(err, s.listener.Close())
	// What is passed on for sessions of other nodes waits for as long as they do.
	if s.cluster != nil {
		err = errors.Join(err, within("end what is passed on to other nodes", s.cluster.Close(ctx)))
	}
	// What is left is requests that have not arrived, and answers that nobody takes.
	s.requests.hurry()
	// It closes the listener too if Serve has not noticed yet, and reports last that somebody else did.
	if e := s.http.Shutdown(ctx); e != nil && !errors.Is(e, net.ErrClosed) {
		err = errors.Join(err, within("end the HTTP requests", e), s.http.Close())
	}
	err = errors.Join(err, within("end the requests of other nodes", s.peers.shutdown(ctx)))
	if s.driver != nil {
		err = errors.Join(err, within("leave the cluster", s.driver.Close(ctx)))
	}
	// Last, for it tells operators of the shutdown.
	err = errors.Join(err, within("end the internal HTTP requests", s.internal.shutdown(ctx)))
	err = errors.Join(err, within("close the topics", s.topics.close()))
	s.ready.close()
	s.often.Close()
	return err
}

// endStreams ends the event streams, for which it takes half of the time: the sockets need some too.
func (s *Server) endStreams(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	return s.streams.Shutdown(ctx)
}

func within(step string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", step, err)
}

// unless refuses requests once a state has come, leaving or draining; clients then try another node. Next takes the given
// methods and knows the policy about pages.
func (s *Server) unless(state *atomic.Bool, next http.Handler, methods ...string) http.Handler {
	gone := s.forPages(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "1")
		w.Header().Set("Connection", "close") // the next request should come to another node
		s.fail(w, r, errShuttingDown)
	}), methods...)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if state.Load() {
			gone.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// sessions serves Socket.IO clients. Those that are there are served until their session has ended: they have messages to
// fetch.
func (s *Server) sessions() http.Handler {
	others := s.unless(&s.leaving, s.io, http.MethodGet, http.MethodPost)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.leaving.Load() && r.URL.Query().Get("sid") != "" {
			s.io.ServeHTTP(w, r)
			return
		}
		others.ServeHTTP(w, r)
	})
}

var errShuttingDown = &apiError{CodeShuttingDown, "this node is shutting down; try again to reach another"}
