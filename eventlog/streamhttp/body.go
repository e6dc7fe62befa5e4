package streamhttp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/peal-dev/peal/eventlog"
)

// defaultType is the content type of streams that are made without one.
const defaultType = "application/octet-stream"

// maxType bounds content types, which are kept for each stream.
const maxType = 512

// mediaType returns what content types are compared by.
func mediaType(s string) (string, bool) {
	t, _, err := mime.ParseMediaType(s)
	if err != nil {
		t, _, _ = strings.Cut(s, ";")
		t = strings.ToLower(strings.TrimSpace(t))
	}
	return t, strings.Count(t, "/") == 1 && !strings.ContainsAny(t, " \t")
}

func sameType(a, b string) bool {
	x, _ := mediaType(a)
	y, _ := mediaType(b)
	return x == y
}

func isJSON(contentType string) bool { return sameType(contentType, "application/json") }

// isText reports whether data goes into an event as it is.
func isText(contentType string) bool {
	t, _ := mediaType(contentType)
	return strings.HasPrefix(t, "text/") || t == "application/json"
}

// body reads the body of a request within its time and size.
func (h *Handler) body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength != 0 {
		setReadDeadline(w, h.opts.BodyTimeout)
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(h.opts.MaxBody)))
	setWriteDeadline(w, h.opts.BodyTimeout+h.opts.WriteTimeout) // the body took its time
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, &Error{http.StatusRequestEntityTooLarge, CodeBodyTooLarge, fmt.Sprintf("the body is longer than the %d bytes this server takes", h.opts.MaxBody)}
	case err != nil:
		return nil, errBodyMissing
	}
	return b, nil
}

// Deadlines of a request; a writer without them is a test's.
func setReadDeadline(w http.ResponseWriter, within time.Duration) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(within))
}

func setWriteDeadline(w http.ResponseWriter, within time.Duration) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(within))
}

// messages makes the items of a body: one, or with JSON one for each message, of which an array has many.
func messages(contentType string, body []byte) ([]eventlog.Item, error) {
	if !isJSON(contentType) {
		if len(body) == 0 {
			return nil, nil
		}
		return []eventlog.Item{{Data: body}}, nil
	}
	text := bytes.TrimSpace(body)
	if len(text) == 0 {
		return nil, nil
	}
	if !utf8.Valid(text) {
		return nil, &Error{http.StatusBadRequest, CodeInvalidJSON, "the body is no JSON: it is not UTF-8"}
	}
	bad := func(err error) error {
		return &Error{http.StatusBadRequest, CodeInvalidJSON, "the body is no JSON: " + err.Error()}
	}
	if text[0] != '[' {
		if err := checkJSON(text); err != nil {
			return nil, bad(err)
		}
		return []eventlog.Item{{Data: text}}, nil
	}
	var values []json.RawMessage
	if err := json.Unmarshal(text, &values); err != nil {
		return nil, bad(err)
	}
	items := make([]eventlog.Item, len(values))
	for i, v := range values {
		items[i].Data = v
	}
	return items, nil
}

func checkJSON(text []byte) error {
	var v json.RawMessage
	return json.Unmarshal(text, &v)
}

// pauseUntil waits for a time of the clock, in milliseconds.
func pauseUntil(ctx context.Context, ms uint64) error {
	timer := time.NewTimer(time.Until(time.UnixMilli(int64(ms))) + time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
