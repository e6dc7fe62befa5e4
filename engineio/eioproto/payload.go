package eioproto

import (
	"bytes"
	"iter"

	"github.com/peal-dev/peal/internal/utf8text"
)

// Packets iterates over the packets of a polling payload. Packets before a bad one are yielded; the bad one is
// yielded as an error and ends the iteration, because the protocol closes the session there. An empty payload is one
// empty packet and so an error. A payload is text: bytes in it that are no UTF-8 become U+FFFD, as they do when Node.js
// reads a request as text, so that a text message is UTF-8 by whatever transport it came.
func Packets(payload []byte) iter.Seq2[Packet, error] {
	return func(yield func(Packet, error) bool) {
		payload := utf8text.Bytes(payload)
		for {
			part, rest, more := bytes.Cut(payload, []byte{Separator})
			p, err := Decode(part)
			if !yield(p, err) || err != nil || !more {
				return
			}
			payload = rest
		}
	}
}

// AppendPayload appends packets in their text form, joined by the separator, to dst and returns the extended slice.
func AppendPayload(dst []byte, packets ...Packet) []byte {
	for i, p := range packets {
		if i > 0 {
			dst = append(dst, Separator)
		}
		dst = AppendText(dst, p)
	}
	return dst
}
