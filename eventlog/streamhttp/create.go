package streamhttp

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// wanted is what a PUT asks for.
type wanted struct {
	contentType string // empty if it does not say
	ttl         *int64
	expires     time.Time
	closed      bool
	body        []byte
	from        string // name of the stream to fork, or empty
	at          string
	sub         uint64
}

// isTrue reads Stream-Closed, of which anything else is as if it were not there.
func isTrue(s string) bool { return strings.EqualFold(strings.TrimSpace(s), "true") }

// present returns a header, and whether it is there.
func present(r *http.Request, name string) (string, bool) {
	values := r.Header.Values(name)
	if len(values) == 0 {
		return "", false
	}
	return values[0], true
}

func (h *Handler) parseCreate(r *http.Request) (*wanted, error) {
	q := &wanted{contentType: r.Header.Get("Content-Type"), closed: isTrue(r.Header.Get(headerClosed))}
	if q.contentType != "" {
		if _, ok := mediaType(q.contentType); !ok || len(q.contentType) > maxType {
			return nil, invalid("Content-Type %.100q is no content type", q.contentType)
		}
	}
	ttl, hasTTL := present(r, headerTTL)
	if hasTTL {
		n, ok := number(ttl, math.MaxInt64/uint64(time.Second))
		if !ok {
			return nil, invalid(headerTTL + " is a number of seconds, without sign or leading zeros")
		}
		seconds := int64(n)
		q.ttl = &seconds
	}
	if expires, ok := present(r, headerExpires); ok {
		if hasTTL {
			return nil, invalid("there is either " + headerTTL + " or " + headerExpires)
		}
		at, err := time.Parse(time.RFC3339, expires)
		if at = at.UTC(); err != nil || at.IsZero() || at.Year() < 1 || at.Year() > 9999 {
			return nil, invalid(headerExpires + " is a time as RFC 3339 has it, such as 2030-01-31T00:00:00Z")
		}
		q.expires = at
	}
	from, forks := present(r, headerForkedFrom)
	var hasAt, hasSub bool
	q.at, hasAt = present(r, headerForkOffset)
	sub, hasSub := present(r, headerForkSubOffset)
	if !forks {
		if hasAt || hasSub {
			return nil, invalid(headerForkOffset + " and " + headerForkSubOffset + " come with " + headerForkedFrom)
		}
		return q, nil
	}
	var err error
	if q.from, err = h.nameOf(from); err != nil {
		return nil, err
	}
	if hasSub {
		var ok bool
		if q.sub, ok = number(sub, 1<<53-1); !ok {
			return nil, invalid(headerForkSubOffset + " is a number, without sign or leading zeros")
		}
	}
	if _, ok := parseOffset(q.at); hasAt && !ok {
		return nil, &Error{http.StatusBadRequest, CodeInvalidOffset, headerForkOffset + " is not an offset of this server"}
	}
	return q, nil
}

