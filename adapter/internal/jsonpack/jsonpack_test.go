package jsonpack_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/adapter/internal/jsonpack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAppendMsgpack(t *testing.T) {
	t.Parallel()
	atts := [][]byte{{1, 2, 3}, nil}
	tests := []struct {
		json string
		atts [][]byte
		want string
	}{
		{`null`, nil, "c0"},
		{` [ true , false ] `, nil, "92c3c2"},
		{`[]`, nil, "90"},
		{`[ ]`, nil, "90"},
		{`{}`, nil, "80"},
		{`{"a":{"b":[1]},"c":[]}`, nil, "82a16181a16291 01 a16390"},
		{`[0,127,128,255,256,65535,65536,4294967295,4294967296]`, nil,
			"99 00 7f cc80 ccff cd0100 cdffff ce00010000 ceffffffff cf0000000100000000"},
		{`[-1,-32,-33,-128,-129]`, nil, "95 ff e0 d0df d080 d1ff7f"},
		{`[9007199254740991,9007199254740992]`, nil, "92 cf001fffffffffffff cb4340000000000000"},
		{`[1.0,1e3,-0,1.5,12345678901234567890]`, nil, "95 01 cd03e8 00 cb3ff8000000000000 cb43e56a95319d63e1"},
		{`[1e400,-1e400]`, nil, "92c0c0"},
		{`"é\u00e9\ud83d\ude00"`, nil, "a8c3a9c3a9f09f9880"},
		{`"\"\\\/\b\f\n\r\t"`, nil, "a8225c2f080c0a0d09"},
		{`"\ud800x\ud800\u0041"`, nil, "a8efbfbd78efbfbd41"},
		{"\"a\xffb\"", nil, "a561efbfbd62"},
		{`{"_placeholder":true,"num":0}`, atts, "c403010203"},
		{`[{ "num" : 1 , "_placeholder" : true },{"_placeholder":true,"num":0,"x":1}]`, atts,
			"92 c400 83ac5f706c616365686f6c646572c3a36e756d00a17801"},
		{`{"_placeholder":true,"num":0}`, nil, "82ac5f706c616365686f6c646572c3a36e756d00"},
		{`{"_placeholder":false,"num":0}`, atts, "82ac5f706c616365686f6c646572c2a36e756d00"},
	}
	for _, tt := range tests {
		got, err := jsonpack.AppendMsgpack([]byte{0xaa}, []byte(tt.json), tt.atts)
		if want := append([]byte{0xaa}, unhex(t, tt.want)...); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %x, %v; want %x", tt.json, got, err, want)
		}
	}
	// Headers of more than a byte.
	for _, n := range []int{15, 16, 65535, 65536} {
		src := "[" + strings.TrimSuffix(strings.Repeat("1,", n), ",") + "]"
		got, err := jsonpack.AppendMsgpack(nil, []byte(src), nil)
		if err != nil {
			t.Fatal(err)
		}
		back, _, rest, err := jsonpack.AppendJSON(nil, nil, got)
		if err != nil || string(back) != src || len(rest) != 0 {
			t.Errorf("array of %d does not come back: %v", n, err)
		}
	}
}

