package socketio

import (
	"bytes"

	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/message"
	"github.com/peal-dev/peal/socketio/sioproto"
)

// wire is the Socket.IO encoding of broadcast messages: made once, shared by all sockets that receive it.
var wire = message.NewFormat(func(m *message.Message, namespace string) *engineio.Prepared {
	return prepare(eventOf(m, namespace))
})

// eventOf returns the packet that carries m to the sockets of namespace.
func eventOf(m *message.Message, namespace string) *sioproto.Packet {
	return &sioproto.Packet{Type: sioproto.Event, Namespace: namespace, Data: withOffset(m), Attachments: m.Attachments}
}

// withOffset returns the event of m with its offset, if it has one, as a last argument: official clients keep it, and say
// it when they come back. Handlers see it too, as they do with Node.js.
func withOffset(m *message.Message) []byte {
	end := bytes.LastIndexByte(m.Data, ']')
	if m.Offset.IsZero() || end < 0 {
		return m.Data
	}
	data := make([]byte, 0, end+offsetSize)
	data = append(append(data, m.Data[:end]...), `,"`...)
	return append(m.Offset.Append(data), `"]`...)
}

// offsetSize is what the longest offset of a log in memory takes as an argument.
const offsetSize = 40

// overhead is what a text packet needs beside its payload: type, attachment count, id and commas.
const overhead = 28

// prepare encodes p. The attachments of p belong to the result.
func prepare(p *sioproto.Packet) *engineio.Prepared {
	text := make([]byte, engineio.Headroom, engineio.Headroom+len(p.Data)+len(p.Namespace)+overhead)
	text = sioproto.AppendText(text, p)
	if len(p.Attachments) == 0 {
		return engineio.PrepareText(text)
	}
	messages := make([]engineio.Message, 1, 1+len(p.Attachments))
	messages[0] = engineio.Message{Data: text[engineio.Headroom:]}
	for _, a := range p.Attachments {
		messages = append(messages, engineio.Message{Binary: true, Data: a})
	}
	return engineio.Prepare(messages...)
}
