package sioproto

import "github.com/peal-dev/peal/message"

// Kind says which rule of the protocol a packet broke.
type Kind = message.Kind

// The kinds of [Error]. The first three are those of an event, of which a packet asks a little more.
const (
	// InvalidPayload: the payload is not JSON, is nested too deeply, or has not the shape its packet type asks for.
	InvalidPayload = message.InvalidPayload
	// IllegalAttachments: the attachment count is not a number of at least 1, or the placeholders do not name each
	// attachment exactly once.
	IllegalAttachments = message.IllegalAttachments
	// TooManyAttachments: the packet announces more attachments than [Decoder].MaxAttachments.
	TooManyAttachments = message.TooManyAttachments
	// UnknownType: the first byte is not the digit of a packet type.
	UnknownType Kind = "unknown packet type"
	// UnexpectedText: a text packet came while attachments were still missing.
	UnexpectedText Kind = "got plaintext data when reconstructing a packet"
	// UnexpectedBinary: a binary message came that no packet had announced.
	UnexpectedBinary Kind = "got binary data when not reconstructing a packet"
	// TooLarge: a packet and its attachments are larger than [Decoder].MaxBytes.
	TooLarge Kind = "packet too large"
	// ReservedName: the event name belongs to the protocol.
	ReservedName Kind = "reserved event name"
)

// Error is a violation of the protocol. Two errors of the same Kind are equal to errors.Is when the target has no
// Detail, so errors.Is(err, &Error{Kind: TooLarge}) tests for the kind.
type Error = message.Error

func invalid(detail string) error { return &Error{Kind: InvalidPayload, Detail: detail} }
