package jsonscan_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/internal/jsonscan"
	"github.com/peal-dev/peal/internal/utf8text"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// samples are the seeds of the fuzz targets: every form of value, and what comes close to one.
var samples = []string{
	`[]`, `[1,2]`, ` [ "a" , {"b":[null,true,false]} ] `, `[1.5e-3,-0,0.1]`, `["\u00e9\n\"",""]`, `[01]`, `[1,]`,
	`[.5]`, `[1e]`, `["\x"]`, "[\"a\x01\"]", "[\"01234567\\\"89abcdef\"]", `[nul]`, `[{"a"}]`, `[{a:1}]`, `]`, `[`,
	`{"a":1,"b":{}}`, `[-]`, `[1 2]`, `"12345678901234567890`, `"\ud83d"`, `"\ud83d\ude00"`, `"\ud83d\u0041\uDE00"`,
	"[\"caf\xe9\",{\"k\xff\":1}]", `{"_placeholder":true,"num":0}`, `[{ "num" : 1 , "_placeholder" : true },{"\u005fplaceholder":true}]`,
	`{"_placeholder":true,"num":0,"num":1}`, `{"_placeholder":true,"num":{"_placeholder":true,"num":0}}`,
	strings.Repeat("[", 513) + strings.Repeat("]", 513), strings.Repeat("[", 512) + strings.Repeat("]", 512),
}

func TestFirst(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{`[]`: "", ` [ ] `: "", `["a"]`: `"a"`, ` [ {"b":1} ,2]`: `{"b":1}`, `[1,2]`: "1"} {
		got, end := jsonscan.First([]byte(in))
		if string(got) != want || want != "" && in[:end] != in[:strings.Index(in, want)+len(want)] {
			t.Errorf("First(%s) = %s, %d, want %s", in, got, end, want)
		}
	}
}

func TestCheckPlaceholders(t *testing.T) {
	t.Parallel()
	const p0, p1 = `{"_placeholder":true,"num":0}`, `{ "num" : 1 , "_placeholder" : true }`
	for _, tt := range []struct {
		data  string
		count int
		ok    bool
	}{
		{``, 0, true},
		{``, 1, false},
		{`["a"]`, 0, true},
		{`[` + p0 + `]`, 1, true},
		{`{"x":[{"y":` + p1 + `}],"z":` + p0 + `}`, 2, true},
		{`[` + p0 + `,{"_placeholder":false,"num":0},{"num":0},{"_placeholder":"true"},{}]`, 1, true},
		{`["_placeholder",true,"num",0,` + p0 + `]`, 1, true},
		{`[` + p0 + `]`, 2, false},
		{`[` + p0 + `,` + p0 + `]`, 1, false},
		{`[` + p0 + `,` + p0 + `]`, 2, false},
		{`[` + p0 + `,` + p1 + `]`, 1, false},
		{`[` + p0 + `,{"_placeholder":true}]`, 1, false},
		{`[` + p0 + `,{"_placeholder":true,"num":0.5}]`, 1, false},
		{`[` + p0 + `,{"_placeholder":true,"num":-1}]`, 1, false},
		{`[` + p0 + `,{"_placeholder":true,"num":1e0}]`, 2, false},
		{`[` + p0 + `,{"_placeholder":true,"num":"1"}]`, 2, false},
		{`[` + p0 + `,{"_placeholder":true,"num":1,"x":0}]`, 2, false},
		{`[` + p0 + `,{"_placeholder":false,"_placeholder":true}]`, 1, false},
		{`[` + p0 + `,{"_placeholder":true,"_placeholder":false}]`, 1, true},
		{`[` + p0 + `,{"\u005fplacehol\u0064er":true,"num":0}]`, 1, false},
		{`[` + p0 + `,{"_placeholder":true,"num":99999999999999999999}]`, 1, false},
	} {
		if err := jsonscan.CheckPlaceholders([]byte(tt.data), tt.count); (err == nil) != tt.ok {
			t.Errorf("%d attachments and %s: %v, want ok=%v", tt.count, tt.data, err, tt.ok)
		}
	}
	many := []byte{'['}
	for i := range 100 {
		many = append(jsonscan.AppendPlaceholder(many, i), ',')
	}
	many[len(many)-1] = ']'
	if err := jsonscan.CheckPlaceholders(many, 100); err != nil {
		t.Errorf("100 attachments: %v", err)
	}
}

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

