package redispubsub_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/message"
)

// The samples come from @socket.io/redis-adapter 8.3.0 and @socket.io/redis-emitter 5.1.0.
const (
	sampleRoom    = "93a632655166437383a47479706502a46461746191a26869a36e7370a12f83a5726f6f6d7391a5726f6f6d31a665786365707490a5666c61677380"
	sampleRooms   = "93a632655166437383a47479706502a46461746192a178c403010203a36e7370a12f83a5726f6f6d7392a27231a27232a665786365707491a27233a5666c61677381a8766f6c6174696c65c3"
	sampleEmitter = "93a7656d697474657283a47479706502a46461746191a178a36e7370a12f83a5726f6f6d7391a5726f6f6d31a5666c61677380a665786365707490"
	sampleAckReq  = "85a3756964a6326551664373a9726571756573744964a66a414e51396ea47479706507a67061636b657483a47479706502a46461746192a561636b6d6507a36e7370a12fa46f70747383a5726f6f6d7390a665786365707490a5666c61677381a774696d656f757464"
	sampleAck     = "83a47479706509a9726571756573744964a6726571303036a67061636b6574aa636c69656e7472657370"
	// sampleUID is the uid in all of them.
	sampleUID = "2eQfCs"
)

func TestPublishesAsNodeDoes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.counted()
	b.meet()
	hi := message.New([]byte(`["hi"]`))
	binary := message.New([]byte(`["x",{"_placeholder":true,"num":0}]`), []byte{1, 2, 3})
	binary.Volatile = true
	room1 := message.Target{Rooms: []string{"room1"}}
	if err := errors.Join(
		b.a.Broadcast(ctx, hi, room1),
		b.a.Broadcast(ctx, binary, message.Target{Rooms: []string{"r1", "r2"}, Except: []string{"r3"}}),
		b.a.JoinRooms(ctx, room1, "room2"),
		b.a.LeaveRooms(ctx, room1, "room2"),
		b.a.Disconnect(ctx, room1, true),
		b.a.Disconnect(ctx, message.Target{Rooms: []string{"x"}, Except: []string{"y"}}, false),
	); err != nil {
		t.Fatal(err)
	}
	uid := ""
	for i, want := range []published{
		{"socket.io#/#room1#", unhex(t, sampleRoom)},
		{"socket.io#/#", unhex(t, sampleRooms)},
		{"socket.io-request#/#", `{"uid":"2eQfCs","type":2,"opts":{"rooms":["room1"],"except":[]},"rooms":["room2"]}`},
		{"socket.io-request#/#", `{"uid":"2eQfCs","type":3,"opts":{"rooms":["room1"],"except":[]},"rooms":["room2"]}`},
		{"socket.io-request#/#", `{"uid":"2eQfCs","type":4,"opts":{"rooms":["room1"],"except":[]},"close":true}`},
		{"socket.io-request#/#", `{"uid":"2eQfCs","type":4,"opts":{"rooms":["x"],"except":["y"]},"close":false}`},
	} {
		got := b.next()
		if i == 0 && len(got.payload) > 8 {
			uid = got.payload[2:8]
		}
		if got.channel != want.channel || got.payload != strings.Replace(want.payload, sampleUID, uid, 1) {
			t.Errorf("published on %s: %q\nwant on %s: %q", got.channel, got.payload, want.channel, want.payload)
		}
	}
	b.fence(b.m)
	b.malformed(0)
}

func TestReceivesBroadcasts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.a.Join(t.Context(), "m", "room1", "r2", "7")
	const event = "93a3666f6f83a47479706502a46461746191a178a36e7370a12f"
	tests := []struct{ name, channel, payload, want string }{
		{"node", "room1#", sampleRoom, `["hi"] [] volatile=false`},
		{"node, several rooms", "", sampleRooms, `["x",{"_placeholder":true,"num":0}] [010203] volatile=true`},
		{"emitter", "room1#", sampleEmitter, `["x"] [] volatile=false`},
		{"no except, no flags", "", event + "81a5726f6f6d7390", `["x"] [] volatile=false`},
		{"nil in place of everything", "", event + "83a5726f6f6d73c0a6657863657074c0a5666c616773c0", `["x"] [] volatile=false`},
		{"unknown fields", "", "93a3666f6f84a47479706505a46461746191a178a36e7370c0a26964c0" + "82a17ac403000000a5666c61677381a8636f6d7072657373c2", `["x"] [] volatile=false`},
		{"no namespace", "", "93a3666f6f82a47479706502a46461746191a17880", `["x"] [] volatile=false`},
		{"rooms that are numbers", "7#", event + "81a5726f6f6d739107", `["x"] [] volatile=false`},
		{"date, undefined, buffers", "", "93a3666f6f82a47479706502a46461746195a178d6ff00000000d7000000000000000001d40000c7020 00102" + "80",
			`["x","1970-01-01T00:00:00.000Z","1970-01-01T00:00:00.001Z",null,{"_placeholder":true,"num":0}] [0102] volatile=false`},
		{"other namespace", "", strings.Replace(event, "a12f", "a22f61", 1) + "80", ""},
		{"except", "", event + "82a5726f6f6d7390a665786365707491a16d", ""},
		{"unknown room", "nobody#", event + "81a5726f6f6d7391a66e6f626f6479", ""},
		{"malformed to an unknown room", "nobody#", "c1", ""},
	}
	for _, tt := range tests {
		b.publish("socket.io#/#"+tt.channel, unhex(t, tt.payload))
		if tt.want != "" {
			if got := asText(b.m.Next(t)); got != tt.want {
				t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
			}
		}
		if before := b.fence(b.m); len(before) > 0 {
			t.Errorf("%s: got %v unasked", tt.name, before)
		}
	}
	b.malformed(0)
}

