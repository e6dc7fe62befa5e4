package engineio

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/peal-dev/peal/admission"
)

// ErrorCode is the code of a refused request, as clients see it.
type ErrorCode int

// The codes of the protocol's error table.
const (
	UnknownTransport   ErrorCode = iota // the transport parameter is missing or not allowed
	UnknownSession                      // the sid parameter names no session of this server
	BadHandshakeMethod                  // a session is opened by GET only
	BadRequest                          // see ConnectionError.Name
	Forbidden                           // Options.AllowRequest or the origin policy refused
	UnsupportedVersion                  // the EIO parameter is not 4
	Overloaded                          // Options.Admission let nobody in; not in the protocol's table
)

var codeMessages = [...]string{
	"Transport unknown", "Session ID unknown", "Bad handshake method", "Bad request", "Forbidden", "Unsupported protocol version",
	"Too many connections",
}

// ConnectionError says why a request was refused. Options.OnError is given one for each refusal.
type ConnectionError struct {
	Code    ErrorCode
	Message string        // as sent to the client
	Name    string        // tells the kinds of a code apart, such as TRANSPORT_MISMATCH
	Detail  string        // what was wrong, for the log
	Err     error         // the cause, if there is one
	Request *http.Request // the refused request
}

// Error returns message, name and detail.
func (e *ConnectionError) Error() string {
	s := fmt.Sprintf("engineio: request refused: %s (code %d)", e.Message, e.Code)
	if e.Name != "" {
		s += ": " + e.Name
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Reason says why in a word that does not depend on the request and is the same for all doors, such as "origin_not_allowed":
// see Stats.Refused.
func (e *ConnectionError) Reason() string {
	if e.Name != "" {
		return strings.ToLower(e.Name)
	}
	return strings.ToLower(strings.ReplaceAll(codeMessages[e.Code], " ", "_"))
}

// status is the HTTP status of the answer.
func (e *ConnectionError) status() int {
	switch {
	case e.Code == Forbidden:
		return http.StatusForbidden
	case e.Code == Overloaded && errors.Is(e.Err, admission.ErrAddress):
		return http.StatusTooManyRequests
	case e.Code == Overloaded:
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}

// notAdmitted refuses a session for which there is no place.
func notAdmitted(err error) *ConnectionError {
	e := refused(Overloaded, strings.ToUpper(admission.Reason(err)), "")
	e.Err = err
	return e
}

// Unwrap returns the cause.
func (e *ConnectionError) Unwrap() error { return e.Err }

func refused(code ErrorCode, name, detail string) *ConnectionError {
	return &ConnectionError{Code: code, Message: codeMessages[code], Name: name, Detail: detail}
}

var (
	// ErrClosed is returned when something is sent to a session that has ended.
	ErrClosed = errors.New("engineio: the session is closed")
	// ErrSlowConsumer ends a session whose client reads too slowly: more than Options.SendBuffer
	// bytes wait for it, or PollBuffer on polling.
	ErrSlowConsumer = errors.New("engineio: slow consumer: too many bytes wait for the client")
	// ErrDropped is returned for a volatile message that the session cannot take now.
	ErrDropped = errors.New("engineio: volatile message dropped: the client is busy")
)

// refuse answers a refused request: JSON to a plain one, text to one that asked for an upgrade.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, e *ConnectionError) {
	e.Request = r
	reason := e.Reason()
	s.refused.Add(reason)
	if s.opts.OnError != nil {
		s.opts.OnError(e)
	} else {
		s.often.Log(r.Context(), slog.LevelInfo, reason, "engineio: clients are refused",
			slog.String("reason", reason), slog.Any("err", e), slog.String("remote", r.RemoteAddr))
	}
	s.log.Debug("engineio: request refused", "err", e, "path", r.URL.Path, "remote", r.RemoteAddr)
	s.dismiss(w, r)
	status := e.status()
	if e.Code == Overloaded {
		w.Header().Set("Retry-After", "5")
	}
	h := w.Header()
	if isUpgrade(r) {
		h.Set("Connection", "close")
		h.Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(e.Message)) // a client that has gone needs no answer
		return
	}
	body, _ := json.Marshal(struct { // cannot fail
		Code    ErrorCode `json:"code"`
		Message string    `json:"message"`
	}{e.Code, e.Message})
	h.Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
