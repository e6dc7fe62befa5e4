package jsonbson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
	"go.uber.org/goleak"

	"github.com/peal-dev/peal/adapter/internal/jsonbson"
	"github.com/peal-dev/peal/adapter/internal/jsonpack"
	"github.com/peal-dev/peal/internal/jsonscan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// document returns the document whose one member v is what src becomes.
func document(src []byte, attachments [][]byte) ([]byte, error) {
	start, dst := bsoncore.AppendDocumentStart(nil)
	dst, err := jsonbson.AppendElement(dst, "v", src, attachments)
	if err != nil {
		return nil, err
	}
	return bsoncore.AppendDocumentEnd(dst, start)
}

// doc returns a document of keys and values.
func doc(pairs ...any) (d bson.D) {
	for i := 0; i < len(pairs); i += 2 {
		d = append(d, bson.E{Key: pairs[i].(string), Value: pairs[i+1]})
	}
	return d
}

// TestAppendElement holds what is written to what the official library writes for the same values.
func TestAppendElement(t *testing.T) {
	t.Parallel()
	atts := [][]byte{{1, 2, 3}, {}}
	tests := []struct {
		json string
		atts [][]byte
		want any
	}{
		{`null`, nil, nil},
		{` [ true , false ] `, nil, bson.A{true, false}},
		{`[]`, nil, bson.A{}},
		{`[ ]`, nil, bson.A{}},
		{`{}`, nil, bson.D{}},
		{`{"a":{"b":[1]},"c":[],"":"x","a.b":1,"$c":2}`, nil, doc("a", doc("b", bson.A{int32(1)}), "c", bson.A{}, "", "x", "a.b", int32(1), "$c", int32(2))},
		{`[0,-1,2147483647,-2147483648,1.0,1e3]`, nil, bson.A{int32(0), int32(-1), int32(math.MaxInt32), int32(math.MinInt32), int32(1), int32(1000)}},
		{`[2147483648,-2147483649,9007199254740993,1.5,-0,1e21]`, nil, bson.A{2147483648.0, -2147483649.0, 9007199254740992.0, 1.5, math.Copysign(0, -1), 1e21}},
		{`[1e400,-1e400]`, nil, bson.A{nil, nil}},
		{`"é\u00e9\ud83d\ude00\u0000"`, nil, "éé😀\x00"},
		{`"\"\\\/\b\f\n\r\t"`, nil, "\"\\/\b\f\n\r\t"},
		{`"\ud800x"`, nil, "\uFFFDx"},
		{"\"a\xffb\"", nil, "a\uFFFDb"},
		{`{"_placeholder":true,"num":0}`, atts, []byte{1, 2, 3}},
		{`[{ "num" : 1 , "_placeholder" : true },{"_placeholder":true,"num":0,"x":1}]`, atts,
			bson.A{[]byte{}, doc("_placeholder", true, "num", int32(0), "x", int32(1))}},
		{`{"_placeholder":true,"num":0}`, nil, doc("_placeholder", true, "num", int32(0))},
		{`[1,2,3,4,5,6,7,8,9,10,11]`, nil, bson.A{int32(1), int32(2), int32(3), int32(4), int32(5), int32(6), int32(7), int32(8), int32(9), int32(10), int32(11)}},
	}
	for _, tt := range tests {
		want, err := bson.Marshal(doc("v", tt.want))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := document([]byte(tt.json), tt.atts); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %x, %v; want %x", tt.json, got, err, want)
		}
	}
}

