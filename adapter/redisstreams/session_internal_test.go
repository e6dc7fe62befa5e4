package redisstreams

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/jsonpack"
	"github.com/peal-dev/peal/message"
)

// packed returns what a node would keep that has this JSON.
func packed(t testing.TB, text string, attachments ...[]byte) []byte {
	t.Helper()
	b, err := jsonpack.AppendMsgpack(nil, []byte(text), attachments)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.AppendEncode(nil, b)
}

// What Node.js nodes keep: the bytes of @socket.io/redis-streams-adapter 0.3.1 for
// {sid: "S", pid: "P", rooms: ["S", "a"], data: {a: 1}}.
func TestSessionOfNode(t *testing.T) {
	const bytes = "84a3736964a153a3706964a150a5726f6f6d7392a153a161a46461746181a16101"
	raw, err := hex.DecodeString(bytes)
	if err != nil {
		t.Fatal(err)
	}
	s, err := decodeSession("/", "P", base64.StdEncoding.AppendEncode(nil, raw))
	want := &adapter.Session{PID: "P", ID: "S", Rooms: []adapter.Membership{{Room: "a"}}, Data: json.RawMessage(`{"a":1}`)}
	if err != nil || !reflect.DeepEqual(s, want) {
		t.Fatalf("%+v, %v; want %+v", s, err, want)
	}
	// What this node keeps has one member more, which is the first, and then the same, in the same order.
	ours, err := encodeSession("/", want)
	if err != nil {
		t.Fatal(err)
	}
	back, err := base64.StdEncoding.DecodeString(string(ours))
	if err != nil || hex.EncodeToString(back[:1]) != "85" || !strings.HasSuffix(hex.EncodeToString(back), bytes[2:]) {
		t.Fatalf("%x, %v", back, err)
	}
}

// Whoever renews a session knows its mark by where it lies, whatever else there is.
func TestMarkPart(t *testing.T) {
	long := strings.Repeat("x", 3000)
	for _, s := range []*adapter.Session{
		{ID: "S", PID: "P"},
		{ID: long, PID: long, Data: json.RawMessage(`{"a":[1,2,3]}`), Has: message.Offset{Ms: 1}},
		{ID: "S", PID: "P", Rooms: []adapter.Membership{{Room: long, Since: message.Offset{Ms: 5}}}, Since: message.Offset{Ms: 1}},
	} {
		s.Mark = rand.Text()
		kept, err := encodeSession("/"+long, s)
		if err != nil {
			t.Fatal(err)
		}
		part, err := markPart(s.Mark)
		if err != nil || string(kept[markFirst:markFirst+len(part)]) != part {
			t.Fatalf("%s does not have %s at %d: %v", kept[:60], part, markFirst, err)
		}
	}
	if _, err := markPart("short"); err == nil {
		t.Error("a mark that lies elsewhere is taken")
	}
}

func TestSessionForms(t *testing.T) {
	for name, tt := range map[string]struct {
		kept []byte
		want string // of the data, or of the error
	}{
		"bytes":             {packed(t, `{"sid":"S","pid":"P","rooms":[],"data":{"b":{"_placeholder":true,"num":0}}}`, []byte{1, 2}), `{"b":"AQI="}`},
		"numbers as rooms":  {packed(t, `{"sid":"S","pid":"P","rooms":["S",7],"data":{}}`), `{}`},
		"no data":           {packed(t, `{"sid":"S","pid":"P","rooms":["S"]}`), ``},
		"another's":         {packed(t, `{"sid":"S","pid":"Q","rooms":["S"],"data":{}}`), "nobody"},
		"another namespace": {packed(t, `{"sid":"S","pid":"P","rooms":["S"],"data":{},"peal":{"nsp":"/other"}}`), "namespace"},
		"no offset":         {packed(t, `{"sid":"S","pid":"P","rooms":["S"],"data":{},"peal":{"nsp":"/","since":"x"}}`), "offset"},
		"rooms of objects":  {packed(t, `{"sid":"S","pid":"P","rooms":[{}],"data":{}}`), "malformed"},
		"no base64":         {[]byte("!"), "malformed"},
		"nothing":           {nil, "malformed"},
		"more behind it":    {base64.StdEncoding.AppendEncode(nil, []byte{0x80, 0x80}), "behind"},
	} {
		s, err := decodeSession("/", "P", tt.kept)
		switch {
		case err == nil && string(s.Data) != tt.want:
			t.Errorf("%s: the data is %s", name, s.Data)
		case err != nil && (s != nil || !strings.Contains(err.Error(), tt.want) || strings.HasPrefix(tt.want, "{")):
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}

func FuzzDecodeSession(f *testing.F) {
	s := &adapter.Session{PID: "P", ID: "S", Mark: "m", Data: json.RawMessage(`{"a":[1,"x"]}`), Since: message.Offset{Ms: 1},
		Rooms: []adapter.Membership{{Room: "a"}, {Room: "b", Since: message.Offset{Ms: 2, Seq: 3}}}}
	kept, err := encodeSession("/", s)
	if err != nil {
		f.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(string(kept))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte{0x80})
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := decodeSession("/", "P", base64.StdEncoding.AppendEncode(nil, raw))
		if err != nil {
			return
		}
		if s.PID != "P" || s.ID == "" {
			t.Fatalf("a session of nobody: %+v", s)
		}
		kept, err := encodeSession("/", s)
		if err != nil {
			return // what it has nests too deep for a place that is one deeper
		}
		again, err := decodeSession("/", "P", kept)
		if err != nil || again.ID != s.ID || len(again.Rooms) != len(s.Rooms) || again.Since != s.Since || again.At != s.At || again.Known != s.Known || again.Has != s.Has {
			t.Fatalf("%+v became %+v: %v", s, again, err)
		}
	})
}
