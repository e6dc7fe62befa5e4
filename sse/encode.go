package sse

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/peal-dev/peal/adapter"
)

// event is the wire form of a message: made once, shared by all streams, never changed.
type event struct{ bytes []byte }

// format makes each message's event at most once.
var format = adapter.NewFormat(func(m *adapter.Message) *event {
	data := m.Args()
	if len(m.Packet.Attachments) > 0 {
		data = appendInlined(make([]byte, 0, len(data)+64), data, m.Packet.Attachments)
	}
	return &event{bytes: appendEvent(make([]byte, 0, len(data)+len(m.ID)+len(m.Event())+32), m.ID, m.Event(), data)}
})

// appendEvent appends one event of the stream (WHATWG HTML, section 9.2.6): id, name, and data, which may have several
// lines: each becomes a data field, and the client joins them with LF.
func appendEvent(dst []byte, id, name string, data []byte) []byte {
	// A client ignores an id with NUL; a line break would end the field and start one of the sender's choice.
	if id != "" && !strings.ContainsAny(id, "\r\n\x00") {
		dst = append(append(append(dst, "id: "...), id...), '\n')
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
// string, or by null where there is no such attachment. It works on the bytes: decoding would lose the precision of
// numbers and the order of keys.
func appendInlined(dst, data []byte, attachments [][]byte) []byte {
	copied := 0
	for i := 0; i < len(data); {
		switch data[i] {
		case '"':
			i = skipString(data, i)
			continue
		case '{':
			if num, end, ok := placeholder(data, i); ok {
				dst = append(dst, data[copied:i]...)
				if num < len(attachments) {
					dst = append(dst, '"')
					dst = base64.StdEncoding.AppendEncode(dst, attachments[num])
					dst = append(dst, '"')
				} else {
					dst = append(dst, "null"...)
				}
				i, copied = end, end
				continue
			}
		}
		i++
	}
	return append(dst, data[copied:]...)
}

// placeholder parses a placeholder object that starts at data[i], its two members in either order, and returns its
// number and the index after it.
func placeholder(data []byte, i int) (num, end int, ok bool) {
	i = skipSpace(data, i+1)
	num = -1
	marked := false
	for {
		key := i
		if i >= len(data) || data[i] != '"' {
			return 0, 0, false
		}
		i = skipString(data, i)
		name := string(data[key:i])
		i = skipSpace(data, i)
		if i >= len(data) || data[i] != ':' {
			return 0, 0, false
		}
		i = skipSpace(data, i+1)
		switch {
		case name == `"_placeholder"` && bytes.HasPrefix(data[i:], []byte("true")):
			marked = true
			i += len("true")
		case name == `"num"`:
			digits := i
			num = 0
			// Six digits are more attachments than any packet has.
			for i < len(data) && '0' <= data[i] && data[i] <= '9' && i-digits < 6 {
				num = num*10 + int(data[i]-'0')
				i++
			}
			if i == digits {
				return 0, 0, false
			}
		default:
			return 0, 0, false
		}
		i = skipSpace(data, i)
		if i >= len(data) {
			return 0, 0, false
		}
		switch data[i] {
		case ',':
			i = skipSpace(data, i+1)
		case '}':
			return num, i + 1, marked && num >= 0
		default:
			return 0, 0, false
		}
	}
}

// skipString returns the index after the JSON string that starts at data[i].
func skipString(data []byte, i int) int {
	for i++; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(data)
}

func skipSpace(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\t' || data[i] == '\n' || data[i] == '\r') {
		i++
	}
	return i
}
