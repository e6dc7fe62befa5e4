package streamhttp

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// use is when a stream was read or written last.
type use struct{ at atomic.Int64 }

func (u *use) touch(now time.Time) { u.at.Store(now.UnixNano()) }

func (st *stream) ttl() time.Duration {
	if st.TTL == nil {
		return 0
	}
	return time.Duration(*st.TTL) * time.Second
}

// expired reports whether the time of a stream is over.
func (st *stream) expired(now time.Time) bool {
	return !st.Expires.IsZero() && !now.Before(st.Expires) || st.TTL != nil && now.Sub(time.Unix(0, st.use.at.Load())) >= st.ttl()
}

// open makes the topics of a stream ready.
func (st *stream) open(ctx context.Context, store eventlog.Store) error {
	st.opening.Lock()
	defer st.opening.Unlock()
	if st.topic != nil {
		return nil
	}
	var parts []part
	if st.Fork != nil {
		for _, s := range st.Fork.Segments {
			t, err := store.Topic(ctx, s.Topic, nil)
			if err != nil {
				return fmt.Errorf("streamhttp: stream %q: %w", st.Name, err)
			}
			parts = append(parts, s.part(t))
		}
	}
	t, err := store.Topic(ctx, st.Topic, nil)
	if err != nil {
		return fmt.Errorf("streamhttp: stream %q: %w", st.Name, err)
	}
	st.parts = append(parts, part{topic: t, begin: st.begin})
	st.topic = t
	return nil
}

func (st *stream) bounds(ctx context.Context) (eventlog.TopicBounds, error) {
	b, err := st.topic.Bounds(ctx)
	if err != nil {
		return b, fmt.Errorf("streamhttp: stream %q: %w", st.Name, err)
	}
	return b, nil
}

// tail returns the offset behind which the next item will be. A fork to which nothing was appended ends where it was forked.
func (st *stream) tail(b eventlog.TopicBounds) message.Offset {
	if b.Top == st.begin && st.Fork != nil {
		return st.Fork.upto()
	}
	return b.Top
}

// lookup returns a stream that is there, ready for use.
func (h *Handler) lookup(ctx context.Context, name string) (*stream, error) {
	if err := h.catalog.sync(ctx); err != nil {
		return nil, err
	}
	st := h.catalog.find(name)
	switch {
	case st == nil:
		return nil, notFound(name)
	case st.soft:
		return nil, errGone
	case st.expired(time.Now()):
		if err := h.expire(ctx, st); err != nil {
			return nil, err
		}
		return nil, notFound(name)
	}
	return st, st.open(ctx, h.store)
}

func (h *Handler) expire(ctx context.Context, st *stream) error {
	if err := h.catalog.delete(ctx, st); err != nil {
		return err
	}
	h.counts.expired.Add(1)
	return nil
}

// sweepEvery is how often streams that nobody asks for are looked at.
const sweepEvery = time.Minute

// sweepTime is how long one request looks after them; the next one goes on.
const sweepTime = 100 * time.Millisecond

// sweepExpired deletes streams whose time is over, now and then, on the goroutine of a request.
func (h *Handler) sweepExpired(ctx context.Context) {
	if !h.sweep.TryLock() {
		return
	}
	defer h.sweep.Unlock()
	now := time.Now()
	if now.Sub(h.swept) < sweepEvery {
		return
	}
	h.swept = now
	for _, st := range h.catalog.all() {
		if time.Since(now) > sweepTime {
			h.swept = time.Time{}
			return
		}
		if !st.soft && st.expired(now) {
			if err := h.expire(ctx, st); err != nil {
				h.log.LogAttrs(ctx, slog.LevelWarn, "expired topics were not deleted", slog.Any("error", err))
				return
			}
		}
	}
}

// head is HEAD.
func (h *Handler) head(w http.ResponseWriter, r *http.Request, name string) error {
	st, err := h.lookup(r.Context(), name)
	if err != nil {
		return err
	}
	b, err := st.bounds(r.Context())
	if err != nil {
		return err
	}
	header := st.header(w, b)
	if st.TTL != nil {
		header.Set(headerTTL, strconv.FormatInt(*st.TTL, 10))
	}
	if !st.Expires.IsZero() {
		header.Set(headerExpires, st.Expires.Format(time.RFC3339Nano))
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// header writes what every answer says of a stream with those bounds, and returns the header.
func (st *stream) header(w http.ResponseWriter, b eventlog.TopicBounds) http.Header {
	header := w.Header()
	header.Set("Content-Type", st.ContentType)
	header.Set("Cache-Control", "no-store")
	header.Set(headerNext, formatOffset(st.tail(b)))
	if b.Ended {
		header.Set(headerClosed, "true")
	}
	return header
}

// delete is DELETE.
func (h *Handler) delete(w http.ResponseWriter, r *http.Request, name string) error {
	st, err := h.lookup(r.Context(), name)
	if err != nil {
		return err
	}
	if err := h.catalog.delete(r.Context(), st); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
