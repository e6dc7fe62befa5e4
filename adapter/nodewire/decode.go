package nodewire

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/peal-dev/peal/adapter/internal/jsonpack"
	"github.com/peal-dev/peal/internal/jsonscan"
	"github.com/peal-dev/peal/message"
)

// Errors of what is read. Those of an event that clients would not take are a [message.Error].
var (
	// ErrSyntax means that the bytes are neither JSON nor MessagePack.
	ErrSyntax = errors.New("nodewire: malformed input")
	// ErrForm means that they are, and not the message that they should be.
	ErrForm = errors.New("nodewire: not of the expected form")
)

// Malformation names the reason for which a message could not be read, for counting: one of the kinds of [message.Error]
// for an event that clients would not take, "encoding" for bytes that are in no dialect, "form" for anything else.
func Malformation(err error) string {
	var event *message.Error
	switch {
	case errors.As(err, &event):
		return string(event.Kind)
	case errors.Is(err, ErrSyntax), errors.Is(err, jsonpack.ErrSyntax), errors.Is(err, jsonpack.ErrDepth), errors.Is(err, jsonpack.ErrType):
		return "encoding"
	}
	return "form"
}

// Decode reads a message in whichever dialect it is: the first byte tells. The message keeps parts of b.
func Decode(b []byte) (*Message, error) {
	m := &Message{}
	text := b
	if len(b) == 0 || b[0] != '{' {
		var (
			rest []byte
			err  error
		)
		text, m.Attachments, rest, err = jsonpack.AppendJSON(nil, nil, b)
		if err == nil && len(rest) > 0 {
			err = fmt.Errorf("%w: %d bytes behind the message", ErrSyntax, len(rest))
		}
		if err != nil {
			return nil, err
		}
	}
	data := -1 // where it is, if the type was not known before
	end, err := members(text, 0, func(key string, i int) (int, error) {
		switch key {
		case "type":
			n, end, err := number(text, i)
			if err == nil && n >= 1 && n <= math.MaxUint8 {
				m.Type = Type(n)
			}
			return end, err
		case "uid":
			return str(&m.UID, text, i)
		case "nsp":
			return str(&m.Namespace, text, i)
		case "data":
			if m.Type != 0 {
				return m.parseData(text, i)
			}
			data = i
		}
		return skip(text, i)
	})
	if err == nil && jsonscan.Space(text, end) != len(text) {
		err = fmt.Errorf("%w: data behind the message", ErrSyntax)
	}
	if err == nil && data >= 0 {
		_, err = m.parseData(text, data)
	}
	if err == nil {
		err = m.check()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Type, err)
	}
	return m, nil
}

// ParseData reads the "data" of a message of which Type is set. It is JSON with placeholders into attachments, or nil.
func (m *Message) ParseData(data []byte, attachments [][]byte) error {
	m.Attachments = attachments
	if data != nil {
		end, err := m.parseData(data, jsonscan.Space(data, 0))
		if err == nil && jsonscan.Space(data, end) != len(data) {
			err = fmt.Errorf("%w: something behind the data", ErrSyntax)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", m.Type, err)
		}
	}
	if err := m.check(); err != nil {
		return fmt.Errorf("%s: %w", m.Type, err)
	}
	return nil
}

// check sees to what a message must have, and to attachments where JSON has no place for them.
func (m *Message) check() error {
	switch m.Type {
	case 0:
		return fmt.Errorf("%w: no type", ErrForm)
	case Broadcast, ServerSideEmit:
		if m.Data == nil {
			return fmt.Errorf("%w: no packet", ErrForm)
		}
	case FetchSockets, FetchSocketsResponse, BroadcastClientCount, BroadcastAck, ServerSideEmitResponse:
		if m.RequestID == "" {
			return fmt.Errorf("%w: no requestId", ErrForm)
		}
	}
	switch {
	case m.Type == FetchSocketsResponse && len(m.Attachments) > 0:
		for i, s := range m.Sockets {
			m.Sockets[i] = m.inline(s)
		}
		m.Attachments = nil
	case m.Type == BroadcastAck || m.Type == ServerSideEmitResponse:
		if m.Data == nil {
			m.Data = []byte("null") // undefined
		}
		return jsonscan.CheckPlaceholders(m.Data, len(m.Attachments))
	}
	return nil
}

