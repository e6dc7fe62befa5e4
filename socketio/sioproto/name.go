package sioproto

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/peal-dev/peal/internal/jsonscan"
	"github.com/peal-dev/peal/internal/utf8text"
)

// ValidateEventName returns an [*Error] of kind [ReservedName] when name belongs to the protocol: connect,
// connect_error, disconnect, disconnecting, newListener and removeListener. Every other name, "" included, is an
// event.
func ValidateEventName(name string) error {
	if reserved(name) {
		return &Error{Kind: ReservedName, Detail: strconv.Quote(name)}
	}
	return nil
}

func reserved(name string) bool {
	switch name {
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return true
	}
	return false
}

// EventName returns the name of the event whose payload starts with the element raw, as [Elements] returns it. A
// number stands for its decimal text, as a property name does in JavaScript. The error is an [*Error] of kind
// [InvalidPayload] when raw is neither a string nor a number, or names a reserved event.
func EventName(raw []byte) (string, error) {
	if len(raw) == 0 {
		return "", invalid("no event name")
	}
	if raw[0] == '"' {
		name, err := unquote(raw)
		if err != nil {
			return "", err
		}
		if reserved(name) {
			return "", invalid("reserved event name")
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

// checkEventName is EventName without making the string.
func checkEventName(raw []byte) error {
	if len(raw) > 1 && raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 {
		if reserved(string(raw[1 : len(raw)-1])) {
			return invalid("reserved event name")
		}
		return nil
	}
	_, err := EventName(raw)
	return err
}

// unquote returns the text of a JSON string. An escaped lone surrogate, which JavaScript allows, becomes U+FFFD.
func unquote(raw []byte) (string, error) {
	if len(raw) < 2 || raw[0] != '"' || jsonscan.String(raw, 0) != len(raw) {
		return "", invalid("not a string")
	}
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(utf8text.Bytes(inner)), nil
	}
	return string(jsonscan.AppendUnquoted(nil, raw)), nil
}
