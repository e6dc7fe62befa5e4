package message

// Kind says which rule something broke, in the words of Socket.IO's reference implementation. Packages that read more than
// events, such as sioproto, have kinds of their own beside these.
type Kind string

// The kinds of [Error] for an event.
const (
	// InvalidPayload: the event is not JSON, is nested too deeply, or is no array that starts with a name.
	InvalidPayload Kind = "invalid payload"
	// IllegalAttachments: the placeholders do not name each attachment exactly once.
	IllegalAttachments Kind = "illegal attachments"
	// TooManyAttachments: there are more attachments than allowed.
	TooManyAttachments Kind = "too many attachments"
)

// Error says why something is no event that clients take. Two errors of the same Kind are equal to errors.Is when the
// target has no Detail, so errors.Is(err, &Error{Kind: TooManyAttachments}) tests for the kind.
type Error struct {
	// Kind is the broken rule.
	Kind Kind
	// Detail says more about the event at hand; it may be empty. It never repeats what the peer sent at length.
	Detail string
}

// Error returns the kind and the detail.
func (e *Error) Error() string {
	if e.Detail == "" {
		return string(e.Kind)
	}
	return string(e.Kind) + ": " + e.Detail
}

// Is reports whether target is an *Error of the same kind, without a detail or with the same one.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Kind == e.Kind && (t.Detail == "" || t.Detail == e.Detail)
}

func invalid(detail string) error { return &Error{Kind: InvalidPayload, Detail: detail} }