// create is PUT.
func (h *Handler) create(w http.ResponseWriter, r *http.Request, name string) error {
	q, err := h.parseCreate(r)
	if err != nil {
		return err
	}
	if q.body, err = h.body(w, r); err != nil {
		return err
	}
	st, made, err := h.ensure(r.Context(), name, q)
	if err != nil {
		return err
	}
	b, err := st.bounds(r.Context())
	if err != nil {
		return err
	}
	header := st.header(w, b)
	if !made {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	if r.Host != "" {
		header.Set("Location", scheme+"://"+r.Host+r.URL.EscapedPath())
	} else {
		header.Set("Location", r.URL.EscapedPath())
	}
	w.WriteHeader(http.StatusCreated)
	return nil
}

// ensure returns the stream that is asked for, and whether it was made.
func (h *Handler) ensure(ctx context.Context, name string, q *wanted) (*stream, bool, error) {
	for {
		st, err := h.lookup(ctx, name)
		var e *Error
		switch {
		case err == nil:
			return st, false, st.matches(ctx, q)
		case errors.As(err, &e) && e.Code == CodeTopicGone:
			return nil, false, &Error{http.StatusConflict, CodeTopicGone, "the stream was deleted, and still has forks: the name is free once they are deleted"}
		case !errors.As(err, &e) || e.Code != CodeTopicNotFound:
			return nil, false, err
		}
		made, err := h.make(ctx, name, q)
		if err != nil {
			return nil, false, err
		}
		if made {
			if st = h.catalog.find(name); st != nil { // even if it has expired since: it was made
				return st, true, st.open(ctx, h.store)
			}
			st, err = h.lookup(ctx, name)
			return st, true, err
		}
	}
}

// matches returns an error unless the stream is what is asked for (section 5.1 of the protocol).
func (st *stream) matches(ctx context.Context, q *wanted) error {
	b, err := st.bounds(ctx)
	if err != nil {
		return err
	}
	want := *q
	forked := st.Fork != nil
	if want.contentType == "" && !(forked && q.from != "") {
		want.contentType = defaultType
	}
	same := (want.contentType == "" || sameType(want.contentType, st.ContentType)) && q.closed == b.Ended && forked == (q.from != "")
	if forked && same {
		f := st.Fork
		same = f.From == q.from && f.Sub == q.sub && (q.at == f.At || q.at != "" && q.at == f.Resolved)
		if q.ttl == nil && q.expires.IsZero() {
			want.ttl, want.expires = st.TTL, st.Expires // what it has from its source
		}
	}
	if !same || (want.ttl == nil) != (st.TTL == nil) || want.ttl != nil && *want.ttl != *st.TTL || !want.expires.Equal(st.Expires) {
		return errExists
	}
	return nil
}

// make makes a stream. It reports false if there is one by now.
func (h *Handler) make(ctx context.Context, name string, q *wanted) (bool, error) {
	c := h.catalog
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.count() >= h.opts.MaxTopics {
		return false, &Error{http.StatusTooManyRequests, CodeTooManyTopics, "this server has as many streams as it may"}
	}
	st := record{Op: opCreate, Name: name, ContentType: q.contentType, TTL: q.ttl, Expires: q.expires}
	var after message.Offset
	if q.from != "" {
		if err := h.inherit(ctx, &st, q); err != nil {
			return false, err
		}
		after = st.Fork.upto()
	}
	if st.ContentType == "" {
		st.ContentType = defaultType
	}
	items, err := messages(st.ContentType, q.body)
	if err != nil {
		return false, err
	}
	topic, t, begin, err := h.later(ctx, after)
	if err != nil {
		return false, err
	}
	st.Topic, st.Begin = topic, formatOffset(begin)
	done := false
	defer func() {
		if !done {
			_ = h.store.Delete(context.WithoutCancel(ctx), topic) // else it goes when the store is opened again
		}
	}()
	if len(items) > 0 || q.closed {
		if _, err := t.Append(ctx, &eventlog.Batch{Items: items, End: q.closed}); err != nil {
			return false, err
		}
	}
	for {
		if err := c.sync(ctx); err != nil {
			return false, err
		}
		if now := c.find(name); now != nil {
			done = now.Topic == topic // it was written though that was not certain
			return done, nil
		}
		if source := c.find(q.from); q.from != "" && (source == nil || source.soft) {
			return false, nil // it was deleted meanwhile: the next look says so
		}
		if done, err = c.write(ctx, st); err != nil || done {
			// What is not certain may yet be there, and needs its topic then.
			done = done || errors.Is(err, eventlog.ErrUncertain)
			return done && err == nil, err
		}
	}
}

// inherit fills in what a stream has from its source. The caller holds the catalog's writing.
func (h *Handler) inherit(ctx context.Context, st *record, q *wanted) error {
	source := h.catalog.find(q.from)
	switch {
	case source == nil:
		return notFound(q.from)
	case source.soft:
		return &Error{http.StatusConflict, CodeTopicGone, "the stream to fork was deleted"}
	case source.expired(time.Now()):
		return notFound(q.from)
	}
	if err := source.open(ctx, h.store); err != nil {
		return err
	}
	if st.ContentType == "" {
		st.ContentType = source.ContentType
	} else if !sameType(st.ContentType, source.ContentType) {
		return errContentType
	}
	if st.TTL == nil && st.Expires.IsZero() {
		st.TTL, st.Expires = source.TTL, source.Expires
	}
	var err error
	st.Fork, err = newFork(ctx, source, q.at, q.sub)
	return err
}