func TestIgnoresMalformed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	count := 0
	for _, payload := range []string{
		"", "c1", "7b7d", "80", "90", "93", "93a178", "93a17880", "93a1788080", "93078080",
		"93a17881a47479706500" + "80",                                 // CONNECT
		"93a17881a47479706502" + "80",                                 // no data
		"93a17882a47479706502a46461746101" + "80",                     // data that is no array
		"93a17882a47479706502a46461746191d40505" + "80",               // unknown extension
		"93a17882a47479706502a46461746191a178" + "80" + "00",          // something behind it
		"93a17882a47479706502a46461746191a178" + "81a5726f6f6d7391c0", // a room that is no name
		"93a17882a47479706502a46461746191a178" + "81a5726f6f6d73ddffffffffa178",
		"94a17882a47479706502a46461746191a1788080",
		"93a17882a47479706502a461746174" + strings.Repeat("91", 600) + "80",
	} {
		b.publish("socket.io#/#", unhex(t, payload))
		count++
	}
	for _, payload := range []string{
		"", "{", "null", "[]", "{}", `{"type":"2"}`, `{"type":2}`, `{"type":4,"close":true}`, `{"type":0}`, `{"type":1,"requestId":""}`,
		`{"type":5,"requestId":"r"}`, `{"type":7,"requestId":"r"}`, `{"type":7,"requestId":"r","opts":{}}`, `{"type":2,"opts":{"rooms":[{}]},"rooms":[]}`,
		"\x81\xa4type\xc1", "\x80x",
	} {
		b.publish("socket.io-request#/#", payload)
		count++
	}
	if before := b.fence(b.m); len(before) > 0 || !b.m.Empty() {
		t.Errorf("got %v", before)
	}
	b.malformed(count)
}

func TestReceivesChanges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.a.Join(t.Context(), "m", "room1")
	other := adaptertest.NewMember("other")
	b.a.Add(t.Context(), other, "m2")
	rooms := func() string {
		b.fence(b.m)
		got := b.a.RoomsOf("m")
		slices.Sort(got)
		return strings.Join(got, " ")
	}
	tests := []struct{ name, request, want string }{
		{"join", `{"uid":"2eQfCs","type":2,"opts":{"rooms":["room1"],"except":[]},"rooms":["room2",3]}`, "3 room1 room2"},
		{"join without flags and uid", `{"type":2,"opts":{"rooms":["m"]},"rooms":["q"]}`, "3 q room1 room2"},
		{"leave", `{"uid":"2eQfCs","type":3,"opts":{"rooms":["room1"],"except":[]},"rooms":["room2","q"]}`, "3 room1"},
		{"excepted", `{"uid":"2eQfCs","type":3,"opts":{"rooms":[],"except":["m"]},"rooms":["room1"]}`, "3 room1"},
		{"leave a numeric room", `{"uid":"2eQfCs","type":3,"opts":{"rooms":[3],"except":[]},"rooms":[3]}`, "room1"},
		{"type of the future", `{"uid":"2eQfCs","type":77,"opts":{}}`, "room1"},
		{"server-side emit", `{"uid":"2eQfCs","requestId":"1U0WlH","type":6,"data":["ev2"]}`, "room1"},
		{"old join of somebody else", `{"requestId":"r1","type":2,"sid":"nobody","room":"old"}`, "room1"},
	}
	for _, tt := range tests {
		b.publish("socket.io-request#/#", tt.request)
		if got := rooms(); got != tt.want {
			t.Errorf("%s: m is in %q, want %q", tt.name, got, tt.want)
		}
	}
	for _, tt := range []struct{ request, want string }{
		{`{"requestId":"r2","type":2,"sid":"m","room":"old"}`, "old room1"},
		{`{"requestId":"r2","type":3,"sid":"m","room":"old"}`, "room1"},
	} {
		b.publish("socket.io-request#/#", tt.request)
		if got, want := b.next(), (published{"socket.io-response#/#", `{"requestId":"r2"}`}); got != want {
			t.Errorf("answer to %s: %q, want %q", tt.request, got, want)
		}
		if got := rooms(); got != tt.want {
			t.Errorf("%s: m is in %q, want %q", tt.request, got, tt.want)
		}
	}
	b.publish("socket.io-request#/#", `{"uid":"2eQfCs","type":4,"opts":{"rooms":["m"],"except":[]},"close":true}`)
	b.publish("socket.io-request#/#", `{"type":4,"sid":"other","close":false}`)
	if !b.m.Disconnected(t) || other.Disconnected(t) {
		t.Error("disconnect lost whether to close the connection")
	}
	b.malformed(0)
}

