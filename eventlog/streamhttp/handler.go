package streamhttp

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/internal/service"
	"github.com/peal-dev/peal/internal/tally"
)

// Defaults of [Options].
const (
	DefaultPrefix      = "/v1/stream/"
	DefaultMaxBody     = 1 << 20
	DefaultMaxChunk    = 1 << 20
	DefaultMaxTopics   = 100_000
	DefaultMaxReaders  = 10_000
	DefaultPollTimeout = 20 * time.Second
	DefaultStreamTime  = time.Minute
	DefaultKeepAlive   = 15 * time.Second
	DefaultBodyTimeout = 30 * time.Second
	DefaultWriteTime   = 30 * time.Second
)

// Options are those of a [Handler]. The zero value means the defaults.
type Options struct {
	// Prefix is the path under which the handler is mounted, with slashes at both ends; the name of a stream is what follows,
	// and may have slashes itself. Empty means DefaultPrefix. It is in Location, and in Stream-Forked-From.
	Prefix string
	// Policy bounds what a stream keeps. Nil means the defaults of eventlog.Policy: a day, 100,000 items, 64 MiB.
	Policy *eventlog.Policy
	// MaxBody is how many bytes a request may have. 0 means DefaultMaxBody.
	MaxBody int
	// MaxChunk is about how many bytes are answered at once: the last item of a chunk may be beyond. 0 means DefaultMaxChunk.
	MaxChunk int
	// MaxTopics is how many streams there may be. 0 means DefaultMaxTopics.
	MaxTopics int
	// MaxReaders is how many requests may wait for what comes, long-polls and event streams together. 0 means DefaultMaxReaders.
	MaxReaders int
	// PollTimeout is how long a long-poll waits. 0 means DefaultPollTimeout.
	PollTimeout time.Duration
	// StreamTime is how long an event stream lasts before its client has to come again. 0 means DefaultStreamTime.
	StreamTime time.Duration
	// KeepAlive is how long an event stream may be silent before a comment is sent. 0 means DefaultKeepAlive.
	KeepAlive time.Duration
	// BodyTimeout is how long a body may take to arrive, and WriteTimeout how long a client may take to take what it is sent.
	// 0 means DefaultBodyTimeout and DefaultWriteTime.
	BodyTimeout, WriteTimeout time.Duration
	// OnError is told of every refused request, if it is not nil. It must not block.
	OnError func(*http.Request, *Error)
	// Logger receives what goes wrong; nil means slog.Default().
	Logger *slog.Logger
}

func (o *Options) withDefaults() Options {
	var c Options
	if o != nil {
		c = *o
	}
	c.Prefix = cmp.Or(c.Prefix, DefaultPrefix)
	c.MaxBody = cmp.Or(c.MaxBody, DefaultMaxBody)
	c.MaxChunk = cmp.Or(c.MaxChunk, DefaultMaxChunk)
	c.MaxTopics = cmp.Or(c.MaxTopics, DefaultMaxTopics)
	c.MaxReaders = cmp.Or(c.MaxReaders, DefaultMaxReaders)
	c.PollTimeout = cmp.Or(c.PollTimeout, DefaultPollTimeout)
	c.StreamTime = cmp.Or(c.StreamTime, DefaultStreamTime)
	c.KeepAlive = cmp.Or(c.KeepAlive, DefaultKeepAlive)
	c.BodyTimeout = cmp.Or(c.BodyTimeout, DefaultBodyTimeout)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, DefaultWriteTime)
	policy := c.Policy.WithDefaults()
	c.Policy = &policy
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// Handler serves the streams of a store. [New] makes one. It is safe for concurrent use. It starts no goroutine of its own;
// [Handler.Shutdown] ends the requests that wait. Who may use it is decided in front of it.
type Handler struct {
	opts    Options
	store   eventlog.Store
	log     *slog.Logger
	catalog *catalog
	gate    service.Gate // requests
	readers atomic.Int64
	refused tally.Tally // by code
	counts  struct{ appends, duplicates, items, chunks, expired atomic.Uint64 }
	sweep   sync.Mutex
	swept   time.Time // under sweep

	mu      sync.Mutex // protects the following
	left    bool
	last    uint64
	waiting map[uint64]context.CancelFunc // requests that wait
}

// New returns a handler over the streams that store has, which is not closed by it. ctx bounds the reading of the catalog.
// Nil options mean the defaults.
func New(ctx context.Context, store eventlog.Store, o *Options) (*Handler, error) {
	opts := o.withDefaults()
	c, err := openCatalog(ctx, store)
	if err != nil {
		return nil, err
	}
	h := &Handler{opts: opts, store: store, log: opts.Logger, catalog: c, swept: time.Now(), waiting: map[uint64]context.CancelFunc{}}
	return h, nil
}

