package sse

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/peal-dev/peal/internal/jsonscan"
	"github.com/peal-dev/peal/internal/utf8text"
	"github.com/peal-dev/peal/message"
)

// event is the wire form of a message: made once, shared by all streams, never changed.
type event struct{ bytes []byte }

// format makes each message's event at most once.
var format = message.NewFormat(func(m *message.Message, _ string) *event {
	data := m.Args()
	if len(m.Attachments) > 0 {
		data = appendInlined(make([]byte, 0, len(data)+64), data, m.Attachments)
	}
	name := eventName(m.Event())
	return &event{bytes: utf8text.Bytes(appendEvent(make([]byte, 0, len(data)+len(name)+72), m.Offset, name, data))}
})

// eventName returns the name under which an event arrives. EventSource itself fires "error" and "open": a page would
// take a message for a failure of its stream.
func eventName(name string) string {
	switch name {
	case "error", "open":
		return "event:" + name
	}
	return name
}

// appendEvent appends one event of the stream (WHATWG HTML, section 9.2.6): id, name, and data, which may have several
// lines: each becomes a data field, and the client joins them with LF. The id is what a client says when it comes back, so
// only a message that can be found again has one.
func appendEvent(dst []byte, offset message.Offset, name string, data []byte) []byte {
	if !offset.IsZero() {
		dst = append(offset.Append(append(dst, "id: "...)), '\n')
	}
	if name != "" {
		dst = append(dst, "event: "...)
		dst = append(appendName(dst, name), '\n')
	}
	for {
		end := bytes.IndexAny(data, "\r\n")
		if end < 0 {
			break
		}
		dst = append(append(append(dst, "data: "...), data[:end]...), '\n')
		if data[end] == '\r' && end+1 < len(data) && data[end+1] == '\n' {
			end++
		}
		data = data[end+1:]
	}
	dst = append(append(dst, "data: "...), data...)
	return append(dst, "\n\n"...)
}

// appendName appends an event name with every CR and LF replaced by U+FFFD.
func appendName(dst []byte, name string) []byte {
	for {
		i := strings.IndexAny(name, "\r\n")
		if i < 0 {
			return append(dst, name...)
		}
		dst = append(append(dst, name[:i]...), "\uFFFD"...)
		name = name[i+1:]
	}
}

// appendInlined appends data with each placeholder {"_placeholder":true,"num":n} replaced by attachment n as a base64
// string, or by null where there is no such attachment or it stands elsewhere already: whatever the message, its event is
// no longer than data, its attachments and a third of them. It works on the bytes: decoding would lose the precision of
// numbers and the order of keys.
func appendInlined(dst, data []byte, attachments [][]byte) []byte {
	written := make([]bool, len(attachments))
	copied := 0
	for {
		start, end, num := jsonscan.NextPlaceholder(data, copied)
		if start < 0 {
			return append(dst, data[copied:]...)
		}
		dst = append(dst, data[copied:start]...)
		if num < len(attachments) && !written[num] {
			written[num] = true
			dst = append(dst, '"')
			dst = base64.StdEncoding.AppendEncode(dst, attachments[num])
			dst = append(dst, '"')
		} else {
			dst = append(dst, "null"...)
		}
		copied = end
	}
}
