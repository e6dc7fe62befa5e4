package sse

import (
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/admission"
	"github.com/peal-dev/peal/internal/lograte"
	"github.com/peal-dev/peal/internal/netconn"
	"github.com/peal-dev/peal/internal/service"
	"github.com/peal-dev/peal/internal/tally"
	"github.com/peal-dev/peal/internal/wheel"
	"github.com/peal-dev/peal/internal/workers"
	"github.com/peal-dev/peal/origin"
)

// Defaults of [Options].
const (
	DefaultKeepAlive    = 15 * time.Second
	DefaultRetry        = 2 * time.Second
	DefaultSendBuffer   = 1 << 20
	DefaultWriteTimeout = 10 * time.Second
)

// Subscription is what one request may listen to.
type Subscription struct {
	// Adapter is that of the namespace; it must not be nil.
	Adapter *adapter.Adapter
	// Rooms the stream joins. None means the stream gets only what goes to everyone in the namespace.
	Rooms []string
}

// Options of a [Handler]. The zero value, like a nil pointer, works.
type Options struct {
	// KeepAlive is how long a stream may be silent before a comment is sent, so that proxies do not cut it and a client
	// that has gone is noticed. 0 means DefaultKeepAlive; negative means never.
	KeepAlive time.Duration
	// Retry is how long the browser is told to wait before it connects again. 0 means DefaultRetry; negative leaves it to
	// the browser.
	Retry time.Duration
	// SendBuffer is how many bytes may wait for one stream. 0 means DefaultSendBuffer.
	SendBuffer int
	// WriteTimeout is how long one write (up to 64 KiB, or one larger event) may take before the stream is closed: what
	// a client that stopped reading can cost. 0 means DefaultWriteTimeout.
	WriteTimeout time.Duration
	// HoldHandler keeps ServeHTTP running while a stream lasts, for middlewares that count or time requests by it. A stream
	// then has a goroutine and net/http's buffers. Otherwise the connection of an HTTP/1 request is taken over, as a
	// WebSocket's is, and ServeHTTP returns at once. HTTP/2 streams are always held.
	HoldHandler bool
	// Admission bounds how many streams there may be; others are refused with 503, or with 429 for too many of one address.
	// Several doors may share one Gate. Nil means one of this Handler's own with the default limits.
	Admission *admission.Gate
	// CORS says which pages of other origins may subscribe; nil means none. Other origins are refused with 403.
	CORS *CORS
	// OnError is told of each refused request. It must not block. Nil has Logger told, at info and of each code once a
	// minute.
	OnError func(*http.Request, *Error)
	// Logger gets what subscribe failed with; nil means slog.Default().
	Logger *slog.Logger
}

// Handler is an http.Handler that answers each GET with a stream. It is safe for concurrent use. Create it with
// [NewHandler].
type Handler struct {
	subscribe func(*http.Request) (Subscription, error)
	opts      Options
	pages     *origin.Guard
	log       *slog.Logger
	loop      netconn.Loop // drives the connections that were taken over
	wheel     wheel.Wheel
	work      workers.Pool
	leaving   workers.Line // streams that have been closed

	often                      *lograte.Logger // for what may happen with every request
	refused                    tally.Tally     // by code
	opened, delivered, dropped atomic.Uint64
	resumed, reset             atomic.Uint64
	closed                     tally.Fixed[Reason]

	places service.Gate // of streams, from before they open until they have ended

	mu      sync.Mutex // protects the following
	streams map[*stream]struct{}
}

// NewHandler returns a Handler that asks subscribe what a request may listen to. subscribe must be safe for concurrent
// use; it refuses with an *[Error], and any other error is logged and answered with 500. The Handler must be shut down
// before the adapters that subscribe returns are closed. NewHandler panics if Options.CORS is not valid.
func NewHandler(subscribe func(r *http.Request) (Subscription, error), opts *Options) *Handler {
	h := &Handler{subscribe: subscribe, streams: make(map[*stream]struct{}), closed: newClosed()}
	if opts != nil {
		h.opts = *opts
	}
	h.opts.KeepAlive = cmp.Or(h.opts.KeepAlive, DefaultKeepAlive)
	h.opts.Retry = cmp.Or(h.opts.Retry, DefaultRetry)
	h.opts.SendBuffer = cmp.Or(h.opts.SendBuffer, DefaultSendBuffer)
	h.opts.WriteTimeout = cmp.Or(h.opts.WriteTimeout, DefaultWriteTimeout)
	if h.opts.Admission == nil {
		h.opts.Admission = admission.New(admission.Limits{})
	}
	h.pages = h.opts.CORS.Guard(http.MethodGet)
	h.log = h.opts.Logger
	if h.log == nil {
		h.log = slog.Default()
	}
	h.often = lograte.New(h.log, lograte.Every)
	h.loop.Logger = h.log
	h.leaving.Pool = &h.work
	return h
}

