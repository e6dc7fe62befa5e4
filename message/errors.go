package message

// Kind says which rule for events something broke.
type Kind uint8

// The kinds of [Error].
const (
	// InvalidPayload: the event is not JSON, is nested too deeply, or is no array that starts with a name.
	InvalidPayload Kind = iota + 1
	// IllegalAttachments: the placeholders do not name each attachment exactly once.
	IllegalAttachments
	// TooManyAttachments: there are more attachments than allowed.
	TooManyAttachments
)

// String returns the message that Socket.IO's reference implementation uses for k.
func (k Kind) String() string {
	switch k {
	case InvalidPayload:
		return "invalid payload"
	case IllegalAttachments:
		return "illegal attachments"
	case TooManyAttachments:
		return "too many attachments"
	}
	return "unknown error"
}

// Error says why something is no event that clients take. Two errors of the same Kind are equal to errors.Is when the
// target has no Detail, so errors.Is(err, &Error{Kind: TooManyAttachments}) tests for the kind.
type Error struct {
	// Kind is the broken rule.
	Kind Kind
	// Detail says more about the event at hand; it may be empty. It never repeats what the peer sent at length.
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
