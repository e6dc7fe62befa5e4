package nodewire_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/nodewire"
	"github.com/peal-dev/peal/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sample is a message as a Node.js node publishes it, and what it says.
type sample struct {
	name, wire string // hexadecimal, if it is MessagePack
	want       nodewire.Message
}

// samples come from @socket.io/redis-adapter 8.3.0 (sharded), @socket.io/postgres-adapter 0.5.0 and its emitter 0.1.1.
var samples = []sample{
	{"heartbeat", `{"type":1,"uid":"a658e6ace0e35db0","nsp":"/"}`, nodewire.Message{Type: nodewire.InitialHeartbeat, UID: "a658e6ace0e35db0"}},
	{"close", `{"type":13,"uid":"a658e6ace0e35db0","nsp":"/"}`, nodewire.Message{Type: nodewire.AdapterClose, UID: "a658e6ace0e35db0"}},
	{"broadcast", `{"type":3,"data":{"packet":{"type":2,"data":["hello",1]},"opts":{"rooms":[],"except":[],"flags":{}}},"uid":"5ec2aab25beba870","nsp":"/"}`,
		nodewire.Message{Type: nodewire.Broadcast, UID: "5ec2aab25beba870", Rooms: []string{}, Except: []string{}, Data: []byte(`["hello",1]`)}},
	{"binary", "84a47479706503a46461746182a67061636b657482a47479706502a46461746192a362696ec4020102a46f70747383a5726f6f6d7391a5726f6f6d31a665786365707490a5666c61677380a3756964b035656332616162323562656261383730a36e7370a12f",
		nodewire.Message{Type: nodewire.Broadcast, UID: "5ec2aab25beba870", Rooms: []string{"room1"}, Except: []string{},
			Data: []byte(`["bin",{"_placeholder":true,"num":0}]`), Attachments: [][]byte{{1, 2}}}},
	{"with acks", `{"type":3,"data":{"packet":{"type":2,"data":["ackme"]},"opts":{"rooms":["room1"],"except":[],"flags":{"timeout":50}},"requestId":"0142d5fdf8ef4559"},"uid":"5ec2","nsp":"/"}`,
		nodewire.Message{Type: nodewire.Broadcast, UID: "5ec2", RequestID: "0142d5fdf8ef4559", Rooms: []string{"room1"}, Except: []string{}, Timeout: 50 * time.Millisecond, Data: []byte(`["ackme"]`)}},
	{"join", `{"type":4,"data":{"opts":{"rooms":["a"],"except":[],"flags":{}},"rooms":["b"]},"uid":"5ec2","nsp":"/"}`,
		nodewire.Message{Type: nodewire.SocketsJoin, UID: "5ec2", Rooms: []string{"a"}, Except: []string{}, ChangeRooms: []string{"b"}}},
	{"disconnect", `{"type":6,"data":{"opts":{"rooms":["a"],"except":["b"],"flags":{}},"close":true},"uid":"5ec2","nsp":"/"}`,
		nodewire.Message{Type: nodewire.DisconnectSockets, UID: "5ec2", Rooms: []string{"a"}, Except: []string{"b"}, Close: true}},
	{"fetch", `{"type":7,"data":{"opts":{"rooms":[],"except":[],"flags":{}},"requestId":"bbbb"},"uid":"5ec2","nsp":"/"}`,
		nodewire.Message{Type: nodewire.FetchSockets, UID: "5ec2", RequestID: "bbbb", Rooms: []string{}, Except: []string{}}},
	{"sockets", `{"type":8,"data":{"requestId":"bbbb","sockets":[{"id":"x","rooms":["x"],"data":{}}]},"uid":"7336b3f4be04a44d","nsp":"/"}`,
		nodewire.Message{Type: nodewire.FetchSocketsResponse, UID: "7336b3f4be04a44d", RequestID: "bbbb", Sockets: [][]byte{[]byte(`{"id":"x","rooms":["x"],"data":{}}`)}}},
	{"event", `{"type":9,"data":{"packet":["ev",1]},"uid":"5ec2","nsp":"/"}`,
		nodewire.Message{Type: nodewire.ServerSideEmit, UID: "5ec2", Data: []byte(`["ev",1]`)}},
	{"count", `{"type":11,"data":{"requestId":"cccc","clientCount":1},"uid":"7336b3f4be04a44d","nsp":"/"}`,
		nodewire.Message{Type: nodewire.BroadcastClientCount, UID: "7336b3f4be04a44d", RequestID: "cccc", ClientCount: 1}},
	{"ack", `{"type":12,"data":{"requestId":"cccc","packet":"clientresp"},"uid":"7336","nsp":"/"}`,
		nodewire.Message{Type: nodewire.BroadcastAck, UID: "7336", RequestID: "cccc", Data: []byte(`"clientresp"`)}},
}

