package sioproto

import (
	"github.com/peal-dev/peal/internal/jsonscan"
)

// MaxDepth is how deep arrays and objects may be nested in a payload; the array of an event's arguments counts as 1.
// The reference has no limit and overflows the stack of whoever walks the value.
const MaxDepth = jsonscan.MaxDepth

// Valid reports whether data is one JSON value, with white space around it or not, nested no deeper than [MaxDepth].
// Like encoding/json it lets invalid UTF-8 inside strings pass.
func Valid(data []byte) bool { return jsonscan.Valid(data) }

// Elements validates data as a JSON array and returns its elements as they stand there, without the white space
// around them. The elements are parts of data, not copies. The error is an [*Error] of kind [InvalidPayload].
func Elements(data []byte) ([][]byte, error) {
	return AppendElements(nil, data)
}

// AppendElements is [Elements] with the result appended to dst, which lets a caller reuse the slice. On error it
// returns dst as it was.
func AppendElements(dst [][]byte, data []byte) ([][]byte, error) {
	out, err := jsonscan.AppendElements(dst, data)
	if err != nil {
		return dst, invalid(err.Error())
	}
	return out, nil
}

// CheckEvent returns nil if data and attachments are the payload of an EVENT that every official client takes, and an
// [*Error] that says why not. It is one rule for whatever comes from outside: packets of clients, messages of other
// nodes, requests over HTTP. data is a JSON array, nested no deeper than [MaxDepth], whose first element is a name that
// the protocol has not reserved, or a number; there are at most maxAttachments attachments, and placeholders in data
// name each of them exactly once. 0 means [DefaultMaxAttachments]. Without attachments a placeholder is plain data.
func CheckEvent(data []byte, attachments [][]byte, maxAttachments int) error {
	if len(attachments) > attachmentLimit(maxAttachments) {
		return &Error{Kind: TooManyAttachments}
	}
	if err := checkPayload(Event, data); err != nil {
		return err
	}
	return checkPlaceholders(data, len(attachments))
}

// checkPayload applies the rules for the payload of each packet type. An event without one names no event.
func checkPayload(t Type, data []byte) error {
	if len(data) == 0 {
		if t == Event {
			return invalid("EVENT without a payload")
		}
		return nil
	}
	if t == Disconnect {
		return invalid("DISCONNECT has no payload")
	}
	if !Valid(data) {
		return invalid("not JSON, or nested too deeply")
	}
	first := data[jsonscan.Space(data, 0)]
	switch t {
	case Connect:
		if first != '{' {
			return invalid("payload of CONNECT is not an object")
		}
	case ConnectError:
		if first != '{' && first != '"' {
			return invalid("payload of CONNECT_ERROR is neither a string nor an object")
		}
	case Ack:
		if first != '[' {
			return invalid("payload of ACK is not an array")
		}
	case Event:
		if first != '[' {
			return invalid("payload of EVENT is not an array")
		}
		name, _ := jsonscan.First(data)
		return checkEventName(name)
	}
	return nil
}

// checkPlaceholders returns an error unless the placeholders in the valid JSON data name each of count attachments
// exactly once.
func checkPlaceholders(data []byte, count int) error {
	if count == 0 {
		return nil
	}
	if err := jsonscan.CheckPlaceholders(data, count); err != nil {
		return &Error{Kind: IllegalAttachments, Detail: err.Error()}
	}
	return nil
}

func attachmentLimit(limit int) int {
	if limit <= 0 {
		return DefaultMaxAttachments
	}
	return limit
}