// ServeHTTP answers a GET with a stream. Unless Options.HoldHandler is set, the connection of an HTTP/1 request is taken
// over and ServeHTTP returns at once; otherwise it returns when the stream has ended. It clears the connection's read
// deadline and sets its own write deadlines, so http.Server's timeouts do not cut streams.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodOptions { // the answer is written below
		h.dismiss(w, r)
	}
	done, err := h.pages.Admit(w, r)
	if err != nil {
		h.refuse(w, r, &Error{Status: http.StatusForbidden, Code: CodeOriginNotAllowed,
			Message: "pages of this origin may not open streams; add the origin to the server's list of allowed origins"})
		return
	}
	if done {
		return
	}
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		h.refuse(w, r, &Error{Status: http.StatusMethodNotAllowed, Code: CodeMethodNotAllowed,
			Message: "a stream is opened with GET"})
		return
	}
	if err := h.opts.Admission.Enter(r.RemoteAddr, false); err != nil {
		w.Header().Set("Retry-After", "5")
		h.refuse(w, r, notAdmitted(err))
		return
	}
	s := &stream{id: newID()}
	if h.opts.Admission.Limits().PerAddress > 0 { // else it is not asked for again
		s.remote = r.RemoteAddr
	}
	if !h.serve(w, r, s) { // else it leaves with the stream
		h.opts.Admission.Leave(r.RemoteAddr, false)
	}
}

// serve serves a stream, or answers the request otherwise and returns false.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, s *stream) bool {
	sub, err := h.subscribe(r)
	if err != nil {
		h.refuse(w, r, err)
		return false
	}
	if !h.places.Enter() {
		w.Header().Set("Retry-After", "1")
		h.refuse(w, r, &Error{Status: http.StatusServiceUnavailable, Code: CodeShuttingDown,
			Message: "this node is shutting down; connect again to reach another"})
		return false
	}
	if h.serveTaken(w, r, s, sub) {
		return true
	}
	out := newResponseOutlet(w, h)
	s.out = out
	h.add(s)
	// Before the response starts: a client that has seen it may rely on getting what is published from then on. If the
	// cluster is away the stream is no worse off than those that are there, and hears other nodes when they do.
	out.adapter = sub.Adapter
	reason := out.run(r.Context(), h.enter(r, s, sub))
	sub.Adapter.Remove(s.id)
	h.remove(s, reason)
	return true
}

// newID returns an unguessable id for a stream: 100 random bits in the length of a Socket.IO id, as [adapter.Member] asks.
func newID() string { return rand.Text()[:20] }

// start sets the headers of a stream and returns what it begins with.
func (h *Handler) start(header http.Header) []byte {
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx would hold events back
	header.Set("X-Content-Type-Options", "nosniff")
	if h.opts.Retry < 0 {
		return []byte(":\n\n")
	}
	return append(strconv.AppendInt([]byte("retry: "), h.opts.Retry.Milliseconds(), 10), "\n\n"...)
}

// add counts a stream that has a place. If a shutdown has begun, the stream ends as soon as it has opened.
func (h *Handler) add(s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.streams[s] = struct{}{}
	h.opened.Add(1)
	if h.places.IsShut() {
		s.out.close(ServerShutdown)
	}
}

func (h *Handler) remove(s *stream, reason Reason) {
	h.closed.Add(reason)
	h.opts.Admission.Leave(s.remote, false)
	h.mu.Lock()
	delete(h.streams, s)
	h.mu.Unlock()
	h.places.Leave()
}

// flushLimit is how long a shutdown waits for streams to be written if its context has no deadline.
const flushLimit = 30 * time.Second

// Shutdown refuses new streams and ends all open ones after what waits for them has been written, for which they have
// three quarters of the time that ctx leaves; what then waits for clients that do not read is dropped, which is logged.
// It waits until all have ended, or until ctx is done, whose error it returns. It may be called more than once.
func (h *Handler) Shutdown(ctx context.Context) error {
	limit := flushLimit
	if deadline, ok := ctx.Deadline(); ok {
		limit = time.Until(deadline) / 4 * 3
	}
	flushed, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	idle := h.places.Shut()
	h.mu.Lock()
	for s := range h.streams {
		s.out.close(ServerShutdown)
	}
	h.mu.Unlock()
	h.often.Close()
	select {
	case <-idle:
	case <-flushed.Done():
		h.cut(ctx)
	}
	select {
	case <-idle:
		h.loop.Close()
		return h.work.Wait(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Shed ends up to n streams with the reason Moved, after what waits for them has been written, and returns how many. Their
// clients connect anew by themselves, after the time of Options.Retry, to another node if the load balancer has it so. Which
// streams these are is left to chance. Shed does not wait for them.
func (h *Handler) Shed(n int) int {
	shed := 0
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.streams {
		if shed >= n {
			break
		}
		if s.out.close(Moved) {
			shed++
		}
	}
	return shed
}

// cut ends the streams that are left at once.
func (h *Handler) cut(ctx context.Context) {
	h.mu.Lock()
	left := slices.Collect(maps.Keys(h.streams))
	h.mu.Unlock()
	for _, s := range left {
		s.out.abort(ServerShutdown)
	}
	if len(left) > 0 {
		h.log.LogAttrs(ctx, slog.LevelWarn, "sse: dropped what clients did not take before the shutdown", slog.Int("streams", len(left)))
	}
}
