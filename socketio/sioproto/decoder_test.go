package sioproto_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/peal-dev/peal/message"
	"github.com/peal-dev/peal/socketio/sioproto"
)

// golden holds packets whose text form is the one the reference encoder makes.
var golden = []struct {
	wire   string
	binary [][]byte
	packet sioproto.Packet
}{
	{`0`, nil, sioproto.Packet{Type: sioproto.Connect, Namespace: "/"}},
	{`0{"sid":"oSO0OpakMV_3jnilAAAA"}`, nil, sioproto.Packet{Type: sioproto.Connect, Namespace: "/", Data: []byte(`{"sid":"oSO0OpakMV_3jnilAAAA"}`)}},
	{`0/admin,{"token":"123"}`, nil, sioproto.Packet{Type: sioproto.Connect, Namespace: "/admin", Data: []byte(`{"token":"123"}`)}},
	{`0/admin,`, nil, sioproto.Packet{Type: sioproto.Connect, Namespace: "/admin"}},
	{`1`, nil, sioproto.Packet{Type: sioproto.Disconnect, Namespace: "/"}},
	{`1/admin,`, nil, sioproto.Packet{Type: sioproto.Disconnect, Namespace: "/admin"}},
	{`2["foo"]`, nil, sioproto.Packet{Type: sioproto.Event, Namespace: "/", Data: []byte(`["foo"]`)}},
	{`2/admin,["bar"]`, nil, sioproto.Packet{Type: sioproto.Event, Namespace: "/admin", Data: []byte(`["bar"]`)}},
	{`212["foo"]`, nil, sioproto.Packet{Type: sioproto.Event, Namespace: "/", ID: 12, HasID: true, Data: []byte(`["foo"]`)}},
	{`20["foo"]`, nil, sioproto.Packet{Type: sioproto.Event, Namespace: "/", HasID: true, Data: []byte(`["foo"]`)}},
	{`29007199254740991["foo"]`, nil, sioproto.Packet{Type: sioproto.Event, Namespace: "/", ID: sioproto.MaxID, HasID: true, Data: []byte(`["foo"]`)}},
	{`2/a?x=1,3["foo",{"a":1}]`, nil, sioproto.Packet{Type: sioproto.Event, Namespace: "/a?x=1", ID: 3, HasID: true, Data: []byte(`["foo",{"a":1}]`)}},
	{`2[5,6]`, nil, sioproto.Packet{Type: sioproto.Event, Namespace: "/", Data: []byte(`[5,6]`)}},
	{`3/admin,13["bar"]`, nil, sioproto.Packet{Type: sioproto.Ack, Namespace: "/admin", ID: 13, HasID: true, Data: []byte(`["bar"]`)}},
	{`30[]`, nil, sioproto.Packet{Type: sioproto.Ack, Namespace: "/", HasID: true, Data: []byte(`[]`)}},
	{`30`, nil, sioproto.Packet{Type: sioproto.Ack, Namespace: "/", HasID: true}},
	{`4{"message":"Not authorized"}`, nil, sioproto.Packet{Type: sioproto.ConnectError, Namespace: "/", Data: []byte(`{"message":"Not authorized"}`)}},
	{`4"old"`, nil, sioproto.Packet{Type: sioproto.ConnectError, Namespace: "/", Data: []byte(`"old"`)}},
	{
		`51-["baz",{"_placeholder":true,"num":0}]`, [][]byte{{1, 2, 3}},
		sioproto.Packet{Type: sioproto.Event, Namespace: "/", Data: []byte(`["baz",{"_placeholder":true,"num":0}]`), Attachments: [][]byte{{1, 2, 3}}},
	},
	{
		`52-/admin,["baz",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, [][]byte{{}, {4}},
		sioproto.Packet{Type: sioproto.Event, Namespace: "/admin", Data: []byte(`["baz",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`), Attachments: [][]byte{{}, {4}}},
	},
	{
		`61-/admin,15["bar",{"_placeholder":true,"num":0}]`, [][]byte{{9}},
		sioproto.Packet{Type: sioproto.Ack, Namespace: "/admin", ID: 15, HasID: true, Data: []byte(`["bar",{"_placeholder":true,"num":0}]`), Attachments: [][]byte{{9}}},
	},
}

func decode(d *sioproto.Decoder, text string, binary [][]byte) (*sioproto.Packet, error) {
	p, err := d.Text([]byte(text))
	for _, b := range binary {
		if err != nil || p != nil {
			return p, err
		}
		p, err = d.Binary(b)
	}
	return p, err
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, tt := range golden {
		t.Run(tt.wire, func(t *testing.T) {
			t.Parallel()
			if got := string(sioproto.AppendText(nil, &tt.packet)); got != tt.wire {
				t.Errorf("AppendText = %s", got)
			}
			var d sioproto.Decoder
			p, err := decode(&d, tt.wire, tt.binary)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(*p, tt.packet) {
				t.Errorf("decoded %+v, want %+v", *p, tt.packet)
			}
		})
	}
}

func TestDecoderAccepts(t *testing.T) {
	t.Parallel()
	for wire, want := range map[string]sioproto.Packet{
		`0/chat`:                 {Type: sioproto.Connect, Namespace: "/chat"},
		`0/`:                     {Type: sioproto.Connect, Namespace: "/"},
		`0/,`:                    {Type: sioproto.Connect, Namespace: "/"},
		"2[ \"a\" ,\t1 ]":        {Type: sioproto.Event, Namespace: "/", Data: []byte("[ \"a\" ,\t1 ]")},
		`2["error"]`:             {Type: sioproto.Event, Namespace: "/", Data: []byte(`["error"]`)},
		`2["connection"]`:        {Type: sioproto.Event, Namespace: "/", Data: []byte(`["connection"]`)},
		`2[""]`:                  {Type: sioproto.Event, Namespace: "/", Data: []byte(`[""]`)},
		`2["a\ud800"]`:           {Type: sioproto.Event, Namespace: "/", Data: []byte(`["a\ud800"]`)},
		`2[-1.5e3]`:              {Type: sioproto.Event, Namespace: "/", Data: []byte(`[-1.5e3]`)},
		`2["a",{"__proto__":1}]`: {Type: sioproto.Event, Namespace: "/", Data: []byte(`["a",{"__proto__":1}]`)},
		`2["a",{"_placeholder":true,"num":7}]`: {Type: sioproto.Event, Namespace: "/",
			Data: []byte(`["a",{"_placeholder":true,"num":7}]`)},
	} {
		var d sioproto.Decoder
		p, err := d.Text([]byte(wire))
		if err != nil {
			t.Errorf("%s: %v", wire, err)
		} else if !reflect.DeepEqual(*p, want) {
			t.Errorf("%s: got %+v", wire, *p)
		}
	}
}

func TestDecoderRefuses(t *testing.T) {
	t.Parallel()
	ph := func(num string) string { return `51-["a",{"_placeholder":true,"num":` + num + `}]` }
	deep := strings.Repeat("[", 512)
	for _, tt := range []struct {
		wire string
		kind sioproto.Kind
	}{
		{``, sioproto.UnknownType},
		{`7`, sioproto.UnknownType},
		{`9["a"]`, sioproto.UnknownType},
		{` 2["a"]`, sioproto.UnknownType},
		{`/`, sioproto.UnknownType},
		{`x`, sioproto.UnknownType},
		{`2{}`, sioproto.InvalidPayload},
		{`2`, sioproto.InvalidPayload},
		{`2/chat`, sioproto.InvalidPayload},
		{`2/chat,7`, sioproto.InvalidPayload},
		{`51-`, sioproto.InvalidPayload},
		{`2[]`, sioproto.InvalidPayload},
		{`2[null]`, sioproto.InvalidPayload},
		{`2[true]`, sioproto.InvalidPayload},
		{`2[{}]`, sioproto.InvalidPayload},
		{`2[1e999]`, sioproto.InvalidPayload},
		{`2["a"`, sioproto.InvalidPayload},
		{`2["a",]`, sioproto.InvalidPayload},
		{`2["a"]]`, sioproto.InvalidPayload},
		{`2["a"] x`, sioproto.InvalidPayload},
		{`2"a"`, sioproto.InvalidPayload},
		{`2 ["a"`, sioproto.InvalidPayload},
		{`2["connect"]`, sioproto.InvalidPayload},
		{`2["connect_error"]`, sioproto.InvalidPayload},
		{`2["disconnect"]`, sioproto.InvalidPayload},
		{`2["disconnecting"]`, sioproto.InvalidPayload},
		{`2["newListener"]`, sioproto.InvalidPayload},
		{`2["removeListener"]`, sioproto.InvalidPayload},
		{`2["\u0063onnect"]`, sioproto.InvalidPayload},
		{`2["a",` + deep + strings.Repeat("]", 513), sioproto.InvalidPayload},
		{`29007199254740992["a"]`, sioproto.InvalidPayload},
		{`299999999999999999999999["a"]`, sioproto.InvalidPayload},
		{`2-1["a"]`, sioproto.InvalidPayload},
		{`30{}`, sioproto.InvalidPayload},
		{`30"a"`, sioproto.InvalidPayload},
		{`1{}`, sioproto.InvalidPayload},
		{`1/a,[]`, sioproto.InvalidPayload},
		{`0[]`, sioproto.InvalidPayload},
		{`0/chat,"x"`, sioproto.InvalidPayload},
		{`0null`, sioproto.InvalidPayload},
		{`4[]`, sioproto.InvalidPayload},
		{`41.5`, sioproto.InvalidPayload},
		{`50-["a"]`, sioproto.IllegalAttachments},
		{`5-["a"]`, sioproto.IllegalAttachments},
		{`5-1-["a"]`, sioproto.IllegalAttachments},
		{`51["a"]`, sioproto.IllegalAttachments},
		{`51`, sioproto.IllegalAttachments},
		{`51.5-["a"]`, sioproto.IllegalAttachments},
		{`50x1-["a"]`, sioproto.IllegalAttachments},
		{`51e0-["a"]`, sioproto.IllegalAttachments},
		{`5 1-["a"]`, sioproto.IllegalAttachments},
		{`511-["a"]`, sioproto.TooManyAttachments},
		{`599999999999999999999-["a"]`, sioproto.TooManyAttachments},
		{`51-[{"_placeholder":true,"num":0},1]`, sioproto.InvalidPayload},
		{ph(`1`), sioproto.IllegalAttachments},
		{ph(`-1`), sioproto.IllegalAttachments},
		{ph(`0.5`), sioproto.IllegalAttachments},
		{ph(`"0"`), sioproto.IllegalAttachments},
		{ph(`null`), sioproto.IllegalAttachments},
		{`51-["a",[{"b":{"_placeholder":true}}]]`, sioproto.IllegalAttachments},
		{`51-["a",{"\u005fplaceholder":true,"num":4}]`, sioproto.IllegalAttachments},
		{`61-0[{"_placeholder":true,"num":1}]`, sioproto.IllegalAttachments},
		{`61-0`, sioproto.IllegalAttachments},
		{`51-["a"]`, sioproto.IllegalAttachments},
		{`51-["a",{"_placeholder":false,"num":0}]`, sioproto.IllegalAttachments},
		{`51-["a","{\"_placeholder\":true,\"num\":0}"]`, sioproto.IllegalAttachments},
		{`51-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]`, sioproto.IllegalAttachments},
		{`52-["a",{"_placeholder":true,"num":0},[{"x":{"_placeholder":true,"num":0}}]]`, sioproto.IllegalAttachments},
		{`52-["a",{"_placeholder":true,"num":1}]`, sioproto.IllegalAttachments},
		{`51-["a",{"_placeholder":true,"num":0,"x":1}]`, sioproto.IllegalAttachments},
		{`51-["a",{"_placeholder":true,"num":0,"num":0}]`, sioproto.IllegalAttachments},
		{`51-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":[{"_placeholder":true,"num":0}]}]`, sioproto.IllegalAttachments},
	} {
		var d sioproto.Decoder
		p, err := d.Text([]byte(tt.wire))
		if !errors.Is(err, &sioproto.Error{Kind: tt.kind}) {
			t.Errorf("%.60s: packet %+v, error %v, want %v", tt.wire, p, err, tt.kind)
		}
	}
}

// placeholders returns the placeholders of n attachments, each behind a comma.
func placeholders(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,{"_placeholder":true,"num":%d}`, i)
	}
	return b.String()
}

func TestDecoderState(t *testing.T) {
	t.Parallel()
	check := func(t *testing.T, err error, kind sioproto.Kind) {
		t.Helper()
		if !errors.Is(err, &sioproto.Error{Kind: kind}) {
			t.Errorf("error %v, want %v", err, kind)
		}
	}
	t.Run("binary out of the blue", func(t *testing.T) {
		t.Parallel()
		var d sioproto.Decoder
		_, err := d.Binary([]byte{1})
		check(t, err, sioproto.UnexpectedBinary)
	})
	t.Run("text instead of an attachment", func(t *testing.T) {
		t.Parallel()
		var d sioproto.Decoder
		if p, err := d.Text([]byte(`51-["a",{"_placeholder":true,"num":0}]`)); p != nil || err != nil || d.Pending() != 1 {
			t.Fatal(p, err, d.Pending())
		}
		_, err := d.Text([]byte(`2["a"]`))
		check(t, err, sioproto.UnexpectedText)
		if d.Pending() != 0 {
			t.Error("the decoder still holds the packet")
		}
	})
	t.Run("size of text", func(t *testing.T) {
		t.Parallel()
		d := sioproto.Decoder{MaxBytes: 8}
		_, err := d.Text([]byte(`2["abcdef"]`))
		check(t, err, sioproto.TooLarge)
	})
	t.Run("size of attachments", func(t *testing.T) {
		t.Parallel()
		d := sioproto.Decoder{MaxBytes: 80}
		if p, err := decode(&d, `52-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, [][]byte{make([]byte, 8)}); p != nil || err != nil {
			t.Fatal(p, err)
		}
		_, err := d.Binary(make([]byte, 5))
		check(t, err, sioproto.TooLarge)
		if d.Pending() != 0 {
			t.Error("the decoder still holds the packet")
		}
	})
	t.Run("more attachments by choice", func(t *testing.T) {
		t.Parallel()
		d := sioproto.Decoder{MaxAttachments: 11}
		if _, err := d.Text([]byte(`511-["a"` + placeholders(11) + `]`)); err != nil {
			t.Error(err)
		}
	})
	t.Run("packets own their memory", func(t *testing.T) {
		t.Parallel()
		var d sioproto.Decoder
		text, bin := []byte(`51-/n,["a",{"num":0,"_placeholder":true}]`), []byte{1}
		if _, err := d.Text(text); err != nil {
			t.Fatal(err)
		}
		clear(text)
		p, err := d.Binary(bin)
		if err != nil {
			t.Fatal(err)
		}
		clear(bin)
		if p.Namespace != "/n" || string(p.Data) != `["a",{"num":0,"_placeholder":true}]` || p.Attachments[0][0] != 1 {
			t.Errorf("packet changed: %+v", p)
		}
	})
}

func ExampleDecoder() {
	var d sioproto.Decoder
	d.Text([]byte(`51-/chat,7["photo",{"_placeholder":true,"num":0}]`))
	p, err := d.Binary([]byte{0xff, 0xd8})
	if err != nil {
		fmt.Println(err)
		return
	}
	elements, _ := sioproto.Elements(p.Data)
	name, _ := message.EventName(elements[0])
	var photo []byte
	_ = sioproto.Unmarshal(elements[1], p.Attachments, &photo)
	fmt.Printf("%s %s %d %s %x\n", p.Type, p.Namespace, p.ID, name, photo)
	// Output: EVENT /chat 7 photo ffd8
}

func ExampleAppendText() {
	data, attachments, err := sioproto.MarshalEvent("photo", "cat.jpg", []byte{0xff, 0xd8})
	if err != nil {
		fmt.Println(err)
		return
	}
	p := sioproto.Packet{Type: sioproto.Event, Namespace: "/chat", Data: data, Attachments: attachments}
	fmt.Printf("%s\n%x\n", sioproto.AppendText(nil, &p), p.Attachments)
	// Output:
	// 51-/chat,["photo","cat.jpg",{"_placeholder":true,"num":0}]
	// [ffd8]
}
