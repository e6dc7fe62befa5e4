package sioproto_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/peal-dev/peal/message"
	"github.com/peal-dev/peal/socketio/sioproto"
)

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
		if data, _, err := sioproto.MarshalEvent("a", make(511)); err != nil || message.Check(data, 0, 0) != nil {
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
