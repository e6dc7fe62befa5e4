package sioproto

import (
	"bytes"
	"strconv"

	"github.com/peal-dev/peal/internal/jsonscan"
)

// DefaultMaxBytes is the limit of a [Decoder] whose MaxBytes is 0: 16 MiB.
const DefaultMaxBytes = 16 << 20

// Decoder turns the messages of one connection into packets. The zero value is ready; it must not be used by two
// goroutines at once. After an error the connection is to be closed: the decoder has dropped what it held, but the
// peer and it no longer agree on what comes next.
type Decoder struct {
	// MaxAttachments is the largest number of attachments in one packet. 0 means [DefaultMaxAttachments].
	MaxAttachments int
	// MaxBytes is the largest size of one packet, text and attachments together, and so the most that a packet
	// whose attachments never come can make the decoder hold. 0 means [DefaultMaxBytes].
	MaxBytes int

	pending *pending
	// namespace is the last one seen, so that the packets of a namespace share one string.
	namespace string
}

type pending struct {
	packet Packet
	want   int
	size   int
}

// Text decodes a text message, which is UTF-8 as Engine.IO hands it on. It returns nil and no error when the packet's
// attachments are still to come. The packet shares no memory with data. The error is an [*Error].
func (d *Decoder) Text(data []byte) (*Packet, error) {
	if d.pending != nil {
		d.pending = nil
		return nil, &Error{Kind: UnexpectedText}
	}
	if len(data) > d.maxBytes() {
		return nil, &Error{Kind: TooLarge}
	}
	if len(data) == 0 {
		return nil, &Error{Kind: UnknownType, Detail: "empty packet"}
	}
	p := Packet{Type: Type(data[0] - '0')}
	if data[0] < '0' || p.Type > BinaryAck {
		return nil, &Error{Kind: UnknownType, Detail: strconv.QuoteRune(rune(data[0]))}
	}
	rest := data[1:]
	want := 0
	if p.Type == BinaryEvent || p.Type == BinaryAck {
		var err error
		if want, rest, err = d.attachments(rest); err != nil {
			return nil, err
		}
		p.Type -= BinaryEvent - Event
	}
	p.Namespace, rest = d.cutNamespace(rest)
	if n := jsonscan.Digits(rest, 0); n > 0 {
		id, err := strconv.ParseUint(string(rest[:n]), 10, 64)
		if err != nil || id > MaxID {
			return nil, invalid("packet id out of range")
		}
		p.ID, p.HasID, rest = id, true, rest[n:]
	}
	// Checked before the attachments come, so that a packet that cannot become valid holds nothing.
	if err := checkPayload(p.Type, rest, want, d.MaxAttachments); err != nil {
		return nil, err
	}
	if len(rest) > 0 {
		p.Data = bytes.Clone(rest)
	}
	if want > 0 {
		d.pending = &pending{packet: p, want: want, size: len(data)}
		return nil, nil
	}
	return &p, nil
}

// Binary decodes a binary message, which is an attachment of the last text packet. It returns nil and no error when
// more attachments are to come. The packet shares no memory with data. The error is an [*Error].
func (d *Decoder) Binary(data []byte) (*Packet, error) {
	w := d.pending
	if w == nil {
		return nil, &Error{Kind: UnexpectedBinary}
	}
	if w.size += len(data); w.size > d.maxBytes() {
		d.pending = nil
		return nil, &Error{Kind: TooLarge}
	}
	attachment := make([]byte, len(data))
	copy(attachment, data)
	w.packet.Attachments = append(w.packet.Attachments, attachment)
	if len(w.packet.Attachments) < w.want {
		return nil, nil
	}
	d.pending = nil
	return &w.packet, nil
}

// Pending returns how many attachments of the last packet are still missing.
func (d *Decoder) Pending() int {
	if d.pending == nil {
		return 0
	}
	return d.pending.want - len(d.pending.packet.Attachments)
}

// Reset drops a packet whose attachments have not all come.
func (d *Decoder) Reset() { d.pending = nil }

func (d *Decoder) maxBytes() int {
	if d.MaxBytes > 0 {
		return d.MaxBytes
	}
	return DefaultMaxBytes
}

func (d *Decoder) attachments(b []byte) (count int, rest []byte, err error) {
	n := jsonscan.Digits(b, 0)
	if n == 0 || n == len(b) || b[n] != '-' {
		return 0, nil, &Error{Kind: IllegalAttachments, Detail: "no count"}
	}
	count, convErr := strconv.Atoi(string(b[:n]))
	if convErr != nil || count > attachmentLimit(d.MaxAttachments) {
		return 0, nil, &Error{Kind: TooManyAttachments}
	}
	if count == 0 {
		return 0, nil, &Error{Kind: IllegalAttachments, Detail: "count is 0"}
	}
	return count, b[n+1:], nil
}

func (d *Decoder) cutNamespace(b []byte) (name string, rest []byte) {
	if len(b) == 0 || b[0] != '/' {
		return "/", b
	}
	raw, rest, _ := bytes.Cut(b, []byte{','})
	if len(raw) == 1 {
		return "/", rest
	}
	if string(raw) != d.namespace {
		d.namespace = string(raw)
	}
	return d.namespace, rest
}
