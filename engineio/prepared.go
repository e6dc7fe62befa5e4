package engineio

import (
	"sync/atomic"
	"unicode/utf8"

	"github.com/peal-dev/peal/engineio/eioproto"
	"github.com/peal-dev/peal/internal/utf8text"
	"github.com/peal-dev/peal/internal/wsproto"
)

// Message is one Engine.IO message, of text or of bytes. Its zero value is an empty text. Text is UTF-8, in either
// direction: what is not becomes U+FFFD, or, from a WebSocket client, ends its session.
type Message struct {
	Binary bool
	Data   []byte
}

// Prepared is one or more messages ready to be sent, to one session or to a million: the bytes of each framing are made
// when the first session needs them and shared by the rest. A session sends all messages of a Prepared in a row,
// or none. It is immutable and safe for concurrent use.
type Prepared struct {
	packets []eioproto.Packet
	single  [1]eioproto.Packet // packets, if there is one
	framed  [framings]atomic.Pointer[[]byte]
	ready   []byte // one of framed, if it was made from the start
	size    int    // bytes of data
}

// Prepare makes a Prepared of messages. It keeps their Data, which must not change any more.
func Prepare(messages ...Message) *Prepared {
	p := new(Prepared)
	p.packets = p.single[:0]
	for _, m := range messages {
		if !m.Binary {
			m.Data = utf8text.Bytes(m.Data)
		}
		p.packets = append(p.packets, eioproto.Packet{Type: eioproto.Message, Binary: m.Binary, Data: m.Data})
		p.size += len(m.Data)
	}
	return p
}

// Size returns how many bytes of data the messages have.
func (p *Prepared) Size() int { return p.size }

// Headroom is how many bytes a text given to PrepareText has in front of it.
const Headroom = wsproto.MaxServerHeader + 1

// PrepareText makes a Prepared of one text message, buf[Headroom:]. The bytes in front of it are used for what comes
// before it on the wire, so that a text written behind Headroom free bytes is never copied. It keeps buf, which must not
// change any more.
func PrepareText(buf []byte) *Prepared {
	if text := buf[Headroom:]; !utf8.Valid(text) {
		buf = append(make([]byte, Headroom), utf8text.Bytes(text)...)
	}
	p := &Prepared{size: len(buf) - Headroom}
	p.single[0] = eioproto.Packet{Type: eioproto.Message, Data: buf[Headroom:]}
	p.packets = p.single[:]
	const packet = Headroom - 1 // where the packet begins, with its type
	buf[packet] = '0' + byte(eioproto.Message)
	var header [wsproto.MaxServerHeader]byte
	h := wsproto.AppendHeader(header[:0], wsproto.Text, len(buf)-packet)
	start := packet - len(h)
	copy(buf[start:], h)
	p.ready = buf[start:]
	p.framed[webSocketFrames].Store(&p.ready)
	return p
}

// control makes a Prepared of one packet that is not a message.
func control(t eioproto.PacketType, data string) *Prepared {
	return &Prepared{packets: []eioproto.Packet{{Type: t, Data: []byte(data)}}, size: len(data)}
}

var (
	pingPacket = control(eioproto.Ping, "")
	noopPacket = control(eioproto.Noop, "")
	endPacket  = control(eioproto.Close, "")
)

// in returns the messages' bytes in a framing. Two goroutines that ask first at the same time may both encode; one result
// is kept.
func (p *Prepared) in(f framing) []byte {
	if b := p.framed[f].Load(); b != nil {
		return *b
	}
	out := encoders[f](p.packets, p.size)
	p.framed[f].Store(&out)
	return out
}