func TestAppendElementErrors(t *testing.T) {
	t.Parallel()
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	if _, err := document([]byte(deep(jsonbson.MaxDepth)), nil); err != nil {
		t.Errorf("at the depth limit: %v", err)
	}
	tests := []struct {
		json string
		want error
	}{
		{deep(jsonbson.MaxDepth + 1), jsonpack.ErrDepth},
		{strings.Repeat(`{"a":`, jsonbson.MaxDepth+1) + "1" + strings.Repeat("}", jsonbson.MaxDepth+1), jsonpack.ErrDepth},
		{`{"_placeholder":true,"num":1}`, jsonpack.ErrAttachment},
		{`[{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]`, jsonpack.ErrAttachment},
		{`{"a\u0000b":1}`, jsonpack.ErrType},
	}
	for _, s := range []string{"", " ", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{1:2}", `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a" 1}`, "{",
		"tru", "nul", "01", "-", "1.", "1e", ".5", "+1", `"a`, `"\x"`, `"\u12g4"`, `"\`, "\"\n\"", "1 1", "[1]]", "[}", "{]", `["a":1]`, "NaN"} {
		tests = append(tests, struct {
			json string
			want error
		}{s, jsonpack.ErrSyntax})
	}
	for _, tt := range tests {
		got, err := jsonbson.AppendElement([]byte("x"), "v", []byte(tt.json), [][]byte{{1}})
		if !errors.Is(err, tt.want) || string(got) != "x" {
			t.Errorf("%.40q: %x, %v; want %v", tt.json, got, err, tt.want)
		}
	}
}

// value returns v as it stands in a document.
func value(t testing.TB, v any) bsoncore.Value {
	t.Helper()
	b, err := bson.Marshal(doc("v", v))
	if err != nil {
		t.Fatal(err)
	}
	return bsoncore.Document(b).Lookup("v")
}

func TestAppendJSON(t *testing.T) {
	t.Parallel()
	decimal, err := bson.ParseDecimal128("1.50")
	if err != nil {
		t.Fatal(err)
	}
	id, err := bson.ObjectIDFromHex("507f1f77bcf86cd799439011")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		in   any
		want string
	}{
		{bson.A{nil, bson.Undefined{}, true, false, "", int32(-7), int64(1) << 60}, `[null,null,true,false,"",-7,1152921504606846976]`},
		{bson.A{1.5, math.NaN(), math.Inf(1), math.Copysign(0, -1), 1e21, 5.0}, `[1.5,null,null,0,1e+21,5]`},
		{doc("a", doc("b", bson.Undefined{}, "c", bson.A{}), "\"", bson.D{}), `{"a":{"c":[]},"\"":{}}`},
		{"\x00\n\"é\u2028", `"\u0000\n\"é` + "\u2028" + `"`},
		{bson.DateTime(-1), `"1969-12-31T23:59:59.999Z"`},
		{time.UnixMilli(1_700_000_000_123), `"2023-11-14T22:13:20.123Z"`},
		{bson.DateTime(math.MaxInt64), `null`},
		{id, `"507f1f77bcf86cd799439011"`},
		{decimal, `{"$numberDecimal":"1.50"}`},
		{bson.Timestamp{T: 1, I: 2}, `{"$timestamp":"4294967298"}`},
		{bson.A{bson.Regex{Pattern: "a", Options: "i"}, bson.MinKey{}, bson.MaxKey{}}, `[{},{},{}]`},
		{bson.Symbol("s"), `"s"`},
		{bson.A{[]byte{1}, bson.Binary{Subtype: 4, Data: []byte{2}}, bson.Binary{Subtype: 2, Data: []byte{3}}},
			`[{"_placeholder":true,"num":1},{"_placeholder":true,"num":2},{"_placeholder":true,"num":3}]`},
	}
	for _, tt := range tests {
		got, atts, err := jsonbson.AppendJSON([]byte("x"), [][]byte{{9}}, value(t, tt.in))
		if err != nil || string(got) != "x"+tt.want {
			t.Errorf("%v: %s, %v; want %s", tt.in, got, err, tt.want)
		}
		for i, a := range atts[1:] {
			if len(a) != 1 || int(a[0]) != i+1 {
				t.Errorf("%v: attachments %x", tt.in, atts)
			}
		}
	}
}

func TestAppendJSONErrors(t *testing.T) {
	t.Parallel()
	nested := func(n int) bsoncore.Value {
		var v any = bson.A{}
		for range n - 1 {
			v = bson.A{v}
		}
		return value(t, v)
	}
	if _, _, err := jsonbson.AppendJSON(nil, nil, nested(jsonscan.MaxDepth)); err != nil {
		t.Errorf("at the depth limit: %v", err)
	}
	tests := []struct {
		name string
		in   bsoncore.Value
		want error
	}{
		{"too deep", nested(jsonscan.MaxDepth + 1), jsonpack.ErrDepth},
		{"code", value(t, bson.JavaScript("f()")), jsonpack.ErrType},
		{"unknown type", bsoncore.Value{Type: 0x42}, jsonpack.ErrType},
		{"short string", bsoncore.Value{Type: bsoncore.TypeString, Data: []byte{1, 0, 0, 0}}, jsonpack.ErrSyntax},
		{"short integer", bsoncore.Value{Type: bsoncore.TypeInt32, Data: []byte{1}}, jsonpack.ErrSyntax},
		{"short document", bsoncore.Value{Type: bsoncore.TypeEmbeddedDocument, Data: []byte{4, 0, 0, 0}}, jsonpack.ErrSyntax},
		{"document that promises too much", bsoncore.Value{Type: bsoncore.TypeArray, Data: []byte{99, 0, 0, 0, 0}}, jsonpack.ErrSyntax},
		{"key without an end", bsoncore.Value{Type: bsoncore.TypeArray, Data: []byte{7, 0, 0, 0, 10, 'a', 0}}, jsonpack.ErrSyntax},
		{"value cut off", bsoncore.Value{Type: bsoncore.TypeArray, Data: []byte{9, 0, 0, 0, 16, 'a', 0, 1, 0}}, jsonpack.ErrSyntax},
	}
	for _, tt := range tests {
		if got, _, err := jsonbson.AppendJSON([]byte("x"), nil, tt.in); !errors.Is(err, tt.want) || string(got) != "x" {
			t.Errorf("%s: %s, %v; want %v", tt.name, got, err, tt.want)
		}
	}
}

// FuzzTranscode takes JSON to BSON, which the official library must take for BSON too, and back, and compares it with what
// encoding/json understands.
func FuzzTranscode(f *testing.F) {
	for _, s := range []string{`["a",1,-1.5e300,{"b":[null,true]}]`, `"\ud83d\ude00\u0000"`, `9007199254740993`, `[1e400]`, `{"a":1,"a":2}`, "[[],{}]", `{"\u0000":1}`, `[-0]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		made, err := document(src, nil)
		if err != nil {
			if json.Valid(src) && !errors.Is(err, jsonpack.ErrDepth) && !errors.Is(err, jsonpack.ErrType) {
				t.Fatalf("%q is JSON: %v", src, err)
			}
			return
		}
		if err := bson.Raw(made).Validate(); err != nil {
			t.Fatalf("%q became %x: %v", src, made, err)
		}
		back, atts, err := jsonbson.AppendJSON(nil, nil, bsoncore.Document(made).Lookup("v"))
		if err != nil || len(atts) > 0 || !utf8.Valid(back) {
			t.Fatalf("%q became %q with %d attachments, %v", src, back, len(atts), err)
		}
		var was, is any
		if err := json.Unmarshal(src, &was); err != nil {
			if bytes.Contains(src, []byte("e")) || bytes.Contains(src, []byte("E")) || len(src) > 300 {
				return // a number that is too large for encoding/json
			}
			t.Fatalf("%q is no JSON and was taken: %v", src, err)
		}
		if err := json.Unmarshal(back, &is); err != nil || !reflect.DeepEqual(was, is) {
			t.Fatalf("%q became %q (%v)", src, back, err)
		}
	})
}