// asker answers with its own description.
type asker struct {
	*adaptertest.Member
	asked chan time.Duration
}

func (a asker) Ask(q *adapter.Question) {
	a.Deliver(q.Message)
	a.asked <- q.Timeout
	q.Reply(a.ID(), []byte(`{"got":{"_placeholder":true,"num":0}}`), [][]byte{[]byte(q.Message.Event())})
}

func (a asker) Snapshot() ([]byte, error) { return []byte(`{"id":"asker","data":1}`), nil }

func TestAnswers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.a.Join(t.Context(), "m", "room1")
	d := describer{adaptertest.NewMember("d")}
	b.a.Add(t.Context(), d, "room2")
	ask := func(request string, want ...string) {
		t.Helper()
		b.publish("socket.io-request#/#", request)
		for _, want := range want {
			if got := b.next(); got.channel != "socket.io-response#/#" || got.payload != want {
				t.Errorf("answer to %q on %s:\n%q, want\n%q", request, got.channel, got.payload, want)
			}
		}
	}
	ask(`{"uid":"2eQfCs","requestId":"req001","type":0,"rooms":["room2"]}`, `{"requestId":"req001","sockets":["d"]}`)
	// A member that is no socket is not among them.
	ask(`{"uid":"2eQfCs","requestId":"req001","type":0,"rooms":["room1"]}`, `{"requestId":"req001","sockets":[]}`)
	ask(`{"uid":"2eQfCs","requestId":"req001","type":0,"rooms":["nobody"]}`, `{"requestId":"req001","sockets":[]}`)
	ask(`{"uid":"2eQfCs","requestId":"r","type":5,"opts":{"rooms":["room1","room2"],"except":[]}}`, `{"requestId":"r","sockets":[{"id":"d"}]}`)
	b.a.Remove("d")
	ask(`{"uid":"2eQfCs","requestId":"r","type":5,"opts":{"rooms":["nobody"],"except":[]}}`, `{"requestId":"r","sockets":[]}`)

	// Nobody here can acknowledge, which has to be said nevertheless.
	ask(unhex(t, sampleAckReq), `{"clientCount":0,"requestId":"jANQ9n","type":8}`)
	if got := asText(b.m.Next(t)); got != `["ackme",7] [] volatile=false` {
		t.Errorf("the member got %s", got)
	}

	a := asker{adaptertest.NewMember("asker"), make(chan time.Duration, 1)}
	b.a.Add(t.Context(), a)
	b.a.Remove("m")
	ask(unhex(t, sampleAckReq), `{"clientCount":1,"requestId":"jANQ9n","type":8}`,
		unhex(t, "83a47479706509a9726571756573744964a66a414e51396ea67061636b657481a3676f74c40561636b6d65"))
	if got := <-a.asked; got != 100*time.Millisecond {
		t.Errorf("asked with a timeout of %v, want 100ms", got)
	}
	ask(`{"uid":"2eQfCs","requestId":"req001","type":1}`, `{"requestId":"req001","rooms":["asker"]}`)
	ask(`{"uid":"2eQfCs","requestId":"r","type":5,"opts":{"rooms":[],"except":[]}}`, `{"requestId":"r","sockets":[{"id":"asker","data":1}]}`)

	b.a.Remove("asker")
	b.a.Add(t.Context(), brokenSnapshot{adaptertest.NewMember("broken")})
	b.a.Add(t.Context(), d)
	ask(`{"uid":"2eQfCs","requestId":"r","type":5,"opts":{"rooms":[],"except":[]}}`, `{"requestId":"r","sockets":[{"id":"d"}]}`)
	if got := b.a.Stats().Undescribed; got != 1 {
		t.Errorf("%d members counted that describe themselves badly, want 1", got)
	}
	b.malformed(0)
}

// describer is a member that other nodes take for a socket.
type describer struct{ *adaptertest.Member }

func (d describer) Snapshot() ([]byte, error) { return fmt.Appendf(nil, `{"id":%q}`, d.ID()), nil }

type brokenSnapshot struct{ *adaptertest.Member }

func (brokenSnapshot) Snapshot() ([]byte, error) { return []byte(`{"id":`), nil }

// stringAsker answers as the client of the sample did.
type stringAsker struct{ *adaptertest.Member }

func (stringAsker) Ask(q *adapter.Question) {
	q.Reply("s", []byte(`"clientresp"`), nil)
}

func TestAckIsEncodedAsNodeDoes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.a.Add(t.Context(), stringAsker{adaptertest.NewMember("s")})
	request := strings.Replace(sampleAckReq, hex.EncodeToString([]byte("jANQ9n")), hex.EncodeToString([]byte("req006")), 1)
	b.publish("socket.io-request#/#", unhex(t, request))
	b.next() // the count
	if got := b.next().payload; got != unhex(t, sampleAck) {
		t.Errorf("got %x, want %s", got, sampleAck)
	}
}
