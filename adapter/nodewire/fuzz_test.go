package nodewire_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/nodewire"
)

// FuzzDecode: no bytes may break a node; what is read is sound, and the same after another trip in either dialect.
func FuzzDecode(f *testing.F) {
	for _, s := range samples {
		f.Add(s.bytes(f))
	}
	f.Add([]byte(`{"type":7,"data":{"opts":{"rooms":[7]},"requestId":"r","peal":1,"want":"rooms"},"uid":"a","nsp":"/"}`))
	f.Add([]byte(`{"type":2,"data":{"peal":1,"nodes":["b"],"probe":3},"uid":"a","nsp":"/"}`))
	f.Add([]byte(`{"type":12,"data":{"requestId":"r","peal":1,"member":"m","gone":true},"uid":"a","nsp":"/"}`))
	kinds := []adapter.CallKind{adapter.CallMembers, adapter.CallIDs, adapter.CallRooms, adapter.CallEvent, adapter.CallAsk}
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = nodewire.TypeOf(b)
		m, err := nodewire.Decode(b)
		if err != nil {
			if nodewire.Malformation(err) == "" {
				t.Fatal("no reason")
			}
			return
		}
		if len(m.Data) > 0 && !json.Valid(m.Data) {
			t.Fatalf("%q: data %q", b, m.Data)
		}
		for _, kind := range kinds {
			if a, err := m.Answer(kind); err == nil && (a.Count < 0 || len(a.Argument) > 0 && !json.Valid(a.Argument)) {
				t.Fatalf("%q became %+v", b, a)
			}
		}
		e, err := m.Envelope(0)
		if c, err2 := m.Call(0); e != nil && c != nil || err != nil && err2 != nil {
			t.Fatalf("%q is an envelope %+v, %v, and a question %+v, %v", b, e, err, c, err2)
		}
		packed, err := m.AppendMsgpack(nil)
		if err != nil {
			return // placeholders that do not fit
		}
		again, err := nodewire.Decode(packed)
		if err != nil {
			t.Fatalf("%q became %q: %v", b, packed, err)
		}
		text, want := again.AppendJSON(nil), m.AppendJSON(nil)
		if !json.Valid(want) || !sameJSON(text, want) {
			t.Fatalf("%q became %q, want %q", b, text, want)
		}
	})
}

func sameJSON(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return true // a number beyond a double
	}
	return reflect.DeepEqual(x, y)
}

// FuzzParseData is FuzzDecode for data that travels by itself.
func FuzzParseData(f *testing.F) {
	for _, s := range samples {
		m, err := nodewire.Decode(s.bytes(f))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(m.Type), m.AppendData(nil))
	}
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		m := nodewire.Message{Type: nodewire.Type(kind)}
		if m.ParseData(data, nil) != nil {
			return
		}
		again := nodewire.Message{Type: m.Type}
		if text := m.AppendData(nil); len(text) > 0 {
			if err := again.ParseData(text, nil); err != nil || !sameJSON(again.AppendData(nil), text) {
				t.Fatalf("%q became %q: %v", data, text, err)
			}
		}
	})
}