func TestAppendMsgpackErrors(t *testing.T) {
	t.Parallel()
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	if _, err := jsonpack.AppendMsgpack(nil, []byte(deep(jsonpack.MaxDepth)), nil); err != nil {
		t.Errorf("at the depth limit: %v", err)
	}
	tests := []struct {
		json string
		want error
	}{
		{deep(jsonpack.MaxDepth + 1), jsonpack.ErrDepth},
		{`{"_placeholder":true,"num":1}`, jsonpack.ErrAttachment},
		{`[{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]`, jsonpack.ErrAttachment},
		{`[{"a":{"num":0,"_placeholder":true}},[{"_placeholder":true,"num":0}]]`, jsonpack.ErrAttachment},
	}
	for _, s := range []string{"", " ", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{1:2}", `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a" 1}`,
		"tru", "nul", "01", "-", "1.", "1e", ".5", "+1", `"a`, `"\x"`, `"\u12g4"`, `"\`, "\"\n\"", "1 1", "[1]]", "[}", "{]", `["a":1]`, "NaN"} {
		tests = append(tests, struct {
			json string
			want error
		}{s, jsonpack.ErrSyntax})
	}
	for _, tt := range tests {
		got, err := jsonpack.AppendMsgpack([]byte("x"), []byte(tt.json), [][]byte{{1}})
		if !errors.Is(err, tt.want) || string(got) != "x" {
			t.Errorf("%.40q: %x, %v; want %v", tt.json, got, err, tt.want)
		}
	}
}

func TestAppendJSON(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, msgpack, want string }{
		{"scalars", "96 c0 c2 c3 7f e0 a0", `[null,false,true,127,-32,""]`},
		{"ints", "98 ccff cdffff ceffffffff cfffffffffffffffff d080 d18000 d280000000 d38000000000000000",
			`[255,65535,4294967295,18446744073709551615,-128,-32768,-2147483648,-9223372036854775808]`},
		{"floats", "96 ca3fc00000 cb7ff8000000000000 cbfff0000000000000 cb8000000000000000 cb3e112e0be826d695 cb444b1ae4d6e2ef50",
			`[1.5,null,null,0,1e-9,1e+21]`},
		{"str", "93 d90161 da000162 db0000000163", `["a","b","c"]`},
		{"escapes", "a8 00 08 0c 0a 22 5c ff 7f", `"\u0000\b\f\n\"\\` + "\uFFFD\x7f\""},
		{"bin", "93 c401ff c50001fe c600000001fd", `[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1},{"_placeholder":true,"num":2}]`},
		{"containers", "93 dc000101 dd0000000102 de0001a16103", `[[1],[2],{"a":3}]`},
		{"map32 and int keys", "df00000002 01a161 ffa162", `{"1":"a","-1":"b"}`},
		{"undefined", "92 d40000 83 a161d40000 a162c0 a163d40000", `[null,{"b":null}]`},
		{"array buffer", "93 c70200abcd c8000100ee c90000000100ff", `[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1},{"_placeholder":true,"num":2}]`},
		{"array buffer of 2, 4, 16", "93 d5000102 d60001020304 d80001020304050607080910111213141516",
			`[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1},{"_placeholder":true,"num":2}]`},
		{"date of notepack 2", "d7000000018bcfe5687b", `"2023-11-14T22:13:20.123Z"`},
		{"old date", "d700ffffffffffffffff", `"1969-12-31T23:59:59.999Z"`},
		{"far date", "d7000000e677d21fdc00", `"+010000-01-01T00:00:00.000Z"`},
		{"date before Christ", "d700ffffc76e394a7400", `"-000001-01-01T00:00:00.000Z"`},
		{"invalid date", "d7007fffffffffffffff", `null`},
		{"timestamp 32", "d6ff6553f100", `"2023-11-14T22:13:20.000Z"`},
		{"timestamp 64", "d7ff1d5353006553f100", `"2023-11-14T22:13:20.123Z"`},
		{"timestamp 96", "c70cff 0754d4c0 ffffffffffffffff", `"1969-12-31T23:59:59.123Z"`},
		{"timestamp out of range", "c70cff 00000000 7fffffffffffffff", `null`},
	}
	for _, tt := range tests {
		src := unhex(t, tt.msgpack)
		got, _, rest, err := jsonpack.AppendJSON([]byte("x"), nil, append(src, 0x2a))
		if err != nil || string(got) != "x"+tt.want || !bytes.Equal(rest, []byte{0x2a}) {
			t.Errorf("%s: %s, rest %x, %v; want %s", tt.name, got, rest, err, tt.want)
		}
		for n := range src {
			if _, _, _, err := jsonpack.AppendJSON(nil, nil, src[:n]); !errors.Is(err, jsonpack.ErrSyntax) {
				t.Errorf("%s cut to %d bytes: %v, want ErrSyntax", tt.name, n, err)
			}
		}
	}
}

func TestAttachments(t *testing.T) {
	t.Parallel()
	got, atts, _, err := jsonpack.AppendJSON(nil, [][]byte{{9}}, unhex(t, "92c4020102c70200abcd"))
	want := [][]byte{{9}, {1, 2}, {0xab, 0xcd}}
	if err != nil || string(got) != `[{"_placeholder":true,"num":1},{"_placeholder":true,"num":2}]` || !reflect.DeepEqual(atts, want) {
		t.Errorf("%s with %x, %v; want %x", got, atts, err, want)
	}
}

func TestAppendJSONErrors(t *testing.T) {
	t.Parallel()
	deep := append(bytes.Repeat([]byte{0x91}, jsonpack.MaxDepth), 0x90)
	if _, _, _, err := jsonpack.AppendJSON(nil, nil, deep[1:]); err != nil {
		t.Errorf("at the depth limit: %v", err)
	}
	tests := []struct {
		name string
		src  []byte
		want error
	}{
		{"too deep", deep, jsonpack.ErrDepth},
		{"map too deep", append(bytes.Repeat([]byte{0x81, 0xa0}, jsonpack.MaxDepth), 0x80), jsonpack.ErrDepth},
		{"nothing", nil, jsonpack.ErrSyntax},
		{"never used byte", []byte{0xc1}, jsonpack.ErrSyntax},
		{"array that promises too much", []byte{0xdd, 0xff, 0xff, 0xff, 0xff, 1}, jsonpack.ErrSyntax},
		{"bin that promises too much", []byte{0xc6, 0xff, 0xff, 0xff, 0xff, 1}, jsonpack.ErrSyntax},
		{"ext that promises too much", []byte{0xc9, 0xff, 0xff, 0xff, 0xff, 0, 1}, jsonpack.ErrSyntax},
		{"timestamp of two bytes", []byte{0xd5, 0xff, 0, 0}, jsonpack.ErrSyntax},
		{"timestamp with too many ns", unhex(t, "d7ffffffffff00000000"), jsonpack.ErrSyntax},
		{"unknown extension", []byte{0xd4, 5, 0}, jsonpack.ErrType},
		{"array as key", []byte{0x81, 0x90, 0x01}, jsonpack.ErrType},
	}
	for _, tt := range tests {
		if got, _, _, err := jsonpack.AppendJSON(nil, nil, tt.src); !errors.Is(err, tt.want) {
			t.Errorf("%s: %s, %v; want %v", tt.name, got, err, tt.want)
		}
	}
}