// FuzzAppendJSON reads documents of strangers: no panic, and what comes out is JSON with sound placeholders.
func FuzzAppendJSON(f *testing.F) {
	for _, v := range []any{bson.A{1.5, int64(7), "s", []byte{1}, nil, bson.DateTime(0), doc("a", bson.A{})}, bson.Regex{Pattern: "a"}, bson.Undefined{}} {
		f.Add(byte(value(f, v).Type), value(f, v).Data)
	}
	f.Fuzz(func(t *testing.T, kind byte, data []byte) {
		got, atts, err := jsonbson.AppendJSON(nil, nil, bsoncore.Value{Type: bsoncore.Type(kind), Data: data})
		if err != nil {
			if !errors.Is(err, jsonpack.ErrSyntax) && !errors.Is(err, jsonpack.ErrDepth) && !errors.Is(err, jsonpack.ErrType) {
				t.Fatalf("unexpected error %v", err)
			}
			return
		}
		if !json.Valid(got) {
			t.Fatalf("%x became %q", data, got)
		}
		size := 0
		for _, a := range atts {
			size += len(a)
		}
		if size > len(data) {
			t.Fatalf("%d bytes became attachments of %d", len(data), size)
		}
	})
}

func BenchmarkAppendElement(b *testing.B) {
	src := []byte(`{"packet":{"type":2,"data":["tick",{"id":12345,"price":99.5,"name":"` + strings.Repeat("x", 60) + `"}]},"opts":{"rooms":["room1"],"except":[],"flags":{}}}`)
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if dst, err = jsonbson.AppendElement(dst[:0], "data", src, nil); err != nil {
			b.Fatal(err)
		}
	}
}
