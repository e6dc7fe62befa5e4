package socketio

import (
	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/socketio/sioproto"
)

// wire is the Socket.IO encoding of broadcast messages: made once, shared by all sockets that receive it.
var wire = adapter.NewFormat(func(m *adapter.Message) *engineio.Prepared { return prepare(&m.Packet) })

// headroom is what a text packet needs beside its payload: type, attachment count, id and commas.
const headroom = 28

// prepare encodes p. The attachments of p belong to the result.
func prepare(p *sioproto.Packet) *engineio.Prepared {
	text := make([]byte, 0, len(p.Data)+len(p.Namespace)+headroom)
	head := engineio.Message{Data: sioproto.AppendText(text, p)}
	if len(p.Attachments) == 0 {
		return engineio.Prepare(head)
	}
	messages := make([]engineio.Message, 1, 1+len(p.Attachments))
	messages[0] = head
	for _, a := range p.Attachments {
		messages = append(messages, engineio.Message{Binary: true, Data: a})
	}
	return engineio.Prepare(messages...)
}
