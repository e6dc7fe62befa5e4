package message_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/peal-dev/peal/message"
)

// placeholders returns n of them, numbered, each behind a comma.
func placeholders(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,{"_placeholder":true,"num":%d}`, i)
	}
	return b.String()
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		data string
		atts int
		max  int
		kind message.Kind // "": valid
	}{
		{"plain", `["a",1]`, 0, 0, ""},
		{"empty name", `[""]`, 0, 0, ""},
		{"number", `[5,6]`, 0, 0, ""},
		{"half an emoji", `["a\ud83d"]`, 0, 0, ""},
		{"white space", " [ \"a\" ] ", 0, 0, ""},
		{"placeholder without attachments", `["a",{"_placeholder":true,"num":7}]`, 0, 0, ""},
		{"binary", `["a"` + placeholders(1) + `]`, 1, 0, ""},
		{"ten", `["a"` + placeholders(10) + `]`, 10, 0, ""},
		{"more by choice", `["a"` + placeholders(70) + `]`, 70, 70, ""},
		{"nothing", ``, 0, 0, message.InvalidPayload},
		{"empty", `[]`, 0, 0, message.InvalidPayload},
		{"object", `{"0":"a"}`, 0, 0, message.InvalidPayload},
		{"string", `"a"`, 0, 0, message.InvalidPayload},
		{"null name", `[null]`, 0, 0, message.InvalidPayload},
		{"list for a name", `[["a"]]`, 0, 0, message.InvalidPayload},
		{"reserved", `["disconnect"]`, 0, 0, message.InvalidPayload},
		{"reserved, escaped", `["\u0063onnect"]`, 0, 0, message.InvalidPayload},
		{"cut off", `["a"`, 0, 0, message.InvalidPayload},
		{"deep", `["a",` + strings.Repeat("[", 512) + strings.Repeat("]", 513), 0, 0, message.InvalidPayload},
		{"eleven", `["a"` + placeholders(11) + `]`, 11, 0, message.TooManyAttachments},
		{"unnamed", `["a"]`, 1, 0, message.IllegalAttachments},
		{"out of range", `["a"` + placeholders(2) + `]`, 1, 0, message.IllegalAttachments},
		{"twice", `["a"` + placeholders(1) + placeholders(1) + `]`, 1, 0, message.IllegalAttachments},
		{"ambiguous", `["a",{"_placeholder":true}` + placeholders(1) + `]`, 1, 0, message.IllegalAttachments},
	} {
		err := message.Check([]byte(tt.data), tt.atts, tt.max)
		if tt.kind == "" && err != nil || tt.kind != "" && !errors.Is(err, &message.Error{Kind: tt.kind}) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.kind)
		}
	}
}

func TestEventName(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`"a"`: "a", `"\u0061\n"`: "a\n", `"é"`: "é", `""`: "", `5`: "5", `-5`: "-5", `-0`: "0", `1.50`: "1.5",
		`1e2`: "100", `1e21`: "1e+21", `123456789012345678901`: "123456789012345680000",
	} {
		got, err := message.EventName([]byte(raw))
		if err != nil || got != want {
			t.Errorf("EventName(%s) = %q, %v, want %q", raw, got, err, want)
		}
	}
	for _, raw := range []string{``, `null`, `[]`, `"connect"`, `"a`, `"`} {
		if name, err := message.EventName([]byte(raw)); err == nil {
			t.Errorf("EventName(%s) = %q, want an error", raw, name)
		}
	}
}

func TestReserved(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"} {
		if !message.Reserved(name) {
			t.Errorf("%q is not reserved", name)
		}
	}
	for _, name := range []string{"", "error", "message", "connection", "Connect"} {
		if message.Reserved(name) {
			t.Errorf("%q is reserved", name)
		}
	}
}