// bytes returns what travels.
func (s *sample) bytes(t testing.TB) []byte {
	t.Helper()
	if strings.HasPrefix(s.wire, "{") {
		return []byte(s.wire)
	}
	b, err := hex.DecodeString(s.wire)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestSamples reads what Node.js nodes write, and writes it byte by byte as they do.
func TestSamples(t *testing.T) {
	t.Parallel()
	for _, s := range samples {
		s.want.Namespace = "/"
		wire := s.bytes(t)
		if got := nodewire.TypeOf(wire); got != s.want.Type {
			t.Errorf("%s: TypeOf = %v", s.name, got)
		}
		got, err := nodewire.Decode(wire)
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		if !reflect.DeepEqual(*got, s.want) {
			t.Errorf("%s: read %+v\nwant %+v", s.name, *got, s.want)
		}
		again, err := got.Append(nil)
		if err != nil || string(again) != string(wire) {
			t.Errorf("%s: wrote %q, %v\nwant %q", s.name, again, err, wire)
		}
		apart := nodewire.Message{Type: s.want.Type, UID: s.want.UID, Namespace: "/"}
		if err := apart.ParseData(got.AppendData(nil), got.Attachments); err != nil || !reflect.DeepEqual(apart, s.want) {
			t.Errorf("%s: the data alone became %+v, %v", s.name, apart, err)
		}
	}
}

// TestOddForms reads what is written otherwise than samples are.
func TestOddForms(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, wire string
		want       nodewire.Message
	}{
		{"the emitter of PostgreSQL names no namespace", `{"type":3,"data":{"packet":{"type":2,"data":["hi",1],"nsp":"/"},"opts":{"rooms":["r"],"flags":{},"except":[]}},"uid":"emitter"}`,
			nodewire.Message{Type: nodewire.Broadcast, UID: nodewire.Emitter, Rooms: []string{"r"}, Except: []string{}, Data: []byte(`["hi",1]`)}},
		{"the type behind the data", `{ "uid" : "a" , "data" : { "rooms" : [ 7 , "b" ] , "opts" : { "rooms" : null } } , "type" : 4 } `,
			nodewire.Message{Type: nodewire.SocketsJoin, UID: "a", Rooms: []string{}, ChangeRooms: []string{"7", "b"}}},
		{"an answer that is undefined", `{"type":10,"data":{"requestId":"r"},"uid":"a"}`,
			nodewire.Message{Type: nodewire.ServerSideEmitResponse, UID: "a", RequestID: "r", Data: []byte("null")}},
		{"volatile and more flags", `{"type":3,"data":{"packet":{"type":2,"data":["x"]},"opts":{"rooms":[],"except":[],"flags":{"compress":false,"volatile":true,"timeout":"soon"}}},"uid":"a"}`,
			nodewire.Message{Type: nodewire.Broadcast, UID: "a", Rooms: []string{}, Except: []string{}, Volatile: true, Data: []byte(`["x"]`)}},
		{"a type of the future", `{"type":99,"data":[1,{}],"uid":"a"}`, nodewire.Message{Type: 99, UID: "a"}},
	} {
		if got, err := nodewire.Decode([]byte(tt.wire)); err != nil || !reflect.DeepEqual(*got, tt.want) {
			t.Errorf("%s: %+v, %v\nwant %+v", tt.name, got, err, tt.want)
		}
	}
}

