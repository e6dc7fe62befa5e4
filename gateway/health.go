package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/peal-dev/peal/internal/service"
)

const (
	probeFresh  = time.Second     // how long a result counts as new
	probeAnswer = time.Second     // how long a request waits for a new one while the last may stand for it
	probeFirst  = 2 * time.Second // how long a request waits while nothing is known yet
	probeStale  = 5 * time.Second // how long after a probe was sent its result may stand for a new one
	probeLimit  = 5 * time.Second // how long a probe may take; more than an answer of Redis may
)

// pinger is an adapter: Ping returns when a probe came back through the path that messages take.
type pinger interface {
	Ping(ctx context.Context) error
}

// readiness answers whether every namespace can reach the cluster. However many ask, probes are sent once a second. A
// probe has the time that a message has: a slow network is no outage, and an outage is one that ends probes.
type readiness struct {
	watched map[string]pinger // fixed once the server runs
	probes  service.Gate

	mu      sync.Mutex
	running *probe // nil if none is
	last    *probe // the last that ended
}

// probe is one check of all namespaces.
type probe struct {
	sent   time.Time
	cancel context.CancelFunc
	done   chan struct{}
	result readyReply // set before done is closed
}

// readyReply is the body of /readyz.
type readyReply struct {
	Ready    bool             `json:"ready"`
	Draining bool             `json:"draining,omitempty"`
	Checks   map[string]check `json:"namespaces,omitempty"` // by namespace
}

type check struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

func newReadiness() *readiness { return &readiness{watched: make(map[string]pinger)} }

func (r *readiness) watch(namespace string, p pinger) { r.watched[namespace] = p }

// check returns the result of a probe that was sent at most a second ago, or is on its way. While that takes long, the
// result before it stands, as long as it is not stale.
func (r *readiness) check(ctx context.Context) readyReply {
	running, last := r.probe(ctx)
	if running == nil {
		return last.result
	}
	patience, otherwise := probeLimit, r.failed(errors.New("a probe takes too long"))
	switch {
	case last == nil:
		patience, otherwise = probeFirst, r.failed(errors.New("no probe has come back yet"))
	case time.Since(last.sent) < probeStale-probeAnswer:
		patience, otherwise = probeAnswer, last.result
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-running.done:
		return running.result
	case <-timer.C:
		return otherwise
	case <-ctx.Done():
		return r.failed(ctx.Err()) // nobody reads it
	}
}

// probe returns the probe on its way, which it starts if the last is no longer new, and the last one.
func (r *readiness) probe(ctx context.Context) (running, last *probe) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running != nil || r.last != nil && time.Since(r.last.sent) < probeFresh {
		return r.running, r.last
	}
	// The result is for others too, so it must not depend on whether the one who asked stays.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeLimit)
	p := &probe{sent: time.Now(), cancel: cancel, done: make(chan struct{})}
	began := r.probes.Go(func() {
		defer cancel()
		p.result = r.ping(ctx)
		r.mu.Lock()
		r.running, r.last = nil, p
		r.mu.Unlock()
		close(p.done)
	})
	if !began {
		cancel()
		return nil, &probe{result: r.failed(errors.New("the node is closed"))}
	}
	r.running = p
	return p, r.last
}

// ping sends a probe through every namespace.
func (r *readiness) ping(ctx context.Context) readyReply {
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex // protects result
		result = readyReply{Ready: true, Checks: make(map[string]check, len(r.watched))}
	)
	for name, p := range r.watched {
		wg.Go(func() {
			c := check{OK: true}
			switch err := p.Ping(ctx); {
			case err == nil:
			case errors.Is(err, context.DeadlineExceeded):
				c = check{Error: fmt.Sprintf("no probe came back in %v", probeLimit)}
			default:
				c = check{Error: err.Error()}
			}
			mu.Lock()
			defer mu.Unlock()
			result.Checks[name] = c
			result.Ready = result.Ready && c.OK
		})
	}
	wg.Wait()
	return result
}

// failed is the result for which there was no probe.
func (r *readiness) failed(err error) readyReply {
	result := readyReply{Checks: make(map[string]check, len(r.watched))}
	for name := range r.watched {
		result.Checks[name] = check{Error: err.Error()}
	}
	return result
}

// close ends the probe on its way.
func (r *readiness) close() {
	idle := r.probes.Shut()
	r.mu.Lock()
	if r.running != nil {
		r.running.cancel()
	}
	r.mu.Unlock()
	<-idle
}

// readyz is GET /readyz for operators: with what does not work, and why.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	s.tellReady(w, s.ready.check(r.Context()))
}

// ifReady is GET /readyz for everybody: the errors would tell strangers where Redis is.
func (s *Server) ifReady(w http.ResponseWriter, r *http.Request) {
	s.tellReady(w, readyReply{Ready: s.ready.check(r.Context()).Ready})
}

func (s *Server) tellReady(w http.ResponseWriter, reply readyReply) {
	status := http.StatusOK
	if s.leaving.Load() {
		reply.Ready, reply.Draining = false, true
	}
	if !reply.Ready {
		status = http.StatusServiceUnavailable
	}
	respond(w, status, reply)
}
