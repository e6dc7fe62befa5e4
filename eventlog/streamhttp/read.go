package streamhttp

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// chunk is what is read of a stream at once.
type chunk struct {
	items    []eventlog.Item
	next     message.Offset // behind the items
	upToDate bool           // and there is nothing more
	closed   bool           // and never will be
}

// readItems is how many items are read from the store at once.
const readItems = 512

// chunk reads what lies behind an offset, of which zero is the beginning.
func (h *Handler) chunk(ctx context.Context, st *stream, after message.Offset) (c chunk, err error) {
	c.next = after
	size := 0
	for {
		items, err := st.items(ctx, c.next, readItems)
		if err != nil {
			return c, err
		}
		n := 0
		for n < len(items) && size < h.opts.MaxChunk {
			size += len(items[n].Data)
			c.next = items[n].Offset
			n++
		}
		c.items = append(c.items, items[:n]...)
		if n > 0 && n == len(items) && size < h.opts.MaxChunk {
			continue
		}
		b, err := st.bounds(ctx)
		if err != nil {
			return c, err
		}
		tail := st.tail(b)
		if c.next.IsZero() && b.Count == 0 {
			c.next = tail // all there was is trimmed, or nothing was
		}
		if c.upToDate = c.next.Compare(tail) >= 0; c.upToDate || n > 0 {
			c.closed = c.upToDate && b.Ended
			return c, nil
		}
		// Something was appended since.
	}
}

// body returns the bytes of a chunk: with JSON an array, else one item behind the other.
func (c *chunk) body(contentType string) []byte {
	var b bytes.Buffer
	if !isJSON(contentType) {
		for i := range c.items {
			b.Write(c.items[i].Data)
		}
		return b.Bytes()
	}
	b.WriteByte('[')
	for i := range c.items {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(c.items[i].Data)
	}
	b.WriteByte(']')
	return b.Bytes()
}

// query is what a GET asks for.
type query struct {
	after  message.Offset
	now    bool
	live   string
	cursor string
}

// Values of live.
const (
	livePoll = "long-poll"
	liveSSE  = "sse"
)

func parseQuery(r *http.Request) (q query, err error) {
	values := r.URL.Query()
	q.live, q.cursor = values.Get("live"), values.Get("cursor")
	if q.live != "" && q.live != livePoll && q.live != liveSSE || values.Has("live") && q.live == "" {
		return q, invalid("live is %s or %s", livePoll, liveSSE)
	}
	offsets, has := values["offset"]
	switch {
	case !has && q.live != "":
		return q, invalid("live needs an offset: -1 for the beginning, now for the end")
	case !has:
		return q, nil
	case len(offsets) > 1:
		return q, invalid("there is more than one offset")
	case offsets[0] == "-1":
		return q, nil
	case offsets[0] == "now":
		q.now = true
		return q, nil
	}
	var ok bool
	if q.after, ok = parseOffset(offsets[0]); !ok {
		return q, &Error{http.StatusBadRequest, CodeInvalidOffset, "this is not an offset of this server"}
	}
	return q, nil
}

// read is GET.
func (h *Handler) read(w http.ResponseWriter, r *http.Request, name string) error {
	q, err := parseQuery(r)
	if err != nil {
		return err
	}
	st, err := h.lookup(r.Context(), name)
	if err != nil {
		return err
	}
	st.use.touch(time.Now())
	var c chunk
	if q.now {
		c, err = h.end(r.Context(), st)
	} else {
		c, err = h.chunk(r.Context(), st, q.after)
	}
	if err != nil {
		return err
	}
	switch {
	case q.live == liveSSE:
		return h.stream(w, r, st, &q, c)
	case q.live == livePoll && len(c.items) == 0 && !c.closed:
		return h.poll(w, r, st, &q, c.next)
	}
	return h.answer(w, r, st, &q, c)
}

// end returns the chunk at the end of a stream, which has no items.
func (h *Handler) end(ctx context.Context, st *stream) (chunk, error) {
	b, err := st.bounds(ctx)
	return chunk{next: st.tail(b), upToDate: true, closed: b.Ended}, err
}

