package mongodb_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/mongodb"
	"github.com/peal-dev/peal/adapter/nodewire"
)

// doc returns a document of keys and values.
func doc(pairs ...any) (d bson.D) {
	for i := 0; i < len(pairs); i += 2 {
		d = append(d, bson.E{Key: pairs[i].(string), Value: pairs[i+1]})
	}
	return d
}

func marshal(t testing.TB, d bson.D) []byte {
	t.Helper()
	b, err := bson.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestDocuments: what is inserted is what @socket.io/mongo-adapter inserts, and a little more.
func TestDocuments(t *testing.T) {
	t.Parallel()
	flags := bson.D{}
	tests := []struct {
		in   nodewire.Message
		want bson.D
	}{
		{nodewire.Message{Type: nodewire.Broadcast, UID: "u", Namespace: "/", Rooms: []string{"r"}, Data: []byte(`["hello",{"_placeholder":true,"num":0},1,1.5]`), Attachments: [][]byte{{7}}},
			doc("type", int32(3), "data", doc("packet", doc("type", int32(2), "data", bson.A{"hello", []byte{7}, int32(1), 1.5}), "opts", doc("rooms", bson.A{"r"}, "except", bson.A{}, "flags", flags)), "uid", "u", "nsp", "/", "peal", "me")},
		{nodewire.Message{Type: nodewire.SocketsJoin, UID: "u", Namespace: "/n", ChangeRooms: []string{"q"}},
			doc("type", int32(4), "data", doc("opts", doc("rooms", bson.A{}, "except", bson.A{}, "flags", flags), "rooms", bson.A{"q"}), "uid", "u", "nsp", "/n", "peal", "me")},
		{nodewire.Message{Type: nodewire.InitialHeartbeat, UID: "u", Namespace: "/"},
			doc("type", int32(1), "uid", "u", "nsp", "/", "peal", "me")},
		{nodewire.Message{Type: nodewire.BroadcastAck, UID: "u", Namespace: "/", RequestID: "q", Data: []byte(`null`)},
			doc("type", int32(12), "data", doc("requestId", "q", "packet", nil), "uid", "u", "nsp", "/", "peal", "me")},
		// Node.js nodes take no document of a node that leaves for a sign of its life.
		{nodewire.Message{Type: nodewire.AdapterClose, UID: "u", Namespace: "/", Peal: true},
			doc("left", "u", "type", int32(14), "uid", "emitter", "nsp", "/", "peal", "me")},
	}
	for _, tt := range tests {
		b, err := mongodb.Encode(&tt.in, "me")
		if err != nil {
			t.Errorf("%s: %v", tt.in.Type, err)
			continue
		}
		want := append(doc("_id", bson.ObjectID{}), tt.want...)
		if !bytes.Equal(b, marshal(t, want)) {
			t.Errorf("%s: %v, want %v", tt.in.Type, bson.Raw(b), want)
		}
		got, err := mongodb.Decode(b, "r")
		if err != nil || got == nil || got.Type != tt.in.Type || got.UID != tt.in.UID || got.Namespace != tt.in.Namespace || got.RequestID != tt.in.RequestID ||
			!bytes.Equal(got.Data, tt.in.Data) || !reflect.DeepEqual(got.Attachments, tt.in.Attachments) {
			t.Errorf("%s came back as %+v, %v", tt.in.Type, got, err)
		}
	}
}

// TestDecode reads documents of Node.js nodes and of strangers.
func TestDecode(t *testing.T) {
	t.Parallel()
	broadcast := func(opts bson.D, more ...any) bson.D {
		data := append(doc("packet", doc("type", int32(2), "data", bson.A{"e"}), "opts", opts), doc(more...)...)
		return doc("type", 3.0, "data", data, "uid", "n", "nsp", "/", "createdAt", bson.DateTime(1), "_id", bson.NewObjectID())
	}
	tests := []struct {
		name string
		in   bson.D
		want nodewire.Type // 0 for nothing, 255 for an error
	}{
		{"to all, flags undefined", broadcast(doc("rooms", bson.A{}, "except", bson.A{}, "flags", nil)), nodewire.Broadcast},
		{"to a room that is here", broadcast(doc("rooms", bson.A{"x", "r"})), nodewire.Broadcast},
		{"to a room that is a number", broadcast(doc("rooms", bson.A{int32(7)})), nodewire.Broadcast},
		{"to rooms that are elsewhere", broadcast(doc("rooms", bson.A{"x", "y"})), nodewire.Heartbeat},
		{"to rooms elsewhere, with acknowledgement", broadcast(doc("rooms", bson.A{"x"}), "requestId", "q"), nodewire.Broadcast},
		{"an emitter's, with namespace", doc("type", int32(3), "data", doc("packet", doc("type", int32(2), "data", bson.A{"e"}, "nsp", "/"), "opts", doc("rooms", bson.A{}, "flags", bson.D{}, "except", bson.A{})), "uid", "emitter", "nsp", "/"), nodewire.Broadcast},
		{"heartbeat", doc("type", int32(2), "uid", "n", "nsp", "/"), nodewire.Heartbeat},
		{"heartbeat with data that is undefined", doc("type", int64(2), "data", nil, "uid", "n", "nsp", "/"), nodewire.Heartbeat},
		{"session", doc("type", int32(13), "data", doc("sid", "s", "pid", "p"), "uid", "n", "nsp", "/"), 0},
		{"of the future", doc("type", int32(200), "data", doc("x", int32(1)), "uid", "n", "nsp", "/"), 200},
		{"no type", doc("uid", "n"), 255},
		{"type of another kind", doc("type", "3"), 255},
		{"uid that is no text", doc("type", int32(2), "uid", int32(1)), 255},
		{"broadcast without data", doc("type", int32(3), "uid", "n", "nsp", "/"), 255},
		{"broadcast of code", doc("type", int32(3), "data", doc("packet", bson.JavaScript("f()"))), 255},
		{"broadcast without options", doc("type", int32(3), "data", doc("packet", doc("data", bson.A{"e"}))), 255},
	}
	for _, tt := range tests {
		m, err := mongodb.Decode(marshal(t, tt.in), "r")
		switch {
		case tt.want == 255:
			if err == nil {
				t.Errorf("%s: %+v, want an error", tt.name, m)
			}
		case err != nil || (m == nil) != (tt.want == 0) || m != nil && m.Type != tt.want:
			t.Errorf("%s: %+v, %v; want %v", tt.name, m, err, tt.want)
		}
	}
}

func TestUnsendable(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]*nodewire.Message{
		"too large":          {Type: nodewire.Broadcast, Data: []byte(`["e",{"_placeholder":true,"num":0}]`), Attachments: [][]byte{make([]byte, mongodb.MaxDocument)}},
		"too deep":           {Type: nodewire.Broadcast, Data: []byte(`["e",` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `]`)},
		"key with a zero":    {Type: nodewire.Broadcast, Data: []byte(`["e",{"a\u0000":1}]`)},
		"no such attachment": {Type: nodewire.Broadcast, Data: []byte(`["e",{"_placeholder":true,"num":1}]`), Attachments: [][]byte{{1}}},
	} {
		if _, err := mongodb.Encode(m, "me"); !errors.Is(err, adapter.ErrUnsendable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m := &nodewire.Message{Type: nodewire.Broadcast, Data: []byte(`["e",{"_placeholder":true,"num":0}]`), Attachments: [][]byte{make([]byte, mongodb.MaxDocument-1000)}}
	if b, err := mongodb.Encode(m, "me"); err != nil || len(b) > mongodb.MaxDocument {
		t.Errorf("one that fits: %d bytes, %v", len(b), err)
	}
}

// FuzzDecode reads documents of strangers, and writes what it has read again.
func FuzzDecode(f *testing.F) {
	f.Add(marshal(f, doc("type", int32(3), "data", doc("packet", doc("type", int32(2), "data", bson.A{"e", []byte{1}}), "opts", doc("rooms", bson.A{"r"})), "uid", "n", "nsp", "/")))
	f.Add(marshal(f, doc("type", int32(8), "data", doc("requestId", "q", "sockets", bson.A{doc("id", "s", "data", []byte{1})}), "uid", "n", "nsp", "/")))
	f.Add(marshal(f, doc("type", int32(14), "left", "n", "uid", "emitter", "nsp", "/")))
	f.Add([]byte{5, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := mongodb.Decode(b, "r")
		if err != nil || m == nil {
			return
		}
		again, err := mongodb.Encode(m, "me")
		if errors.Is(err, adapter.ErrUnsendable) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := bson.Raw(again).Validate(); err != nil {
			t.Fatalf("%x became %x: %v", b, again, err)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	m := &nodewire.Message{Type: nodewire.Broadcast, UID: "0123456789abcdef.1", Namespace: "/", Rooms: []string{"room"}, Data: fmt.Appendf(nil, `["tick",%q]`, strings.Repeat("x", 90))}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := mongodb.Encode(m, "0123456789abcdef"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	m := &nodewire.Message{Type: nodewire.Broadcast, UID: "0123456789abcdef.1", Namespace: "/", Rooms: []string{"room"}, Data: fmt.Appendf(nil, `["tick",%q]`, strings.Repeat("x", 90))}
	doc, err := mongodb.Encode(m, "0123456789abcdef")
	if err != nil {
		b.Fatal(err)
	}
	for name, rooms := range map[string][]string{"here": {"room"}, "elsewhere": nil} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := mongodb.Decode(doc, rooms...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
