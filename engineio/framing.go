package engineio

import (
	"github.com/peal-dev/peal/engineio/eioproto"
	"github.com/peal-dev/peal/internal/wsproto"
)

// framing is how packets become the bytes of a transport. The handshake decides which ones a session uses.
type framing uint8

const (
	webSocketFrames framing = iota // a text or binary frame for each packet
	webSocketBase64                // text frames alone, with binary as base64, for the few clients that ask for it
	pollingPayload                 // the payload of a poll
	framings                       // how many there are
)

// webSocketFraming returns the framing that a handshake asks for on WebSocket.
func webSocketFraming(q query) framing {
	if q.last("b64") == "1" {
		return webSocketBase64
	}
	return webSocketFrames
}

// encoders make the bytes of packets with that much data, by framing.
var encoders = [framings]func(packets []eioproto.Packet, size int) []byte{
	webSocketFrames: func(packets []eioproto.Packet, size int) []byte {
		out := make([]byte, 0, size+len(packets)*(wsproto.MaxHeader+1))
		for _, packet := range packets {
			if packet.Binary {
				out = wsproto.AppendFrame(out, wsproto.Binary, packet.Data)
				continue
			}
			out = wsproto.AppendHeader(out, wsproto.Text, 1+len(packet.Data))
			out = eioproto.AppendText(out, packet)
		}
		return out
	},
	webSocketBase64: func(packets []eioproto.Packet, size int) []byte {
		out := make([]byte, 0, size*4/3+len(packets)*(wsproto.MaxHeader+4))
		for _, packet := range packets {
			out = wsproto.AppendFrame(out, wsproto.Text, eioproto.AppendText(nil, packet))
		}
		return out
	},
	pollingPayload: func(packets []eioproto.Packet, size int) []byte {
		return eioproto.AppendPayload(make([]byte, 0, size*4/3+len(packets)*4), packets...)
	},
}