// FuzzScan compares with encoding/json whatever that defines.
func FuzzScan(f *testing.F) {
	for _, s := range samples {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		want := json.Valid(data) && depth(data) <= jsonscan.MaxDepth
		if got := jsonscan.Valid(data); got != want {
			t.Fatalf("Valid(%q) = %v, encoding/json says %v", data, got, want)
		}
		if jsonscan.Valid(utf8text.Bytes(data)) != want {
			t.Fatalf("%q is JSON: %v, and made UTF-8 it is not the same", data, want)
		}
		elements, err := jsonscan.AppendElements(nil, data)
		var list []json.RawMessage
		isArray := want && json.Unmarshal(data, &list) == nil && list != nil
		if (err == nil) != isArray || len(elements) != len(list) {
			t.Fatalf("AppendElements(%q): %d elements, %v, want %d", data, len(elements), err, len(list))
		}
		for i, e := range elements {
			if string(e) != string(list[i]) {
				t.Fatalf("AppendElements(%q)[%d] = %q, want %q", data, i, e, list[i])
			}
		}
		if isArray {
			first, _ := jsonscan.First(data)
			if len(list) == 0 && first != nil || len(list) > 0 && !bytes.Equal(first, list[0]) {
				t.Fatalf("First(%q) = %q", data, first)
			}
		}
		var s *string
		if want && json.Unmarshal(data, &s) == nil && s != nil {
			got := string(jsonscan.AppendUnquoted(nil, bytes.Trim(data, " \t\r\n")))
			if got != *s || !utf8.ValidString(got) {
				t.Fatalf("AppendUnquoted(%q) = %q, want %q", data, got, *s)
			}
		}
	})
}

// FuzzPlaceholders holds the walk against a decoder: what passes names each attachment once, in the eyes of a client too.
func FuzzPlaceholders(f *testing.F) {
	for _, s := range samples {
		f.Add([]byte(s), 1)
	}
	f.Fuzz(func(t *testing.T, data []byte, count int) {
		var starts []int
		last := 0
		for {
			start, end, num := jsonscan.NextPlaceholder(data, last)
			if start < 0 {
				break
			}
			if start < last || end <= start || end > len(data) || num < 0 {
				t.Fatalf("NextPlaceholder(%q, %d) = %d, %d, %d", data, last, start, end, num)
			}
			starts = append(starts, start)
			last = end
		}
		if !jsonscan.Valid(data) || count < 1 || count > 100 {
			return
		}
		err := jsonscan.CheckPlaceholders(data, count)
		var v any
		if decode := json.Unmarshal(data, &v); decode != nil {
			return // a number beyond float64
		}
		seen, sound := named(nil, v, count)
		if err != nil {
			return // it is allowed to be stricter: two members, plain digits, no member twice
		}
		slices.Sort(seen)
		if !sound || len(seen) != count || len(slices.Compact(seen)) != count || len(starts) != count {
			t.Fatalf("%q passes for %d attachments, a client sees %v, an expander %d", data, count, seen, len(starts))
		}
	})
}

// named returns the attachments that a client's parser finds in v; sound is false where it gives up.
func named(list []int, v any, count int) (_ []int, sound bool) {
	sound = true
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			ok := false
			list, ok = named(list, e, count)
			sound = sound && ok
		}
	case map[string]any:
		if v["_placeholder"] == true {
			num, ok := v["num"].(float64)
			return append(list, int(num)), ok && num >= 0 && num < float64(count)
		}
		for _, e := range v {
			ok := false
			list, ok = named(list, e, count)
			sound = sound && ok
		}
	}
	return list, sound
}

func BenchmarkScan(b *testing.B) {
	data := []byte(`["message",{"room":"general","text":"hello, this is a message of usual length","at":1767322800}]`)
	binary := []byte(`["photo","cat.jpg",{"size":[640,480],"data":{"_placeholder":true,"num":0}}]`)
	b.Run("valid", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			if !jsonscan.Valid(data) {
				b.Fatal("not valid")
			}
		}
	})
	b.Run("placeholders", func(b *testing.B) {
		b.SetBytes(int64(len(binary)))
		b.ReportAllocs()
		for b.Loop() {
			if err := jsonscan.CheckPlaceholders(binary, 1); err != nil {
				b.Fatal(err)
			}
		}
	})
}