// Shutdown refuses new requests, ends those that wait (long-polls are answered, event streams end, and nobody misses anything)
// and returns when all are done, or when ctx ends with its error.
func (h *Handler) Shutdown(ctx context.Context) error {
	idle := h.gate.Shut()
	h.mu.Lock()
	h.left = true
	for _, cancel := range h.waiting {
		cancel()
	}
	h.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Stats are figures of a [Handler], for metrics; counters are since it was made.
type Stats struct {
	Topics     int    // streams there are, deleted ones with forks too
	Readers    int    // requests that wait now
	Appends    uint64 // that were taken
	Duplicates uint64 // that were there before
	Items      uint64 // that were read
	Chunks     uint64 // answers and events in which they were
	Expired    uint64 // streams that were deleted since their time was over
	Refused    map[string]uint64
}

// Stats returns figures of this moment.
func (h *Handler) Stats() Stats {
	return Stats{Topics: h.catalog.count(), Readers: int(h.readers.Load()), Appends: h.counts.appends.Load(), Duplicates: h.counts.duplicates.Load(),
		Items: h.counts.items.Load(), Chunks: h.counts.chunks.Load(), Expired: h.counts.expired.Load(), Refused: h.refused.Counts()}
}

// Names of headers of the protocol.
const (
	headerNext          = "Stream-Next-Offset"
	headerUpToDate      = "Stream-Up-To-Date"
	headerClosed        = "Stream-Closed"
	headerCursor        = "Stream-Cursor"
	headerTTL           = "Stream-TTL"
	headerExpires       = "Stream-Expires-At"
	headerSeq           = "Stream-Seq"
	headerForkedFrom    = "Stream-Forked-From"
	headerForkOffset    = "Stream-Fork-Offset"
	headerForkSubOffset = "Stream-Fork-Sub-Offset"
	headerProducer      = "Producer-Id"
	headerProducerEpoch = "Producer-Epoch"
	headerProducerSeq   = "Producer-Seq"
)

const exposed = "Stream-Next-Offset, Stream-Up-To-Date, Stream-Closed, Stream-Cursor, Stream-TTL, Stream-Expires-At, Stream-SSE-Data-Encoding, " +
	"Producer-Epoch, Producer-Seq, Producer-Expected-Seq, Producer-Received-Seq, ETag, Location, Retry-After"

const allowed = "GET, HEAD, POST, PUT, DELETE"

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cross-Origin-Resource-Policy", "cross-origin")
	if r.Header.Get("Origin") != "" {
		header.Set("Access-Control-Expose-Headers", exposed)
	}
	if !h.gate.Enter() {
		header.Set("Connection", "close")
		h.fail(w, r, errShuttingDown)
		return
	}
	defer h.gate.Leave()
	if err := h.serve(w, r); err != nil {
		h.fail(w, r, err)
	}
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) error {
	name, err := h.nameOf(r.URL.Path)
	if err != nil {
		return err
	}
	h.sweepExpired(r.Context())
	switch r.Method {
	case http.MethodPut:
		return h.create(w, r, name)
	case http.MethodPost:
		return h.append(w, r, name)
	case http.MethodGet:
		return h.read(w, r, name)
	case http.MethodHead:
		return h.head(w, r, name)
	case http.MethodDelete:
		return h.delete(w, r, name)
	}
	w.Header().Set("Allow", allowed)
	return &Error{http.StatusMethodNotAllowed, CodeMethodNotAllowed, "a stream takes " + allowed}
}

// nameOf returns the name of the stream at a path.
func (h *Handler) nameOf(path string) (string, error) {
	name, ok := strings.CutPrefix(path, h.opts.Prefix)
	switch {
	case !ok || name == "":
		return "", invalid("the path of a stream is %sNAME", h.opts.Prefix)
	case len(name) > eventlog.MaxName:
		return "", invalid("the name of a stream has at most %d bytes, not %d", eventlog.MaxName, len(name))
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return "", invalid("the name of a stream is text without control characters")
	case name == reserved || strings.HasPrefix(name, reserved+"/"):
		return "", &Error{http.StatusNotImplemented, CodeInvalidRequest, "names below " + reserved + " are reserved for subscriptions, which this server does not have"}
	}
	return name, nil
}

// reserved is the first part of names that are not for streams (section 6 of the protocol).
const reserved = "__ds"

// Info tells of a stream.
type Info struct {
	Name        string
	ContentType string
	NextOffset  string // behind the last item
	Closed      bool
	TTL         time.Duration // 0 means none
	Expires     time.Time     // zero means never
	Items       int           // that are kept, of its own
	Bytes       int           // that they have
}

// List returns the streams there are, by name: at most n behind a name. Streams that are deleted meanwhile are left out.
func (h *Handler) List(ctx context.Context, after string, n int) ([]Info, error) {
	if err := h.catalog.sync(ctx); err != nil {
		return nil, err
	}
	var infos []Info
	for _, st := range h.catalog.all() {
		if len(infos) == n {
			break
		}
		if st.Name <= after || st.soft || st.expired(time.Now()) {
			continue
		}
		if err := st.open(ctx, h.store); err != nil {
			return nil, err
		}
		b, err := st.bounds(ctx)
		if eventlog.CodeOf(err) == eventlog.CodeTopicDeleted {
			continue
		}
		if err != nil {
			return nil, err
		}
		infos = append(infos, Info{Name: st.Name, ContentType: st.ContentType, NextOffset: formatOffset(st.tail(b)), Closed: b.Ended,
			TTL: st.ttl(), Expires: st.Expires, Items: b.Count, Bytes: b.Bytes})
	}
	return infos, nil
}

// Topic returns the topic in which a stream's own items lie, for programs of the same process: those of [eventlog.Item.Data].
// What it has from the stream it was forked from is not among them. The error of a stream that is not there is an [*Error].
func (h *Handler) Topic(ctx context.Context, name string) (eventlog.Topic, error) {
	st, err := h.lookup(ctx, name)
	if err != nil {
		return nil, err
	}
	return st.topic, nil
}
