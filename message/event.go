package message

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/peal-dev/peal/internal/jsonscan"
)

// MaxDepth is how deep arrays and objects may be nested in an event; the array of its arguments counts as 1.
const MaxDepth = jsonscan.MaxDepth

// DefaultMaxAttachments is the number of attachments that official Socket.IO clients accept in one event. They close the
// connection when a packet announces more.
const DefaultMaxAttachments = 10

// Check returns nil if data and that many attachments are an event that every client takes, and an [*Error] that says
// why not. It is one rule for whatever comes from outside: packets of clients, messages of other nodes, requests over
// HTTP. data is a JSON array, nested no deeper than [MaxDepth], whose first element is a name that is not [Reserved], or
// a number; there are at most maxAttachments attachments, and placeholders in data name each of them exactly once.
// 0 means [DefaultMaxAttachments]. Without attachments a placeholder is plain data.
func Check(data []byte, attachments, maxAttachments int) error {
	if maxAttachments <= 0 {
		maxAttachments = DefaultMaxAttachments
	}
	switch {
	case attachments > maxAttachments:
		return &Error{Kind: TooManyAttachments}
	case len(data) == 0:
		return invalid("event without a payload")
	case !jsonscan.Valid(data):
		return invalid("not JSON, or nested too deeply")
	case data[jsonscan.Space(data, 0)] != '[':
		return invalid("payload of an event is not an array")
	}
	name, _ := jsonscan.First(data)
	if err := checkName(name); err != nil {
		return err
	}
	if attachments == 0 {
		return nil
	}
	if err := jsonscan.CheckPlaceholders(data, attachments); err != nil {
		return &Error{Kind: IllegalAttachments, Detail: err.Error()}
	}
	return nil
}

// Reserved reports whether name belongs to the protocol of Socket.IO and so can be no event's: connect, connect_error,
// disconnect, disconnecting, newListener and removeListener. Every other name, "" included, can.
func Reserved(name string) bool {
	switch name {
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return true
	}
	return false
}

// EventName returns the name of the event whose array starts with the element raw, as it stands there without white
// space around it. A number stands for its decimal text, as a property name does in JavaScript. The error is an [*Error]
// of kind [InvalidPayload] when raw is neither a string nor a number, or the name is [Reserved].
func EventName(raw []byte) (string, error) {
	if len(raw) == 0 {
		return "", invalid("no event name")
	}
	if raw[0] == '"' {
		name, ok := jsonscan.Unquote(raw)
		switch {
		case !ok:
			return "", invalid("not a string")
		case Reserved(name):
			return "", errReserved
		}
		return name, nil
	}
	if raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return "", invalid("event name is neither a string nor a number")
	}
	if len(raw) <= 15 && raw[0] != '-' && jsonscan.Digits(raw, 0) == len(raw) {
		return string(raw), nil
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return "", invalid("event name is a number out of range")
	}
	if f == 0 {
		return "0", nil
	}
	return string(jsontext.AppendFloat(nil, f, 64)), nil
}

var errReserved = invalid("reserved event name")

// checkName is EventName of valid JSON without making the string.
func checkName(raw []byte) error {
	if len(raw) > 1 && raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 {
		if Reserved(string(raw[1 : len(raw)-1])) {
			return errReserved
		}
		return nil
	}
	_, err := EventName(raw)
	return err
}
