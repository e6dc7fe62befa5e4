package sioproto_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/peal-dev/peal/message"
	"github.com/peal-dev/peal/socketio/sioproto"
)

// depth is how deep data nests by the scanner's counting, for the one point where it and encoding/json differ.
func depth(data []byte) (deepest int) {
	now, quoted := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == '[' || c == '{'):
			now++
			deepest = max(deepest, now)
		case !quoted && (c == ']' || c == '}'):
			now--
		}
	}
	return deepest
}

func FuzzElements(f *testing.F) {
	for _, s := range []string{
		`[]`, `[1,2]`, ` [ "a" , {"b":[null,true,false]} ] `, `[1.5e-3,-0,0.1]`, `["\u00e9\n\"",""]`, `[01]`, `[1,]`,
		`[.5]`, `[1e]`, `["\x"]`, "[\"a\x01\"]", "[\"01234567\\\"89abcdef\"]", `[nul]`, `[{"a"}]`, `[{a:1}]`, `]`, `[`,
		`{"a":1,"b":{}}`, `[-]`, `[1 2]`, `"12345678901234567890`, strings.Repeat("[", 513) + strings.Repeat("]", 513),
		strings.Repeat("[", 512) + strings.Repeat("]", 512),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		want := json.Valid(data) && depth(data) <= sioproto.MaxDepth
		if got := sioproto.Valid(data); got != want {
			t.Fatalf("Valid(%q) = %v, encoding/json says %v", data, got, want)
		}
		elements, err := sioproto.Elements(data)
		var list []json.RawMessage
		isArray := want && json.Unmarshal(data, &list) == nil && list != nil
		if (err == nil) != isArray {
			t.Fatalf("Elements(%q): %v", data, err)
		}
		if len(elements) != len(list) {
			t.Fatalf("Elements(%q): %d elements, want %d", data, len(elements), len(list))
		}
		for i, e := range elements {
			if string(e) != string(list[i]) {
				t.Fatalf("Elements(%q)[%d] = %q, want %q", data, i, e, list[i])
			}
		}
	})
}

func FuzzDecoder(f *testing.F) {
	for _, g := range golden {
		f.Add([]byte(g.wire), []byte("x"))
	}
	f.Add([]byte(`51-["a",{"_placeholder":true,"num":1}]`), []byte{})
	f.Add([]byte(`511-["a"]`), []byte{})
	f.Add([]byte(`2["connect"]`), []byte{})
	f.Fuzz(func(t *testing.T, text, binary []byte) {
		d := sioproto.Decoder{MaxBytes: 1 << 16}
		p, err := d.Text(text)
		for err == nil && p == nil {
			p, err = d.Binary(binary)
		}
		if err != nil {
			if d.Pending() != 0 {
				t.Fatal("a packet is held after an error")
			}
			return
		}
		if p.ID > sioproto.MaxID || p.Type > sioproto.ConnectError || p.Namespace == "" {
			t.Fatalf("impossible packet %+v", p)
		}
		if p.Type == sioproto.Event {
			if err := message.Check(p.Data, len(p.Attachments), 0); err != nil {
				t.Fatalf("event %q: %v", p.Data, err)
			}
			elements, err := sioproto.Elements(p.Data)
			if err != nil || len(elements) == 0 {
				t.Fatalf("event with payload %q: %v", p.Data, err)
			}
			if _, err := message.EventName(elements[0]); err != nil {
				t.Fatalf("event name %q: %v", elements[0], err)
			}
			for _, e := range elements[1:] {
				var v any
				// Numbers out of range are JSON, but no float64.
				if err := sioproto.Unmarshal(e, p.Attachments, &v); err != nil && !strings.Contains(err.Error(), "range") {
					t.Fatalf("argument %q: %v", e, err)
				}
			}
		}
		wire := sioproto.AppendText(nil, p)
		var again sioproto.Decoder
		q, err := again.Text(wire)
		for _, a := range p.Attachments {
			if err != nil {
				break
			}
			q, err = again.Binary(a)
		}
		if err != nil || !reflect.DeepEqual(p, q) {
			t.Fatalf("%q encodes to %q, which decodes to %+v, %v", text, wire, q, err)
		}
	})
}

func FuzzUnmarshal(f *testing.F) {
	for _, s := range []string{
		`{"name":"n","data":{"_placeholder":true,"num":0},"any":[{"_placeholder":true,"num":1}]}`, `"AQ=="`, `null`,
		`{"_placeholder":true,"num":2}`, `{"_placeholder":true,"num":0.5}`, `{"data":{}}`, `[1,"a",{}]`, `{"any":1e999}`,
	} {
		f.Add([]byte(s), []byte{1}, []byte{2})
	}
	f.Fuzz(func(t *testing.T, raw, a, b []byte) {
		if _, err := sioproto.Elements([]byte("[" + string(raw) + "]")); err != nil {
			return // not JSON, or too deep for an argument
		}
		if !sioproto.Valid(raw) {
			return
		}
		var v any
		if err := sioproto.Unmarshal(raw, [][]byte{a, b}, &v); err == nil {
			// What was decoded encodes, and that decodes to the same again.
			data, attachments, err := sioproto.MarshalArgs(v)
			if err != nil {
				t.Fatalf("Marshal(%#v): %v", v, err)
			}
			elements, err := sioproto.Elements(data)
			if err != nil {
				t.Fatalf("Marshal(%#v) = %s: %v", v, data, err)
			}
			var again any
			if err := sioproto.Unmarshal(elements[0], attachments, &again); err != nil {
				t.Fatalf("Unmarshal(%s): %v", elements[0], err)
			}
			if len(attachments) > 0 && !reflect.DeepEqual(v, again) {
				t.Fatalf("%#v became %#v", v, again)
			}
		}
		for _, into := range []any{new(file), new([]byte), new(string), new(map[string]any), new([]any), new(float64)} {
			_ = sioproto.Unmarshal(raw, [][]byte{a, b}, into)
			_ = sioproto.Unmarshal(raw, nil, into)
		}
	})
}