// inline puts the attachments into JSON in the place of their placeholders, as JSON.stringify does with a Buffer.
func (m *Message) inline(src []byte) []byte {
	var dst []byte
	last := 0
	for {
		start, end, num := jsonscan.NextPlaceholder(src, last)
		if start < 0 || num >= len(m.Attachments) {
			return append(dst, src[last:]...)
		}
		dst = append(append(dst, src[last:start]...), `{"type":"Buffer","data":[`...)
		for i, b := range m.Attachments[num] {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = strconv.AppendUint(dst, uint64(b), 10)
		}
		dst = append(dst, ']', '}')
		m.Attachments[num] = nil // once: a small message must not become a huge one
		last = end
	}
}

// parseData reads the value of "data" at text[i] and returns the index behind it.
func (m *Message) parseData(text []byte, i int) (end int, err error) {
	if i >= len(text) || text[i] != '{' {
		if m.needsOptions() {
			return i, fmt.Errorf("%w: no opts", ErrForm)
		}
		return skip(text, i)
	}
	options := false
	end, err = members(text, i, func(key string, i int) (int, error) {
		switch key {
		case "packet":
			return m.packet(text, i)
		case "opts":
			if i < len(text) && text[i] == '{' {
				options = true
				return m.options(text, i)
			}
		case "requestId":
			return str(&m.RequestID, text, i)
		case "rooms":
			return texts(&m.ChangeRooms, text, i)
		case "close":
			return flag(&m.Close, text, i)
		case "sockets":
			return elements(&m.Sockets, text, i)
		case "clientCount":
			n, end, err := number(text, i)
			if err == nil && (n < 0 || n > math.MaxInt32 || n != math.Trunc(n)) {
				err = fmt.Errorf("%w: clientCount", ErrForm)
			}
			m.ClientCount = int(n)
			return end, err
		}
		return m.ours(key, text, i)
	})
	if err == nil && !options && m.needsOptions() {
		err = fmt.Errorf("%w: no opts", ErrForm) // it would mean everyone
	}
	return end, err
}

func (m *Message) needsOptions() bool { return m.Type >= Broadcast && m.Type <= FetchSockets }

// ours reads what only Peal nodes say.
func (m *Message) ours(key string, text []byte, i int) (end int, err error) {
	switch key {
	case "peal":
		m.Peal = true
	case "want":
		return str((*string)(&m.Want), text, i)
	case "names":
		return texts(&m.Names, text, i)
	case "member":
		return str(&m.Member, text, i)
	case "private":
		return flag(&m.Private, text, i)
	case "gone":
		return flag(&m.Gone, text, i)
	case "nodes":
		return texts(&m.Nodes, text, i)
	case "timeout":
		return duration(&m.Timeout, text, i)
	case "probe":
		return count(&m.Probe, text, i)
	case "home":
		return str(&m.Home, text, i)
	case "beat":
		var encoded string
		end, err := str(&encoded, text, i)
		if err == nil {
			m.Beat, err = base64.StdEncoding.DecodeString(encoded)
		}
		if err != nil {
			err = fmt.Errorf("%w: beat", ErrForm)
		}
		return end, err
	case "first":
		return count(&m.First, text, i)
	case "last":
		return count(&m.Last, text, i)
	}
	return skip(text, i)
}

// packet reads the packet of a broadcast, which is {type, data}, or the value that other messages have in its place.
func (m *Message) packet(text []byte, i int) (end int, err error) {
	if m.Type != Broadcast {
		if end, err = skip(text, i); err == nil {
			m.Data = text[i:end:end]
		}
		return end, err
	}
	return members(text, i, func(key string, i int) (int, error) {
		end, err := skip(text, i)
		if err == nil && key == "data" {
			m.Data = text[i:end:end]
		}
		return end, err
	})
}

// options reads who is meant, and the flags.
func (m *Message) options(text []byte, i int) (end int, err error) {
	return members(text, i, func(key string, i int) (int, error) {
		switch {
		case key == "rooms":
			return texts(&m.Rooms, text, i)
		case key == "except":
			return texts(&m.Except, text, i)
		case key == "flags" && i < len(text) && text[i] == '{':
			return members(text, i, func(key string, i int) (int, error) {
				switch key {
				case "volatile":
					return flag(&m.Volatile, text, i)
				case "timeout":
					return duration(&m.Timeout, text, i)
				}
				return skip(text, i)
			})
		}
		return skip(text, i)
	})
}
