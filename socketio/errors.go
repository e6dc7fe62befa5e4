package socketio

import (
	"errors"
	"fmt"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/engineio"
)

// Errors that methods return, wrapped or as they are; test for them with errors.Is.
var (
	// ErrDisconnected means that the socket is not connected any more.
	ErrDisconnected = errors.New("socketio: socket is disconnected")
	// ErrSlowConsumer means that the client does not take what is sent to it; its connection is being closed.
	ErrSlowConsumer = errors.New("socketio: client is too slow, connection closed")
	// ErrDropped means that a volatile event was dropped because the client could not take it at once.
	ErrDropped = errors.New("socketio: volatile event dropped")
	// ErrIncomplete means that not every node of the cluster has answered; what the others answered is returned beside.
	// An [adapter.IncompleteError] in it says what is missing.
	ErrIncomplete = adapter.ErrIncomplete
	// ErrNoAck means that the client did not ask for an acknowledgement.
	ErrNoAck = errors.New("socketio: client did not ask for an acknowledgement")
	// ErrAcked means that the event was acknowledged before.
	ErrAcked = errors.New("socketio: event is acknowledged already")
)

// Codes of the [*Error] values that the package itself sends to clients.
const (
	// CodeInternal stands for an error or panic whose text is not for the client.
	CodeInternal = "internal"
	// CodeBadArgument means that an argument of an event does not fit the handler's parameter.
	CodeBadArgument = "bad_argument"
	// CodeAuthTooLarge means that what a client sent to join a namespace is longer than [Options].AuthLimit. The refusal
	// has it as the code of its data.
	CodeAuthTooLarge = "auth_too_large"
	// CodeShuttingDown means that an event arrived when the server was shutting down, and was not handled.
	CodeShuttingDown = "shutting_down"
)

// errInternal is what the client is told of an error that is not for it.
var errInternal = &Error{Code: CodeInternal, Message: "internal error"}

// Error is an error meant for the client. A handler that returns one has it sent as the acknowledgement; a connection
// middleware that returns one refuses the connection with its message and data; the UnmarshalJSON of a handler's parameter
// may return one to say in its own words what it takes. A wrapped *Error counts too. Of any other error the client is told
// that it is internal, and the log what it is.
type Error struct {
	// Code is for programs: a short constant such as "not_found". A refused connection does not show it.
	Code string `json:"code"`
	// Message is for people.
	Message string `json:"message"`
	// Data says more; anything that JSON can express, nil for nothing.
	Data any `json:"data,omitempty"`
}

// Error returns the code and the message.
func (e *Error) Error() string {
	if e.Code == "" {
		return e.Message
	}
	return e.Code + ": " + e.Message
}

// ackError is how an error looks on the wire, as the only argument of an acknowledgement.
type ackError struct {
	Error *Error `json:"error"`
}

// sendError turns an error of a session into one of this package.
func sendError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, engineio.ErrDropped):
		return ErrDropped
	case errors.Is(err, engineio.ErrSlowConsumer):
		return ErrSlowConsumer
	case errors.Is(err, engineio.ErrClosed):
		return ErrDisconnected
	}
	return fmt.Errorf("socketio: send: %w", err)
}