// FuzzTranscode takes JSON to MessagePack and back and compares it with what encoding/json understands.
func FuzzTranscode(f *testing.F) {
	for _, s := range []string{`["a",1,-1.5e300,{"b":[null,true]}]`, `"\ud83d\ude00\u0000"`, `9007199254740993`, `[1e400]`, `{"a":1,"a":2}`, "[[],{}]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		packed, err := jsonpack.AppendMsgpack(nil, src, nil)
		if err != nil {
			if json.Valid(src) && !errors.Is(err, jsonpack.ErrDepth) {
				t.Fatalf("%q is JSON: %v", src, err)
			}
			return
		}
		if !json.Valid(src) {
			t.Fatalf("%q is no JSON but became %x", src, packed)
		}
		back, atts, rest, err := jsonpack.AppendJSON(nil, nil, packed)
		if err != nil || len(rest) != 0 || len(atts) != 0 {
			t.Fatalf("%q: %x does not come back: %v, rest %x, attachments %x", src, packed, err, rest, atts)
		}
		var was, is any
		if json.Unmarshal(src, &was) != nil {
			return // a number beyond float64, which becomes null
		}
		if err := json.Unmarshal(back, &is); err != nil {
			t.Fatalf("%q became %q: %v", src, back, err)
		}
		if !same(was, is) {
			t.Fatalf("%q became %q", src, back)
		}
	})
}

// same compares decoded JSON: numbers as doubles of which -0 is 0.
func same(a, b any) bool {
	switch a := a.(type) {
	case float64:
		b, ok := b.(float64)
		return ok && (a == b || math.IsNaN(a) && math.IsNaN(b))
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !same(a[i], b[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k, v := range a {
			w, ok := b[k]
			if !ok || !same(v, w) {
				return false
			}
		}
		return true
	}
	return a == b
}

// FuzzAppendJSON feeds foreign bytes: what is accepted must be JSON with as many placeholders as attachments, and
// survive the way back.
func FuzzAppendJSON(f *testing.F) {
	for _, s := range []string{"93c0c2c3", "82a161c401ffa162d7ff0000000000000000", "d40000", "dd00000001ca3fc00000", "8101a0"} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		out, atts, rest, err := jsonpack.AppendJSON(nil, nil, src)
		if err != nil {
			return
		}
		if len(rest) > len(src) || !json.Valid(out) {
			t.Fatalf("%x became %q", src, out)
		}
		if !utf8.Valid(out) {
			t.Fatalf("%x became %q, which is no UTF-8", src, out)
		}
		size := 0
		for _, a := range atts {
			size += len(a)
		}
		// The most is a byte of text that is no UTF-8 or a control character, an empty bin, a date.
		if size > len(src) || len(out) > 40*len(src) {
			t.Fatalf("%d bytes became %d and attachments of %d", len(src), len(out), size)
		}
		if _, err := jsonpack.AppendMsgpack(nil, out, atts); err != nil && !errors.Is(err, jsonpack.ErrAttachment) {
			t.Fatalf("%x became %q, which has no way back: %v", src, out, err)
		}
	})
}

// FuzzAppendMsgpack: whatever the attachments and however they are named, the output is bounded by the input, and a
// second turn of the encoder knows nothing of the first.
func FuzzAppendMsgpack(f *testing.F) {
	f.Add([]byte(`["a",{"_placeholder":true,"num":0},{"num":1,"_placeholder":true}]`), []byte("x"), []byte{})
	f.Add([]byte(`[{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]`), bytes.Repeat([]byte{1}, 1000), []byte{})
	f.Fuzz(func(t *testing.T, src, a, b []byte) {
		out, err := jsonpack.AppendMsgpack(nil, src, [][]byte{a, b})
		if err != nil {
			return
		}
		if limit := 9*len(src) + len(a) + len(b) + 10; len(out) > limit {
			t.Fatalf("%q with attachments of %d and %d became %d bytes", src, len(a), len(b), len(out))
		}
		if again, err := jsonpack.AppendMsgpack(nil, src, [][]byte{a, b}); err != nil || !bytes.Equal(again, out) {
			t.Fatalf("%q: %x, then %x, %v", src, out, again, err)
		}
	})
}

func BenchmarkTranscode(b *testing.B) {
	src := []byte(`["tick",{"symbol":"ACME","price":12.25,"volume":1200,"tags":["a","b","c"],"note":"plain text that is a little longer"},true]`)
	packed, err := jsonpack.AppendMsgpack(nil, src, nil)
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 1024)
	b.Run("json-to-msgpack", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(src)))
		for b.Loop() {
			if _, err := jsonpack.AppendMsgpack(buf, src, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("msgpack-to-json", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(packed)))
		for b.Loop() {
			if _, _, _, err := jsonpack.AppendJSON(buf, nil, packed); err != nil {
				b.Fatal(err)
			}
		}
	})
}
