package sioproto

// Kind says which rule of the protocol a packet broke.
type Kind uint8

// The kinds of [Error].
const (
	// InvalidPayload: the payload is not JSON, is nested too deeply, or has not the shape its packet type asks for.
	InvalidPayload Kind = iota + 1
	// UnknownType: the first byte is not the digit of a packet type.
	UnknownType
	// IllegalAttachments: the attachment count is not a number of at least 1, or the placeholders do not name each
	// attachment exactly once.
	IllegalAttachments
	// TooManyAttachments: the packet announces more attachments than [Decoder].MaxAttachments.
	TooManyAttachments
	// UnexpectedText: a text packet came while attachments were still missing.
	UnexpectedText
	// UnexpectedBinary: a binary message came that no packet had announced.
	UnexpectedBinary
	// TooLarge: a packet and its attachments are larger than [Decoder].MaxBytes.
	TooLarge
	// ReservedName: the event name belongs to the protocol.
	ReservedName
)

// String returns the message the reference implementation uses for k.
func (k Kind) String() string {
	switch k {
	case InvalidPayload:
		return "invalid payload"
	case UnknownType:
		return "unknown packet type"
	case IllegalAttachments:
		return "illegal attachments"
	case TooManyAttachments:
		return "too many attachments"
	case UnexpectedText:
		return "got plaintext data when reconstructing a packet"
	case UnexpectedBinary:
		return "got binary data when not reconstructing a packet"
	case TooLarge:
		return "packet too large"
	case ReservedName:
		return "reserved event name"
	}
	return "unknown error"
}

// Error is a violation of the protocol. Two errors of the same Kind are equal to errors.Is when the target has no
// Detail, so errors.Is(err, &Error{Kind: TooLarge}) tests for the kind.
type Error struct {
	// Kind is the broken rule.
	Kind Kind
	// Detail says more about the packet at hand; it may be empty. It never repeats what the peer sent at length.
	Detail string
}

// Error returns the message of the kind and the detail.
func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Kind.String()
	}
	return e.Kind.String() + ": " + e.Detail
}

// Is reports whether target is an *Error of the same kind, without a detail or with the same one.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Kind == e.Kind && (t.Detail == "" || t.Detail == e.Detail)
}

func invalid(detail string) error { return &Error{Kind: InvalidPayload, Detail: detail} }
