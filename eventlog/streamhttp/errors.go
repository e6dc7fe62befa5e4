package streamhttp

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/peal-dev/peal/eventlog"
)

// Codes of refusals, beside those of package eventlog.
const (
	CodeTopicNotFound    = "topic_not_found"
	CodeTopicExists      = "topic_exists"
	CodeTopicGone        = "topic_gone"
	CodeContentType      = "content_type_mismatch"
	CodeStreamSeq        = "stream_seq_regressed"
	CodeInvalidOffset    = "invalid_offset"
	CodeInvalidRequest   = "invalid_request"
	CodeInvalidJSON      = "invalid_json"
	CodeBodyTooLarge     = "body_too_large"
	CodeTooManyReaders   = "too_many_readers"
	CodeTooManyTopics    = "too_many_topics"
	CodeMethodNotAllowed = "method_not_allowed"
	CodeShuttingDown     = "shutting_down"
	CodeInternal         = "internal"
)

// Error is a refusal as a client gets it: {"error":{"code","message"}}.
type Error struct {
	Status        int // of HTTP
	Code, Message string
}

// Error returns the code and the message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

func invalid(format string, args ...any) error {
	return &Error{http.StatusBadRequest, CodeInvalidRequest, fmt.Sprintf(format, args...)}
}

func notFound(name string) error {
	return &Error{http.StatusNotFound, CodeTopicNotFound, "there is no stream " + strconv.Quote(name)}
}

var (
	errGone         = &Error{http.StatusGone, CodeTopicGone, "the stream was deleted; only its forks still have what it had"}
	errClosed       = &Error{http.StatusConflict, eventlog.CodeTopicEnded, "the stream is closed"}
	errContentType  = &Error{http.StatusConflict, CodeContentType, "the stream has another content type"}
	errExists       = &Error{http.StatusConflict, CodeTopicExists, "there is a stream of this name that was made in another way"}
	errBodyMissing  = &Error{http.StatusBadRequest, CodeInvalidRequest, "the body did not arrive whole"}
	errShuttingDown = &Error{http.StatusServiceUnavailable, CodeShuttingDown, "this node is shutting down; try again to reach another"}
)

// known makes an error of the store one for the client, or returns nil if it is not for clients.
func known(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	answer := func(status int, message string) *Error { return &Error{status, eventlog.CodeOf(err), message} }
	switch eventlog.CodeOf(err) {
	case eventlog.CodeOffsetNotCovered:
		return answer(http.StatusGone, "what lies behind this offset is not kept any more, or never was here: begin at offset=-1 for the oldest that is kept")
	case eventlog.CodeProducerFenced:
		return answer(http.StatusForbidden, "another producer of this Producer-Id has taken over with a greater Producer-Epoch")
	case eventlog.CodeProducerSequence:
		var gap *eventlog.SequenceError
		if errors.As(err, &gap) && gap.NewEpoch {
			return answer(http.StatusBadRequest, "a new Producer-Epoch begins with Producer-Seq 0")
		}
		return answer(http.StatusConflict, "numbers before this Producer-Seq are missing")
	case eventlog.CodeTopicEnded:
		return errClosed
	case eventlog.CodeTopicDeleted:
		return &Error{http.StatusNotFound, CodeTopicNotFound, "the stream was deleted"}
	case eventlog.CodeInvalidBatch:
		return answer(http.StatusRequestEntityTooLarge, "this is more at once than the store takes or the stream keeps")
	case eventlog.CodeStoreFull:
		return answer(http.StatusInsufficientStorage, "the store is full")
	case eventlog.CodeStoreBusy:
		return answer(http.StatusServiceUnavailable, "too many appends wait for the store")
	case eventlog.CodeStoreUncertain:
		return answer(http.StatusServiceUnavailable, "it is not known whether this was kept: with Producer-Id it can be sent again safely")
	case eventlog.CodeStoreFailed, eventlog.CodeStoreClosed, eventlog.CodeStoreUnavailable:
		return answer(http.StatusServiceUnavailable, "the store takes nothing now; see the log of the server")
	}
	return nil
}

// fail answers with err. One that is not for clients is logged.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := known(err)
	if e == nil {
		if r.Context().Err() != nil {
			e = errBodyMissing // nobody is there to read it
		} else {
			h.log.LogAttrs(r.Context(), slog.LevelError, "topic request failed", slog.String("path", r.URL.Path), slog.Any("error", err))
			e = &Error{http.StatusInternalServerError, CodeInternal, "the request failed; see the log of the server"}
		}
	}
	h.refused.Add(e.Code)
	if h.opts.OnError != nil {
		h.opts.OnError(r, e)
	}
	header := w.Header()
	var (
		fenced *eventlog.FencedError
		gap    *eventlog.SequenceError
	)
	switch {
	case errors.As(err, &fenced):
		header.Set(headerProducerEpoch, strconv.FormatUint(fenced.Current, 10))
	case errors.As(err, &gap) && e.Status == http.StatusConflict:
		header.Set("Producer-Expected-Seq", strconv.FormatUint(gap.Expected, 10))
		header.Set("Producer-Received-Seq", strconv.FormatUint(gap.Seq, 10))
	}
	switch e.Status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusInsufficientStorage:
		header.Set("Retry-After", "1")
	}
	type body struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	b, _ := json.Marshal(map[string]body{"error": {e.Code, e.Message}}) // strings always can be
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Length", strconv.Itoa(len(b)+1))
	w.WriteHeader(e.Status)
	_, _ = w.Write(append(b, '\n')) // the client may have left
}
