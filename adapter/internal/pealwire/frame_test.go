package pealwire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var uid = UID([]byte("abc-_1"))

func everywhere(string) bool { return true }

// TestBytes pins the bytes: nodes of two versions are in one cluster.
func TestBytes(t *testing.T) {
	t.Parallel()
	m := message.New([]byte(`["x",{"_placeholder":true,"num":0}]`), []byte{1, 2, 3})
	m.Volatile = true
	frame := AppendBroadcast(nil, uid, &adapter.Envelope{Rooms: []string{"r1", "é"}, Except: []string{"out"}, Message: m})
	SetNumber(frame, 258)
	want := "01" + hex.EncodeToString(uid[:]) + "0000000000000102" + "01" + "02" + "027231" + "02c3a9" + "01" + "036f7574" +
		"23" + hex.EncodeToString(m.Data) + "01" + "03010203"
	if got := hex.EncodeToString(frame); got != want {
		t.Errorf("the frame is %s\nwant %s", got, want)
	}
	h, body, err := Parse(frame)
	if err != nil || h != (Header{KindBroadcast, uid, 258}) {
		t.Fatalf("the header is %+v, %v", h, err)
	}
	e, err := ParseBroadcast(body, 0, everywhere)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(e.Kind, e.Rooms, e.Except, string(e.Message.Data), e.Message.Attachments, e.Message.Volatile)
	if want := fmt.Sprint(adapter.KindBroadcast, []string{"r1", "é"}, []string{"out"}, string(m.Data), m.Attachments, true); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestUnwanted: what is for rooms that nobody is in is not read at all.
func TestUnwanted(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		rooms []string
		want  bool
	}{{nil, true}, {[]string{"a"}, false}, {[]string{"a", "mine"}, true}} {
		frame := AppendBroadcast(nil, uid, &adapter.Envelope{Rooms: tt.rooms, Message: message.New([]byte(`["connect"]`))})
		_, body, _ := Parse(frame)
		e, err := ParseBroadcast(body, 0, func(room string) bool { return room == "mine" })
		if e != nil || (err != nil) != tt.want {
			t.Errorf("to %q, with a message that clients would not take: %v, %v", tt.rooms, e, err)
		}
	}
}

// TestRefuses: all that clients would not take is refused, as by every other door, and every frame that is cut short.
func TestRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		data        string
		attachments int
		want        message.Kind
	}{
		{`["connect"]`, 0, message.InvalidPayload},
		{`{}`, 0, message.InvalidPayload},
		{`["x"`, 0, message.InvalidPayload},
		{`["x"]`, 1, message.IllegalAttachments},
		{`["x"]`, 11, message.TooManyAttachments},
	} {
		frame := AppendBroadcast(nil, uid, &adapter.Envelope{Message: message.New([]byte(tt.data), make([][]byte, tt.attachments)...)})
		if _, err := ParseBroadcast(frame[headerSize:], 0, everywhere); !errors.Is(err, &message.Error{Kind: tt.want}) {
			t.Errorf("%s with %d binaries: %v, want %v", tt.data, tt.attachments, err, tt.want)
		}
	}
	whole := AppendBroadcast(nil, uid, &adapter.Envelope{Rooms: []string{"r"}, Except: []string{"e"},
		Message: message.New([]byte(`["x",{"_placeholder":true,"num":0}]`), []byte{1})})
	for n := range whole {
		_, body, err := Parse(whole[:n])
		if err == nil {
			_, err = ParseBroadcast(body, 0, everywhere)
		}
		if err == nil {
			t.Errorf("%d of %d bytes are taken", n, len(whole))
		}
	}
	if _, err := ParseBroadcast(append(slices.Clone(whole[headerSize:]), 0), 0, everywhere); !errors.Is(err, ErrForm) {
		t.Errorf("a byte behind it: %v", err)
	}
	whole[headerSize] = 2
	if _, err := ParseBroadcast(whole[headerSize:], 0, everywhere); !errors.Is(err, ErrForm) {
		t.Errorf("an unknown flag: %v", err)
	}
}

// FuzzParseBroadcast: what is taken is an event that clients take, and means the same after another trip.
func FuzzParseBroadcast(f *testing.F) {
	m := message.New([]byte(`["x",{"_placeholder":true,"num":0}]`), []byte{1, 2, 3})
	f.Add(AppendBroadcast(nil, uid, &adapter.Envelope{Rooms: []string{"r1", "é"}, Except: []string{"out"}, Message: m}))
	f.Add(AppendBroadcast(nil, uid, &adapter.Envelope{Message: message.New([]byte("[\"caf\xe9\"]"))}))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, frame []byte) {
		h, body, err := Parse(frame)
		if err != nil {
			return
		}
		e, err := ParseBroadcast(body, 3, everywhere)
		if err != nil {
			return
		}
		if err := message.Check(e.Message.Data, len(e.Message.Attachments), 3); err != nil {
			t.Fatalf("%x became %q: %v", frame, e.Message.Data, err)
		}
		again := AppendBroadcast(nil, h.UID, e)
		SetNumber(again, h.Number)
		h2, body, err := Parse(again)
		if h.Kind = KindBroadcast; err != nil || h2 != h {
			t.Fatalf("%+v became %+v, %v", h, h2, err)
		}
		e2, err := ParseBroadcast(body, 3, everywhere)
		if err != nil {
			t.Fatalf("%x does not come back: %v", again, err)
		}
		if !slices.Equal(e.Rooms, e2.Rooms) || !slices.Equal(e.Except, e2.Except) || !bytes.Equal(e.Message.Data, e2.Message.Data) ||
			!slices.EqualFunc(e.Message.Attachments, e2.Message.Attachments, bytes.Equal) || e.Message.Volatile != e2.Message.Volatile {
			t.Fatalf("%+v became %+v", e, e2)
		}
	})
}
