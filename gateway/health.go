package gateway

import (
	"context"
	"net/http"
	"sync"
	"time"
)

const (
	probeBudget = time.Second // how long the probes of one check may take
	probeFresh  = time.Second // how long their result counts
)

// pinger is an adapter: Ping returns when a probe came back through the path that messages take.
type pinger interface {
	Ping(ctx context.Context) error
}

// readiness answers whether every namespace can reach the cluster. However many ask, probes are sent once a second.
type readiness struct {
	watched map[string]pinger // fixed once the server runs

	mu      sync.Mutex // held through a check: whoever comes meanwhile gets its result. Protects the following
	checked time.Time
	result  readyReply
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

// check returns a result that is at most probeFresh old.
func (r *readiness) check(ctx context.Context) readyReply {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.checked.IsZero() && time.Since(r.checked) < probeFresh {
		return r.result
	}
	// The result is for others too, so it must not depend on whether the one who asked stays.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeBudget)
	defer cancel()
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex // protects result
		result = readyReply{Ready: true, Checks: make(map[string]check, len(r.watched))}
	)
	for name, p := range r.watched {
		wg.Go(func() {
			c := check{OK: true}
			if err := p.Ping(ctx); err != nil {
				c = check{Error: err.Error()}
			}
			mu.Lock()
			defer mu.Unlock()
			result.Checks[name] = c
			result.Ready = result.Ready && c.OK
		})
	}
	wg.Wait()
	r.result, r.checked = result, time.Now()
	return result
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
	if s.draining.Load() {
		reply.Ready, reply.Draining = false, true
	}
	if !reply.Ready {
		status = http.StatusServiceUnavailable
	}
	respond(w, status, reply)
}