// answer answers with a chunk.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, st *stream, q *query, c chunk) error {
	header := w.Header()
	header.Set(headerNext, formatOffset(c.next))
	if c.upToDate {
		header.Set(headerUpToDate, "true")
	}
	if c.closed {
		header.Set(headerClosed, "true")
	} else if q.live != "" {
		header.Set(headerCursor, nextCursor(q.cursor, time.Now()))
	}
	if q.live == livePoll && len(c.items) == 0 {
		header.Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	header.Set("Content-Type", st.ContentType)
	switch {
	case q.now:
		header.Set("Cache-Control", "no-store")
	case c.upToDate: // there may be more by the next time
		header.Set("Cache-Control", "private, no-cache")
	default:
		header.Set("Cache-Control", "private, max-age=60, stale-while-revalidate=300")
	}
	if !q.now {
		tag := `"` + strings.TrimPrefix(st.Topic, topicPrefix) + ":" + formatOffset(q.after) + ":" + formatOffset(c.next)
		if c.closed {
			tag += ":c"
		}
		tag += `"`
		header.Set("ETag", tag)
		if matches(r.Header.Get("If-None-Match"), tag) {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	body := c.body(st.ContentType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	setWriteDeadline(w, h.opts.WriteTimeout)
	h.delivered(&c)
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body) // who has left comes again
	return nil
}

func (h *Handler) delivered(c *chunk) {
	h.counts.items.Add(uint64(len(c.items)))
	h.counts.chunks.Add(1)
}

// matches reports whether a list of entity tags has one.
func matches(list, tag string) bool {
	for t := range strings.SplitSeq(list, ",") {
		if t = strings.TrimPrefix(strings.TrimSpace(t), "W/"); t == tag || t == "*" {
			return true
		}
	}
	return false
}

// waits counts a request that waits, unless there are too many. Then leave has to follow.
func (h *Handler) waits() error {
	if h.readers.Add(1) > int64(h.opts.MaxReaders) {
		h.readers.Add(-1)
		return &Error{http.StatusTooManyRequests, CodeTooManyReaders, "as many requests wait as may; try again, or read without live"}
	}
	return nil
}

// during returns a context for a request that waits, which also ends with the handler.
func (h *Handler) during(r *http.Request, most time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(r.Context(), most)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.left {
		cancel()
		return ctx, cancel
	}
	h.last++
	id := h.last
	h.waiting[id] = cancel
	return ctx, func() {
		h.mu.Lock()
		delete(h.waiting, id)
		h.mu.Unlock()
		cancel()
	}
}

// poll waits for what comes behind an offset, at which the stream ends, and answers with it, or that there is nothing.
func (h *Handler) poll(w http.ResponseWriter, r *http.Request, st *stream, q *query, after message.Offset) error {
	if err := h.waits(); err != nil {
		return err
	}
	defer h.readers.Add(-1)
	ctx, cancel := h.during(r, h.opts.PollTimeout)
	defer cancel()
	err := st.wait(ctx, after)
	setWriteDeadline(w, h.opts.WriteTimeout)
	var c chunk
	switch {
	case err == nil:
		c, err = h.chunk(r.Context(), st, after)
	case ctx.Err() != nil && r.Context().Err() == nil:
		c, err = h.chunk(r.Context(), st, after) // as it is now: something may just have come
	}
	if errors.Is(err, eventlog.ErrDeleted) {
		return notFound(st.Name)
	}
	if err != nil {
		return err
	}
	q.now, q.after = false, after
	return h.answer(w, r, st, q, c)
}

// Cursors count intervals since a day (section 10.1 of the protocol).
const cursorInterval = 20 * time.Second

var cursorEpoch = time.Date(2024, time.October, 9, 0, 0, 0, 0, time.UTC)

// maxJitter is by how much a cursor that is not behind the time is moved on at most.
const maxJitter = 3600 * time.Second

// nextCursor returns a cursor behind the client's.
func nextCursor(client string, now time.Time) string {
	cursor := uint64(now.Sub(cursorEpoch) / cursorInterval)
	if theirs, ok := number(client, maxInteger); ok && theirs >= cursor {
		cursor = theirs + 1 + rand.Uint64N(uint64(maxJitter/cursorInterval))
	}
	return strconv.FormatUint(cursor, 10)
}
