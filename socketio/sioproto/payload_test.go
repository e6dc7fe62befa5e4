package sioproto_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/peal-dev/peal/socketio/sioproto"
)

func TestCheckEvent(t *testing.T) {
	t.Parallel()
	atts := func(n int) [][]byte { return make([][]byte, n) }
	for _, tt := range []struct {
		name string
		data string
		atts [][]byte
		max  int
		kind sioproto.Kind // 0: valid
	}{
		{"plain", `["a",1]`, nil, 0, 0},
		{"empty name", `[""]`, nil, 0, 0},
		{"number", `[5,6]`, nil, 0, 0},
		{"half an emoji", `["a\ud83d"]`, nil, 0, 0},
		{"white space", " [ \"a\" ] ", nil, 0, 0},
		{"placeholder without attachments", `["a",{"_placeholder":true,"num":7}]`, nil, 0, 0},
		{"binary", `["a"` + placeholders(1) + `]`, atts(1), 0, 0},
		{"ten", `["a"` + placeholders(10) + `]`, atts(10), 0, 0},
		{"more by choice", `["a"` + placeholders(70) + `]`, atts(70), 70, 0},
		{"nothing", ``, nil, 0, sioproto.InvalidPayload},
		{"empty", `[]`, nil, 0, sioproto.InvalidPayload},
		{"object", `{"0":"a"}`, nil, 0, sioproto.InvalidPayload},
		{"string", `"a"`, nil, 0, sioproto.InvalidPayload},
		{"null name", `[null]`, nil, 0, sioproto.InvalidPayload},
		{"list for a name", `[["a"]]`, nil, 0, sioproto.InvalidPayload},
		{"reserved", `["disconnect"]`, nil, 0, sioproto.InvalidPayload},
		{"reserved, escaped", `["\u0063onnect"]`, nil, 0, sioproto.InvalidPayload},
		{"cut off", `["a"`, nil, 0, sioproto.InvalidPayload},
		{"deep", `["a",` + strings.Repeat("[", 512) + strings.Repeat("]", 513), nil, 0, sioproto.InvalidPayload},
		{"eleven", `["a"` + placeholders(11) + `]`, atts(11), 0, sioproto.TooManyAttachments},
		{"unnamed", `["a"]`, atts(1), 0, sioproto.IllegalAttachments},
		{"out of range", `["a"` + placeholders(2) + `]`, atts(1), 0, sioproto.IllegalAttachments},
		{"twice", `["a"` + placeholders(1) + placeholders(1) + `]`, atts(1), 0, sioproto.IllegalAttachments},
		{"ambiguous", `["a",{"_placeholder":true}` + placeholders(1) + `]`, atts(1), 0, sioproto.IllegalAttachments},
	} {
		err := sioproto.CheckEvent([]byte(tt.data), tt.atts, tt.max)
		if tt.kind == 0 && err != nil || tt.kind != 0 && !errors.Is(err, &sioproto.Error{Kind: tt.kind}) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.kind)
		}
	}
}

type rawJSON string

func (r rawJSON) MarshalJSON() ([]byte, error) { return []byte(r), nil }

type rawText string

func (r rawText) MarshalText() ([]byte, error) { return []byte(r), nil }

// TestMarshalWritesUnicode: whatever way a program has to write text, it leaves as UTF-8.
func TestMarshalWritesUnicode(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"caf\xe9", "\xff", "\xed\xa0\xbd", "\xf0\x9f\x98"} {
		quoted := `"` + bad + `"`
		for name, arg := range map[string]any{
			"string":            bad,
			"named string":      named(bad),
			"RawMessage":        json.RawMessage(quoted),
			"pointer to raw":    func() any { r := json.RawMessage(quoted); return &r }(),
			"raw in a struct":   struct{ A json.RawMessage }{json.RawMessage(quoted)},
			"raw in a list":     []any{json.RawMessage("[" + quoted + "]")},
			"raw with a key":    json.RawMessage("{" + quoted + ":1}"),
			"map key":           map[string]int{bad: 1},
			"MarshalJSON":       rawJSON(quoted),
			"MarshalText":       rawText(bad),
			"key MarshalText":   map[rawText]int{rawText(bad): 1},
			"beside binary":     map[string]any{"a": []byte{1}, "b": json.RawMessage(quoted)},
			"error-like struct": &struct{ Data any }{rawJSON(quoted)},
		} {
			for _, marshal := range []func() ([]byte, [][]byte, error){
				func() ([]byte, [][]byte, error) { return sioproto.MarshalArgs(arg) },
				func() ([]byte, [][]byte, error) { return sioproto.MarshalEvent("e"+bad, arg) },
			} {
				data, _, err := marshal()
				if err != nil || !utf8.Valid(data) || !json.Valid(data) || !strings.Contains(string(data), "\uFFFD") {
					t.Errorf("%s of %q: %q, %v", name, bad, data, err)
				}
			}
		}
	}
}

// TestMarshalPlaceholderLookalikes: alone they are data; beside binary they are refused, for no client could tell.
func TestMarshalPlaceholderLookalikes(t *testing.T) {
	t.Parallel()
	for _, like := range []any{
		map[string]any{"_placeholder": true, "num": 0},
		map[string]any{"_placeholder": true},
		json.RawMessage(`{"_placeholder":true,"num":0}`),
		json.RawMessage(`{"a":[{"\u005fplaceholder":true,"num":7}]}`),
		rawJSON(`{"num":0,"_placeholder":true}`),
	} {
		data, attachments, err := sioproto.MarshalEvent("a", like)
		if err != nil || len(attachments) != 0 {
			t.Errorf("%v alone: %s, %v", like, data, err)
		}
		for _, args := range [][]any{{[]byte{1}, like}, {like, []byte{1}}, {map[string]any{"a": like, "b": []byte{1}}}} {
			if data, _, err := sioproto.MarshalEvent("a", args...); !errors.Is(err, &sioproto.Error{Kind: sioproto.IllegalAttachments}) {
				t.Errorf("%v: %s, %v", args, data, err)
			}
		}
	}
	data, _, err := sioproto.MarshalEvent("a", []byte{1}, "_placeholder", `\_placeholder`, map[string]any{"_placeholder": false})
	if err != nil {
		t.Errorf("what only has the word: %s, %v", data, err)
	}
}

func TestMarshalDepth(t *testing.T) {
	t.Parallel()
	nest := func(n int) any {
		var v any = []any{}
		for range n - 1 {
			v = []any{v}
		}
		return v
	}
	raw := func(n int) any { return json.RawMessage(strings.Repeat("[", n) + strings.Repeat("]", n)) }
	for name, make := range map[string]func(int) any{"value": nest, "raw": raw} {
		if data, _, err := sioproto.MarshalEvent("a", make(511)); err != nil || sioproto.CheckEvent(data, nil, 0) != nil {
			t.Errorf("%s at the limit: %v", name, err)
		}
		if _, _, err := sioproto.MarshalEvent("a", make(512)); err == nil {
			t.Errorf("%s beyond the limit was marshaled", name)
		}
	}
	wide := make([]any, 2000)
	for i := range wide {
		wide[i] = []any{}
	}
	if _, _, err := sioproto.MarshalEvent("a", wide); err != nil {
		t.Errorf("wide, not deep: %v", err)
	}
}