// TestBinarySockets: what fetched sockets have of binary values stands in their JSON as JSON.stringify writes a Buffer.
func TestBinarySockets(t *testing.T) {
	t.Parallel()
	m := nodewire.Message{Type: nodewire.FetchSocketsResponse, UID: "a", RequestID: "r", Attachments: [][]byte{{1, 255}, {}},
		Sockets: [][]byte{[]byte(`{"data":{"x":{"_placeholder":true,"num":0}}}`), []byte(`{"data":[{"_placeholder":true,"num":1},2]}`)}}
	b, err := m.AppendMsgpack(nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := nodewire.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"data":{"x":{"type":"Buffer","data":[1,255]}}} {"data":[{"type":"Buffer","data":[]},2]}]`
	if s := fmt.Sprintf("%s", got.Sockets); s != want || got.Attachments != nil {
		t.Errorf("sockets = %s, want %s", s, want)
	}
}

// TestMalformed reads what is no message, and names why.
func TestMalformed(t *testing.T) {
	t.Parallel()
	for wire, want := range map[string]string{
		``:                      "encoding",
		`{`:                     "encoding",
		`{"type":3`:             "encoding",
		`{"type":1,"uid":"a"}}`: "encoding",
		`[]`:                    "encoding",
		`{}`:                    "form",
		`{"type":"3"}`:          "form",
		`{"type":3,"uid":"a"}`:  "form",
		`{"type":3,"data":{"opts":{"rooms":[]}},"uid":"a"}`:                 "form",
		`{"type":4,"data":{"rooms":["r"]},"uid":"a"}`:                       "form",
		`{"type":6,"data":{"opts":null,"close":true},"uid":"a"}`:            "form",
		`{"type":6,"data":null,"uid":"a"}`:                                  "form",
		`{"type":7,"data":{"opts":{}},"uid":"a"}`:                           "form",
		`{"type":11,"data":{"requestId":"r","clientCount":-1},"uid":"a"}`:   "form",
		`{"type":4,"data":{"opts":{"rooms":[{}]},"rooms":["r"]},"uid":"a"}`: "form",
		`{"type":1,"uid":7}`:                                                "form",
		"\x82\xa4type\x01":                                                  "encoding",
		"\x81\xa4type\x01\x00":                                              "encoding",
		"\x93\x01\x02\x03":                                                  "form",
	} {
		m, err := nodewire.Decode([]byte(wire))
		if err == nil || nodewire.Malformation(err) != want {
			t.Errorf("%q: %+v, %v, want it to be malformed: %s", wire, m, err, want)
		}
	}
	for data, want := range map[string]string{`["connect"]`: "invalid payload", `[]`: "invalid payload", `{"a":1}`: "invalid payload"} {
		m, err := nodewire.Decode([]byte(`{"type":3,"data":{"packet":{"data":` + data + `},"opts":{}},"uid":"a"}`))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Envelope(0); err == nil || nodewire.Malformation(err) != want {
			t.Errorf("event %s: %v, want %s", data, err, want)
		}
	}
}

// TestHeartbeats holds what Peal nodes say in theirs to arrive, in both dialects, and to be where Node.js nodes do not look.
func TestHeartbeats(t *testing.T) {
	t.Parallel()
	for _, m := range []nodewire.Message{
		{Type: nodewire.InitialHeartbeat, UID: "a", Namespace: "/", Peal: true, Home: "h"},
		{Type: nodewire.Heartbeat, UID: "a", Namespace: "/", Peal: true, Home: "h", Nodes: []string{"b"}, Probe: 7},
		{Type: nodewire.Heartbeat, UID: "a", Namespace: "/", Peal: true, Home: "h", Beat: []byte("\x00\xff{")},
		{Type: nodewire.Heartbeat, UID: "a", Namespace: "/", Peal: true, Nodes: []string{"b"}, First: 3, Last: 1 << 40},
	} {
		packed, err := m.AppendMsgpack(nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, wire := range [][]byte{m.AppendJSON(nil), packed} {
			got, err := nodewire.Decode(wire)
			if err != nil || !reflect.DeepEqual(*got, m) {
				t.Errorf("%q: %+v, %v; want %+v", wire, got, err, m)
			}
		}
		if wire := string(m.AppendJSON(nil)); !strings.HasPrefix(wire, fmt.Sprintf(`{"type":%d,"data":{"peal":1,`, m.Type)) {
			t.Errorf("%s says something outside its data", wire)
		}
	}
	for _, beat := range []string{`"?"`, `7`, `{}`} {
		m, err := nodewire.Decode([]byte(`{"type":2,"data":{"peal":1,"beat":` + beat + `},"uid":"a"}`))
		if err == nil || nodewire.Malformation(err) != "form" {
			t.Errorf("a beat %s: %+v, %v", beat, m, err)
		}
	}
}

// TestSeam takes everything that an adapter says through the wire: what arrives is what was said.
func TestSeam(t *testing.T) {
	t.Parallel()
	event := message.New([]byte(`["ev",{"_placeholder":true,"num":0}]`), []byte{1})
	volatile := message.New([]byte(`["ev"]`))
	volatile.Volatile = true
	carry := func(m *nodewire.Message, err error) *nodewire.Message {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		m.UID = "a"
		b, err := m.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		if m, err = nodewire.Decode(b); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		return m
	}
	a, b := []string{"a"}, []string{"b", "c"}
	for _, e := range []*adapter.Envelope{
		{Kind: adapter.KindBroadcast, Message: event, Rooms: a, Except: b},
		{Kind: adapter.KindBroadcast, Message: volatile, Rooms: a, Except: b},
		{Kind: adapter.KindJoin, Rooms: a, Except: b, ChangeRooms: b},
		{Kind: adapter.KindLeave, Rooms: a, Except: b, ChangeRooms: b},
		{Kind: adapter.KindDisconnect, Rooms: a, Except: b, CloseConnection: true},
		{Kind: adapter.KindEvent, Message: event},
	} {
		got, err := carry(nodewire.Publishing(e)).Envelope(0)
		if err != nil || fmt.Sprintf("%+v", unpointed(*got)) != fmt.Sprintf("%+v", unpointed(*e)) {
			t.Errorf("%+v became %+v, %v", e, got, err)
		}
	}
	answers := map[adapter.CallKind][]adapter.Answer{
		adapter.CallMembers: {{Members: [][]byte{[]byte(`{"id":"m"}`)}}, {}},
		adapter.CallIDs:     {{Names: []string{"m", "n"}}, {}},
		adapter.CallRooms:   {{Names: []string{"m", "r"}}},
		adapter.CallEvent:   {{Argument: []byte(`{"a":{"_placeholder":true,"num":0}}`), Attachments: [][]byte{{1}}}, {Argument: []byte("null")}},
		adapter.CallAsk: {{Part: adapter.AnswerCount, Count: 3}, {Part: adapter.AnswerReply, Member: "m", Argument: []byte("1")},
			{Part: adapter.AnswerGone, Member: "m"}},
	}
	for kind, list := range answers {
		c := &adapter.Call{Kind: kind, Rooms: a, Except: b, Timeout: 1500 * time.Millisecond}
		if kind == adapter.CallAsk || kind == adapter.CallEvent {
			c.Message = volatile
		}
		asked := carry(nodewire.Asking(c, "id"))
		got, err := asked.Call(0)
		if err != nil || got.Kind != kind || got.Timeout != c.Timeout || kind != adapter.CallEvent && !reflect.DeepEqual([2][]string{got.Rooms, got.Except}, [2][]string{a, b}) {
			t.Errorf("%+v became %+v, %v", c, got, err)
		}
		for _, answer := range list {
			got, err := carry(nodewire.Answering(asked, answer), nil).Answer(kind)
			answer.Node = "a"
			if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", answer) {
				t.Errorf("%s: %+v became %+v, %v", kind, answer, got, err)
			}
		}
	}
	// Node.js nodes know no other answers than sockets, and nobody who went away.
	sockets := &nodewire.Message{Type: nodewire.FetchSocketsResponse, RequestID: "r", Sockets: [][]byte{[]byte(`{"id":"m","rooms":["m",7]}`), []byte(` {"rooms":["n","7"],"id":"n"}`)}}
	for kind, want := range map[adapter.CallKind]string{adapter.CallIDs: "[m n]", adapter.CallRooms: "[m 7 n]"} {
		if got, err := carry(sockets, nil).Answer(kind); err != nil || fmt.Sprint(got.Names) != want {
			t.Errorf("%s: %v, %v, want %s", kind, got.Names, err, want)
		}
	}
	if m := nodewire.Answering(&nodewire.Message{Type: nodewire.Broadcast, RequestID: "r"}, adapter.Answer{Part: adapter.AnswerGone}); m != nil {
		t.Errorf("a Node.js node is told %+v", m)
	}
	if _, err := carry(sockets, nil).Answer(adapter.CallAsk); !errors.Is(err, nodewire.ErrForm) {
		t.Errorf("sockets as the answer to a broadcast: %v", err)
	}
}

// unpointed makes what an envelope points to a part of it.
func unpointed(e adapter.Envelope) any {
	text := ""
	if e.Message != nil {
		text = fmt.Sprintf("%s %x %v", e.Message.Data, e.Message.Attachments, e.Message.Volatile)
	}
	e.Message = nil
	return fmt.Sprintf("%v %s", e, text)
}
