package sioproto

import (
	"github.com/peal-dev/peal/internal/jsonscan"
	"github.com/peal-dev/peal/message"
)

// MaxDepth is how deep arrays and objects may be nested in a payload; the array of an event's arguments counts as 1.
// The reference has no limit and overflows the stack of whoever walks the value.
const MaxDepth = message.MaxDepth

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

// checkPayload applies the rules for the payload of each packet type and its placeholders, which are those of
// [message.Check] for an event.
func checkPayload(t Type, data []byte, attachments, maxAttachments int) error {
	if t == Event {
		return message.Check(data, attachments, maxAttachments)
	}
	if len(data) == 0 {
		return checkPlaceholders(data, attachments)
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
	}
	return checkPlaceholders(data, attachments)
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
