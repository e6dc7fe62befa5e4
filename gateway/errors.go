package gateway

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/peal-dev/peal/socketio"
	"github.com/peal-dev/peal/sse"
)

// Codes of the errors that clients and backends receive. docs/errors.md says what each means and what to do.
const (
	CodeTokenRequired      = "token_required"
	CodeInvalidToken       = "invalid_token"
	CodeOriginNotAllowed   = sse.CodeOriginNotAllowed
	CodeHostNotAllowed     = "host_not_allowed"
	CodeNotFound           = "not_found"
	CodeMethodNotAllowed   = sse.CodeMethodNotAllowed
	CodeInvalidJSON        = "invalid_json"
	CodeInvalidRequest     = "invalid_request"
	CodeBodyTooLarge       = "body_too_large"
	CodeInvalidEvent       = "invalid_event"
	CodeInvalidArgs        = "invalid_args"
	CodeInvalidRoom        = "invalid_room"
	CodeTooManyRooms       = "too_many_rooms"
	CodeUnknownNamespace   = "unknown_namespace"
	CodeWrongNamespace     = "wrong_namespace"
	CodeRateLimited        = "rate_limited"
	CodeClusterUnavailable = "cluster_unavailable"
	CodeTopicsOff          = "topics_off"
	CodeUnsendable         = "unsendable"
	CodeTooManyClients     = sse.CodeTooManyClients
	CodeTooManyFromAddress = sse.CodeTooManyFromAddress
	CodeShuttingDown       = sse.CodeShuttingDown
	CodeInternal           = sse.CodeInternal
)

// statuses are the HTTP statuses of the codes; those not listed are 400.
var statuses = map[string]int{
	CodeTokenRequired:      http.StatusUnauthorized,
	CodeInvalidToken:       http.StatusUnauthorized,
	CodeOriginNotAllowed:   http.StatusForbidden,
	CodeHostNotAllowed:     http.StatusForbidden,
	CodeNotFound:           http.StatusNotFound,
	CodeUnknownNamespace:   http.StatusNotFound,
	CodeMethodNotAllowed:   http.StatusMethodNotAllowed,
	CodeBodyTooLarge:       http.StatusRequestEntityTooLarge,
	CodeRateLimited:        http.StatusTooManyRequests,
	CodeClusterUnavailable: http.StatusServiceUnavailable,
	CodeTopicsOff:          http.StatusNotImplemented,
	CodeShuttingDown:       http.StatusServiceUnavailable,
	CodeInternal:           http.StatusInternalServerError,
}

// apiError is a refusal, told in the same words whichever way the request came.
type apiError struct{ code, message string }

func (e *apiError) Error() string { return e.code + ": " + e.message }

func (e *apiError) status() int {
	if status := statuses[e.code]; status != 0 {
		return status
	}
	return http.StatusBadRequest
}

// forSocket makes err what package socketio sends to the client.
func forSocket(err error) error {
	var e *apiError
	if errors.As(err, &e) {
		return &socketio.Error{Code: e.code, Message: e.message}
	}
	return err
}

// forStream makes err what package sse answers with.
func forStream(err error) error {
	var e *apiError
	if errors.As(err, &e) {
		return &sse.Error{Status: e.status(), Code: e.code, Message: e.message}
	}
	return err
}

// fail answers an HTTP request with err. One that is no apiError may hold what no client should read and is logged.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	var e *apiError
	if !errors.As(err, &e) {
		s.log.LogAttrs(r.Context(), slog.LevelError, "request failed", slog.String("path", r.URL.Path), slog.Any("error", err))
		e = &apiError{CodeInternal, "the request failed; see the server's log"}
	}
	s.requestRefused(r, e)
	if e.code == CodeTokenRequired || e.code == CodeInvalidToken {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	type body struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	respond(w, e.status(), map[string]body{"error": {e.code, e.message}})
}

// respond answers with v as JSON.
func respond(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		// Only this package's own structs of strings and numbers come here.
		panic(err)
	}
	b = append(b, '\n')
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	// The client may have left; there is nobody else to tell.
	_, _ = w.Write(b)
}
