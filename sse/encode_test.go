package sse_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/peal-dev/peal/message"
	"github.com/peal-dev/peal/sse"
)

func TestEncode(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name        string
		data        string
		attachments [][]byte
		want        string
	}{
		{"plain", `["tick",1,"two",{"x":null}]`, nil, "id: 7-0\nevent: tick\ndata: [1,\"two\",{\"x\":null}]\n\n"},
		{"no arguments", `["tick"]`, nil, "id: 7-0\nevent: tick\ndata: []\n\n"},
		{"empty name", `["",1]`, nil, "id: 7-0\ndata: [1]\n\n"},
		{"name that starts with a space", `[" a",1]`, nil, "id: 7-0\nevent:  a\ndata: [1]\n\n"},
		{"name with line breaks", `["a\r\ndata: b",1]`, nil, "id: 7-0\nevent: a\uFFFD\uFFFDdata: b\ndata: [1]\n\n"},
		{"raw line breaks between values", "[\"a\",1,\r\n2,\r3,\n4]", nil,
			"id: 7-0\nevent: a\ndata: [1,\ndata: 2,\ndata: 3,\ndata: 4]\n\n"},
		{"numbers keep their digits", `["a",12345678901234567890.10]`, nil, "id: 7-0\nevent: a\ndata: [12345678901234567890.10]\n\n"},
		{"binary", `["a",{"_placeholder":true,"num":1},{"deep":[{"num":0,"_placeholder":true}]}]`,
			[][]byte{{0xff, 0xfe}, []byte("hi")}, "id: 7-0\nevent: a\ndata: [\"aGk=\",{\"deep\":[\"//4=\"]}]\n\n"},
		{"binary with spaces", `["a",{ "_placeholder" : true , "num" : 0 }]`, [][]byte{[]byte("hi")},
			"id: 7-0\nevent: a\ndata: [\"aGk=\"]\n\n"},
		{"placeholder inside a string", `["a","{\"_placeholder\":true,\"num\":0}",{"_placeholder":true,"num":0}]`, [][]byte{[]byte("hi")},
			"id: 7-0\nevent: a\ndata: [\"{\\\"_placeholder\\\":true,\\\"num\\\":0}\",\"aGk=\"]\n\n"},
		{"placeholder of a missing attachment", `["a",{"_placeholder":true,"num":3}]`, [][]byte{[]byte("hi")},
			"id: 7-0\nevent: a\ndata: [null]\n\n"},
		{"objects that only look like one", `["a",{"_placeholder":false,"num":0},{"num":0},{"_placeholder":true},{}]`, [][]byte{nil},
			"id: 7-0\nevent: a\ndata: [{\"_placeholder\":false,\"num\":0},{\"num\":0},{\"_placeholder\":true},{}]\n\n"},
		{"name that EventSource fires itself", `["error",1]`, nil, "id: 7-0\nevent: event:error\ndata: [1]\n\n"},
		{"the other one", `["op\u0065n"]`, nil, "id: 7-0\nevent: event:open\ndata: []\n\n"},
		{"number for a name", `[5,6]`, nil, "id: 7-0\nevent: 5\ndata: [6]\n\n"},
		{"bytes that are no UTF-8", "[\"a\",\"caf\xe9\"]", nil, "id: 7-0\nevent: a\ndata: [\"caf\uFFFD\"]\n\n"},
		{"half an emoji", `["a\ud83d","\ud83d"]`, nil, "id: 7-0\nevent: a\uFFFD\ndata: [\"\\ud83d\"]\n\n"},
		{"attachment named twice", `["a",{"_placeholder":true,"num":0},[{"_placeholder":true,"num":0}]]`, [][]byte{[]byte("hi")},
			"id: 7-0\nevent: a\ndata: [\"aGk=\",[null]]\n\n"},
		{"placeholder without attachments is data", `["a",{"_placeholder":true,"num":0}]`, nil,
			"id: 7-0\nevent: a\ndata: [{\"_placeholder\":true,\"num\":0}]\n\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := newMessage(test.data, test.attachments...)
			m.Offset = message.Offset{Ms: 7}
			if got := string(sse.Encode(m)); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestEncodeOncePerMessage(t *testing.T) {
	t.Parallel()
	m := newMessage(`["a",1]`)
	if a, b := sse.Encode(m), sse.Encode(m); &a[0] != &b[0] {
		t.Error("two streams got two encodings of one message")
	}
}

// A message without a place in a log has no id, by which nobody could find it again.
func TestEncodeID(t *testing.T) {
	t.Parallel()
	for want, offset := range map[string]message.Offset{
		"": {}, "id: 0-1\n": {Seq: 1}, "id: 1735689600000-7\n": {Ms: 1735689600000, Seq: 7},
	} {
		m := newMessage(`["a",1]`)
		m.Offset = offset
		if got := string(sse.Encode(m)); got != want+"event: a\ndata: [1]\n\n" {
			t.Errorf("at %v: %q", offset, got)
		}
	}
}

// FuzzEncode reads back what was encoded: exactly one event must come out, with the name and the data that went in.
func FuzzEncode(f *testing.F) {
	f.Add("tick", `1,"two"`, []byte(nil), uint64(1), uint64(0))
	f.Add("a\nb", "1,\r\n\n\r2", []byte("bin"), uint64(0), uint64(0))
	f.Add("data: x\n\nevent: y", `{"_placeholder":true,"num":0}`, []byte("bin"), uint64(0), uint64(0))
	f.Add("error", `{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}`, bytes.Repeat([]byte("x"), 1000), uint64(0), uint64(0))
	f.Add("a\xe9", "\"caf\xe9\"", []byte("bin"), uint64(0), uint64(0))
	f.Add("", `"\n"`, []byte{}, uint64(0), uint64(0))
	f.Add(" ", "\n\n", []byte{}, uint64(0), uint64(0))
	f.Add("\uFEFF", ":", []byte{}, uint64(0), uint64(0))
	f.Fuzz(func(t *testing.T, name, args string, attachment []byte, ms, seq uint64) {
		quoted, err := json.Marshal(name)
		if err != nil {
			t.Fatal(err)
		}
		data := "[" + string(quoted) + "," + args + "]"
		var attachments [][]byte
		if len(attachment) > 0 {
			attachments = [][]byte{attachment}
		}
		m := newMessage(data, attachments...)
		m.Offset = message.Offset{Ms: ms, Seq: seq}
		encoded := sse.Encode(m)
		r := sse.NewReader(bytes.NewReader(encoded))
		got, err := r.Next()
		if err != nil {
			t.Fatalf("%q: %v", encoded, err)
		}
		if !utf8.Valid(encoded) {
			t.Fatalf("%q is no UTF-8", encoded)
		}
		if limit := 3*len(data) + 2*len(attachment) + 3*len(name) + 128; len(encoded) > limit+7*bytes.Count(m.Args(), []byte{'\r'})+7*bytes.Count(m.Args(), []byte{'\n'}) {
			t.Fatalf("%d bytes and an attachment of %d became %d", len(data), len(attachment), len(encoded))
		}
		wantName := strings.NewReplacer("\r", "\uFFFD", "\n", "\uFFFD").Replace(m.Event())
		switch wantName {
		case "":
			wantName = "message"
		case "error", "open":
			wantName = "event:" + wantName
		}
		if got.Name != wantName {
			t.Errorf("name %q, want %q", got.Name, wantName)
		}
		id := ""
		if ms != 0 || seq != 0 {
			id = fmt.Sprintf("%d-%d", ms, seq)
		}
		if got.ID != id {
			t.Errorf("id %q, want %q", got.ID, id)
		}
		if want := breaks.Replace(string([]rune(string(m.Args())))); attachments == nil && got.Data != want {
			t.Errorf("data %q, want %q", got.Data, want)
		}
		if json.Valid([]byte(data)) && !json.Valid([]byte(got.Data)) {
			t.Errorf("valid arguments %q became invalid data %q", args, got.Data)
		}
		if second, err := r.Next(); err != io.EOF {
			t.Errorf("a second event: %+v, %v", second, err)
		}
	})
}

var breaks = strings.NewReplacer("\r\n", "\n", "\r", "\n")

func newMessage(data string, attachments ...[]byte) *message.Message {
	return message.New([]byte(data), attachments...)
}

func BenchmarkEncode(b *testing.B) {
	for name, m := range map[string]struct {
		data        string
		attachments [][]byte
	}{
		"text":   {`["message",{"room":"general","text":"hello, this is a message of usual length","at":1767322800}]`, nil},
		"binary": {`["photo","cat.jpg",{"_placeholder":true,"num":0}]`, [][]byte{make([]byte, 256)}},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sse.Encode(newMessage(m.data, m.attachments...))
			}
		})
	}
}
