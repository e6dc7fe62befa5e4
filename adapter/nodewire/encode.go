package nodewire

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"time"

	"github.com/peal-dev/peal/adapter/internal/jsonpack"
	"github.com/peal-dev/peal/internal/utf8text"
)

// Append appends the message as Node.js nodes publish it: JSON text, or MessagePack if it has binary values.
func (m *Message) Append(dst []byte) ([]byte, error) {
	if len(m.Attachments) > 0 {
		return m.AppendMsgpack(dst)
	}
	return m.AppendJSON(dst), nil
}

// AppendJSON appends the message as JSON text, in which attachments are placeholders.
func (m *Message) AppendJSON(dst []byte) []byte {
	if dst == nil {
		dst = make([]byte, 0, m.size())
	}
	dst = append(dst, `{"type":`...)
	dst = strconv.AppendUint(dst, uint64(m.Type), 10)
	before := len(dst)
	dst = append(dst, `,"data":`...)
	behind := len(dst)
	if dst = m.AppendData(dst); len(dst) == behind {
		dst = dst[:before]
	}
	dst = append(dst, `,"uid":`...)
	dst = jsonpack.AppendString(dst, m.UID)
	if m.Namespace != "" {
		dst = append(dst, `,"nsp":`...)
		dst = jsonpack.AppendString(dst, m.Namespace)
	}
	return append(dst, '}')
}

// AppendMsgpack appends the message as MessagePack. It fails if placeholders do not name each attachment once.
func (m *Message) AppendMsgpack(dst []byte) ([]byte, error) {
	out, err := jsonpack.AppendMsgpack(dst, m.AppendJSON(nil), m.Attachments)
	if err != nil {
		return dst, fmt.Errorf("nodewire: encode %s: %w", m.Type, err)
	}
	return out, nil
}

// size is about how long the message is as JSON.
func (m *Message) size() int {
	n := 224 + len(m.UID) + len(m.Namespace) + len(m.RequestID) + len(m.Data) + len(m.Member) + 2*len(m.Beat)
	for _, list := range [][]string{m.Rooms, m.Except, m.ChangeRooms, m.Names, m.Nodes} {
		for _, s := range list {
			n += len(s) + 3
		}
	}
	for _, s := range m.Sockets {
		n += len(s) + 1
	}
	return n
}

// AppendData appends the message's "data" as JSON, in which attachments are placeholders. Nothing is appended for a
// message that has none.
func (m *Message) AppendData(dst []byte) []byte {
	o := object{dst: dst}
	if m.Type == Broadcast {
		o.key("packet")
		o.dst = append(o.dst, `{"type":2,"data":`...) // EVENT: Node.js nodes say so for binary events too
		o.dst = append(append(o.dst, utf8text.Bytes(m.Data)...), '}')
	}
	switch m.Type {
	case Broadcast, SocketsJoin, SocketsLeave, DisconnectSockets, FetchSockets:
		o.key("opts")
		m.appendOptions(&o)
	}
	if m.RequestID != "" {
		o.string("requestId", m.RequestID)
	}
	switch m.Type {
	case SocketsJoin, SocketsLeave:
		o.strings("rooms", m.ChangeRooms)
	case DisconnectSockets:
		o.key("close")
		o.dst = strconv.AppendBool(o.dst, m.Close)
	case FetchSocketsResponse:
		o.key("sockets")
		o.dst = append(o.dst, '[')
		for i, s := range m.Sockets {
			if i > 0 {
				o.dst = append(o.dst, ',')
			}
			o.dst = append(o.dst, s...)
		}
		o.dst = append(o.dst, ']')
	case ServerSideEmit, ServerSideEmitResponse, BroadcastAck:
		if len(m.Data) > 0 {
			o.key("packet")
			o.dst = append(o.dst, utf8text.Bytes(m.Data)...)
		}
	case BroadcastClientCount:
		o.number("clientCount", uint64(max(m.ClientCount, 0)))
	}
	if m.Peal {
		m.appendOurs(&o)
	}
	return o.end()
}

// appendOptions appends who is meant, and the flags.
func (m *Message) appendOptions(o *object) {
	opts := object{dst: o.dst}
	opts.strings("rooms", m.Rooms)
	opts.strings("except", m.Except)
	opts.key("flags")
	flags := object{dst: opts.dst}
	if m.Volatile {
		flags.key("volatile")
		flags.dst = append(flags.dst, "true"...)
	}
	if m.Timeout > 0 && m.Type != SocketsJoin && m.Type != SocketsLeave && m.Type != DisconnectSockets {
		flags.number("timeout", milliseconds(m.Timeout))
	}
	if flags.members == 0 {
		flags.dst = append(flags.dst, '{')
		flags.members++
	}
	opts.dst = flags.end()
	o.dst = opts.end()
}

// appendOurs appends what Peal nodes say to each other.
func (m *Message) appendOurs(o *object) {
	o.number("peal", 1)
	switch m.Type {
	case Broadcast:
		if m.Private {
			o.key("private")
			o.dst = append(o.dst, "true"...)
		}
	case FetchSockets:
		if m.Want != WantSockets {
			o.string("want", string(m.Want))
		}
	case FetchSocketsResponse:
		if m.Names != nil {
			o.strings("names", m.Names)
		}
	case ServerSideEmit:
		if m.Timeout > 0 {
			o.number("timeout", milliseconds(m.Timeout))
		}
	case BroadcastAck:
		if m.Member != "" {
			o.string("member", m.Member)
		}
		if m.Gone {
			o.key("gone")
			o.dst = append(o.dst, "true"...)
		}
	case InitialHeartbeat, Heartbeat:
		if m.Home != "" {
			o.string("home", m.Home)
		}
		if m.Beat != nil {
			o.string("beat", base64.StdEncoding.EncodeToString(m.Beat))
		}
		if m.First > 0 {
			o.number("first", m.First)
			o.number("last", m.Last)
		}
		if m.Nodes != nil {
			o.strings("nodes", m.Nodes)
		}
		if m.Probe > 0 {
			o.number("probe", m.Probe)
		}
	}
}

// milliseconds rounds up: 0 would mean that nothing is said.
func milliseconds(d time.Duration) uint64 {
	return uint64((d + time.Millisecond - 1) / time.Millisecond)
}

// object is a JSON object that is being written.
type object struct {
	dst     []byte
	members int
}

func (o *object) key(name string) {
	c := byte(',')
	if o.members == 0 {
		c = '{'
	}
	o.members++
	o.dst = append(append(append(o.dst, c, '"'), name...), '"', ':')
}

func (o *object) string(name, value string) {
	o.key(name)
	o.dst = jsonpack.AppendString(o.dst, value)
}

// strings writes an array even for nil: Node.js nodes do not expect null.
func (o *object) strings(name string, list []string) {
	o.key(name)
	o.dst = append(o.dst, '[')
	for i, s := range list {
		if i > 0 {
			o.dst = append(o.dst, ',')
		}
		o.dst = jsonpack.AppendString(o.dst, s)
	}
	o.dst = append(o.dst, ']')
}

func (o *object) number(name string, n uint64) {
	o.key(name)
	o.dst = strconv.AppendUint(o.dst, n, 10)
}

// end returns what was written: nothing if there was no member.
func (o *object) end() []byte {
	if o.members == 0 {
		return o.dst
	}
	return append(o.dst, '}')
}
