package sse

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/peal-dev/peal/admission"
)

// Codes of the errors a [Handler] answers with on its own account. Whatever the subscribe function returns has its own.
const (
	CodeMethodNotAllowed   = "method_not_allowed"    // 405: neither GET nor a CORS preflight
	CodeOriginNotAllowed   = "origin_not_allowed"    // 403: the page's origin is not in the CORS policy
	CodeShuttingDown       = "shutting_down"         // 503: Shutdown has been called
	CodeTooManyClients     = "too_many_clients"      // 503: Options.Admission let nobody in
	CodeTooManyFromAddress = "too_many_from_address" // 429: Options.Admission let nobody in from this address
	CodeInternal           = "internal"              // 500: subscribe failed with something else than an *Error
)

// Error refuses a subscription. Its code and message are sent to the client, so they must not hold secrets.
type Error struct {
	Status  int    // HTTP status; 0 means 400
	Code    string // stable, for programs
	Message string // for people: what is wrong and what to do
}

// Error returns the code and the message.
func (e *Error) Error() string { return fmt.Sprintf("sse: %s: %s", e.Code, e.Message) }

// notAdmitted refuses a stream for which there is no place.
func notAdmitted(err error) *Error {
	if errors.Is(err, admission.ErrAddress) {
		return &Error{Status: http.StatusTooManyRequests, Code: CodeTooManyFromAddress,
			Message: "as many clients of your address are connected as this server lets in; close some"}
	}
	return &Error{Status: http.StatusServiceUnavailable, Code: CodeTooManyClients,
		Message: "as many clients are connected as this server lets in; try again later"}
}

// refuse answers with err as JSON. An error that is not an *Error may hold what no client should read, so it is logged
// and the client gets a bare "internal".
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var e *Error
	if !errors.As(err, &e) {
		h.log.LogAttrs(r.Context(), slog.LevelError, "sse: subscribe failed",
			slog.String("path", r.URL.Path), slog.Any("error", err))
		e = &Error{Status: http.StatusInternalServerError, Code: CodeInternal, Message: "the subscription failed; see the server's log"}
	}
	h.refused.Add(e.Code)
	if h.opts.OnError != nil {
		h.opts.OnError(r, e)
	} else {
		h.often.Log(r.Context(), slog.LevelInfo, e.Code, "sse: streams are refused",
			slog.String("code", e.Code), slog.String("message", e.Message), slog.String("remote", r.RemoteAddr))
	}
	status := e.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	var body struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	body.Error.Code, body.Error.Message = e.Code, e.Message
	// Strings cannot fail to marshal.
	b, _ := json.Marshal(body)
	b = append(b, '\n')
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Length", strconv.Itoa(len(b)))
	h.dismiss(w, r)
	w.WriteHeader(status)
	// The client may have left; there is nobody else to tell.
	_, _ = w.Write(b)
}

// dismissal is how long net/http may wait for the rest of a body, which nobody wants, before it answers.
const dismissal = 2 * time.Second

// dismiss bounds what is left of a request that gets no stream. A writer without deadlines is a test's, and there is nothing
// to wait for then.
func (h *Handler) dismiss(w http.ResponseWriter, r *http.Request) {
	c, now := http.NewResponseController(w), time.Now()
	if r.ContentLength != 0 { // else net/http watches the connection
		_ = c.SetReadDeadline(now.Add(dismissal))
	}
	_ = c.SetWriteDeadline(now.Add(dismissal + h.opts.WriteTimeout))
}
