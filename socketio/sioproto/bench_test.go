package sioproto_test

import (
	"testing"

	"github.com/peal-dev/peal/socketio/sioproto"
)

type tick struct {
	Symbol string  `json:"symbol"`
	Price  float64 `json:"price"`
	Seq    int     `json:"seq"`
}

func BenchmarkDecodeEvent(b *testing.B) {
	wire := []byte(`2/chat,17["message",{"room":"general","text":"hello, this is a message of usual length","at":1767322800}]`)
	var d sioproto.Decoder
	b.SetBytes(int64(len(wire)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Text(wire); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeBinaryEvent(b *testing.B) {
	wire, bin := []byte(`51-["photo","cat.jpg",{"_placeholder":true,"num":0}]`), make([]byte, 256)
	var d sioproto.Decoder
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Text(wire); err != nil {
			b.Fatal(err)
		}
		if _, err := d.Binary(bin); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkElements(b *testing.B) {
	data := []byte(`["message",{"room":"general","text":"hello, this is a message of usual length","at":1767322800}]`)
	var elements [][]byte
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if elements, err = sioproto.AppendElements(elements[:0], data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMarshalEvent(b *testing.B) {
	for name, args := range map[string][]any{
		"text":   {"hello, this is a message of usual length", 17},
		"struct": {tick{"ACME", 17.25, 9}},
		"binary": {"cat.jpg", make([]byte, 256)},
		"nested": {file{Name: "cat.jpg", Data: make([]byte, 256)}},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := sioproto.MarshalEvent("message", args...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkUnmarshal(b *testing.B) {
	att := [][]byte{make([]byte, 256)}
	for _, bb := range []struct {
		name, raw string
		att       [][]byte
		into      func() any
	}{
		{"string", `"hello, this is a message of usual length"`, nil, func() any { return new(string) }},
		{"struct", `{"symbol":"ACME","price":17.25,"seq":9}`, nil, func() any { return new(tick) }},
		{"any", `{"symbol":"ACME","price":17.25,"seq":9}`, nil, func() any { return new(any) }},
		{"binary", `{"name":"cat.jpg","data":{"_placeholder":true,"num":0}}`, att, func() any { return new(file) }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := sioproto.Unmarshal([]byte(bb.raw), bb.att, bb.into()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendText(b *testing.B) {
	p := sioproto.Packet{Type: sioproto.Event, Namespace: "/chat", Data: []byte(`["message",{"room":"general"}]`), ID: 17, HasID: true}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = sioproto.AppendText(buf[:0], &p)
	}
}
