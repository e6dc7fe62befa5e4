package redispubsub

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/jsonpack"
	"github.com/peal-dev/peal/adapter/internal/outbox"
	"github.com/peal-dev/peal/adapter/internal/pealwire"
	"github.com/peal-dev/peal/adapter/internal/reception"
	"github.com/peal-dev/peal/internal/redisx"
	"github.com/peal-dev/peal/message"
)

func sample(f *testing.F, s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		f.Fatal(err)
	}
	return b
}

func nobodysOwn([]byte) bool { return false }

// FuzzDecodeBroadcast: what is taken must be a sound event, and mean the same after another trip over the wire.
func FuzzDecodeBroadcast(f *testing.F) {
	for _, s := range []string{
		"93a632655166437383a47479706502a46461746191a26869a36e7370a12f83a5726f6f6d7391a5726f6f6d31a665786365707490a5666c61677380",
		"93a632655166437383a47479706502a46461746192a178c403010203a36e7370a12f83a5726f6f6d7392a27231a27232a665786365707491a27233a5666c61677381a8766f6c6174696c65c3",
		"93a3666f6f82a47479706505a46461746194a178d6ff00000000d40000c702000102a5726f6f6d7380",
	} {
		f.Add(sample(f, s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		e, err := decodeBroadcast(payload, nobodysOwn, "/", 0)
		if e == nil {
			return
		}
		if err != nil {
			t.Fatalf("an envelope and an error: %v", err)
		}
		m := e.Message
		if e.Kind != adapter.KindBroadcast || !json.Valid(m.Data) || !utf8.Valid(m.Data) {
			t.Fatalf("%x became %v %q", payload, e.Kind, m.Data)
		}
		if err := message.Check(m.Data, len(m.Attachments), 0); err != nil {
			t.Fatalf("%x became %q: %v", payload, m.Data, err)
		}
		again, err := appendBroadcast(nil, "sender", "/", e)
		if err != nil {
			t.Fatalf("%q has no way back: %v", m.Data, err)
		}
		e2, err := decodeBroadcast(again, nobodysOwn, "/", 0)
		if err != nil || e2 == nil {
			t.Fatalf("%x does not come back: %v", again, err)
		}
		if !slices.Equal(e.Rooms, e2.Rooms) || !slices.Equal(e.Except, e2.Except) || e.Message.Volatile != e2.Message.Volatile {
			t.Fatalf("options changed from %+v to %+v", e, e2)
		}
	})
}

// crowd is a receiver with one member that can do everything.
type crowd struct{ t *testing.T }

func (c crowd) ID() string          { return "m" }
func (c crowd) Disconnect(bool)     {}
func (c crowd) HasRoom(string) bool { return true }

func (c crowd) Deliver(m *message.Message) {
	if !json.Valid(m.Data) {
		c.t.Errorf("delivered %q", m.Data)
	}
}

func (c crowd) Answer(call *adapter.Call, reply func(adapter.Answer)) {
	if call.Message != nil && !json.Valid(call.Message.Data) {
		c.t.Errorf("asked %q", call.Message.Data)
	}
	switch call.Kind {
	case adapter.CallMembers:
		reply(adapter.Answer{Members: [][]byte{[]byte(`{"id":"m"}`), []byte(`{}`)}})
	case adapter.CallIDs, adapter.CallRooms:
		reply(adapter.Answer{Names: []string{"m", "r\""}})
	case adapter.CallEvent:
		reply(adapter.Answer{Argument: []byte(`"yes"`)})
	case adapter.CallAsk:
		reply(adapter.Answer{Part: adapter.AnswerCount, Count: 2})
		reply(adapter.Answer{Part: adapter.AnswerReply, Member: "m", Argument: []byte(`[{"_placeholder":true,"num":0}]`), Attachments: [][]byte{{1}}})
	default:
		c.t.Errorf("asked a call of kind %v", call.Kind)
	}
}

func (c crowd) Receive(e *adapter.Envelope) {
	if e.Kind < adapter.KindJoin || e.Kind > adapter.KindEvent {
		c.t.Errorf("received an envelope of kind %v", e.Kind)
	}
}

// everyone is a crowd that hears broadcasts too, which are no requests.
type everyone struct{ crowd }

func (e everyone) Receive(envelope *adapter.Envelope) {
	if envelope.Kind != adapter.KindBroadcast {
		e.crowd.Receive(envelope)
	} else if !json.Valid(envelope.Message.Data) {
		e.t.Errorf("received %q", envelope.Message.Data)
	}
}

// FuzzRequest: no request may break the node, and what is answered must be readable.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		`{"uid":"2eQfCs","type":2,"opts":{"rooms":["room1",7],"except":[]},"rooms":["room2"]}`,
		`{"type":4,"opts":{"rooms":["r"]},"close":true}`,
		`{"requestId":"r1","type":3,"sid":"m","room":"old"}`,
		`{"uid":"a","requestId":"r","type":0,"rooms":[]}`,
		`{"uid":"a","requestId":"r","type":1}`,
		`{"uid":"a","requestId":"r","type":5,"opts":{"rooms":[],"except":[]}}`,
		`{"uid":"a","requestId":"r","type":6,"data":["ev",1]}`,
		`{"uid":"a","requestId":"r","type":5,"opts":{"rooms":[],"except":[]},"peal":1}`,
	} {
		f.Add([]byte(s))
	}
	f.Add(sample(f, "85a3756964a6326551664373a9726571756573744964a66a414e51396ea47479706507a67061636b657483a47479706502a46461746192a561636b6d6507a36e7370a12fa46f70747383a5726f6f6d7390a665786365707490a5666c61677381a774696d656f757464"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		var answers []redisx.Message
		p := &publisher{outbox: outbox.New(outbox.Options[job]{Flush: func(_ context.Context, batch []*outbox.Item[job]) {
			for _, item := range batch {
				answers = append(answers, item.Value.message)
			}
		}})}
		d := &Driver{opts: Options{Key: "k"}, publisher: p,
			monitor: reception.New(reception.Options{Logger: slog.New(slog.DiscardHandler)})}
		defer d.monitor.Close()
		l := newLink(d, "/", crowd{t})
		defer l.inbox.Close()
		_ = l.receive(l.requests, payload)
		// What is sent last is there last.
		if _, err := p.outbox.Send(t.Context(), job{}, 0); err != nil {
			t.Fatal(err)
		}
		p.outbox.Close()
		for _, answer := range answers[:len(answers)-1] {
			if !strings.HasPrefix(answer.Channel, l.responses) {
				t.Errorf("answered on %s", answer.Channel)
			}
			if _, _, rest, err := jsonpack.AppendJSON(nil, nil, answer.Payload); !json.Valid(answer.Payload) && (err != nil || len(rest) > 0) {
				t.Errorf("answered %q", answer.Payload)
			}
		}
	})
}

// FuzzSignal: nothing that comes on the channels of Peal nodes may break the node, and what asks for beats is understood or counted
// as malformed.
func FuzzSignal(f *testing.F) {
	frame := func(kind pealwire.Kind, body []byte) []byte {
		return pealwire.Append(nil, kind, pealwire.UID([]byte("abcdef")), body)
	}
	f.Add(frame(pealwire.KindHello, nil))
	f.Add(frame(pealwire.KindAsk, []byte{1, 0x80, 1}))
	f.Add(frame(pealwire.KindBeat, []byte{1, 0, 1, 0, 0, 0}))
	f.Add(pealwire.AppendBroadcast(nil, pealwire.UID([]byte("abcdef")), &adapter.Envelope{Message: message.New([]byte(`["x"]`))}))
	f.Add([]byte("{\"uid\":\"abcdef\"}"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		p := &publisher{outbox: outbox.New(outbox.Options[job]{Flush: func(context.Context, []*outbox.Item[job]) {}})}
		defer p.outbox.Close()
		d := &Driver{opts: Options{Key: "k"}, publisher: p, subscriber: &redisx.Subscriber{},
			monitor: reception.New(reception.Options{Logger: slog.New(slog.DiscardHandler)})}
		defer d.monitor.Close()
		l, at := newLink(d, "/", everyone{crowd{t}}), newLink(d, "/", everyone{crowd{t}})
		defer l.inbox.Close()
		defer at.inbox.Close()
		for _, channel := range []string{l.interest.prefix, l.interest.channel("room"), l.requests, l.ownResponses} {
			l.message(channel, slices.Clone(payload))
			_ = at.receive(channel, slices.Clone(payload)) // as the inbox does, which may be closed before it comes to that
		}
		if from := senderOf(payload); from != nil && len(from) != pealwire.UIDSize {
			t.Errorf("sent by %q", from)
		}
		if first, last, err := parseAsk(payload); err == nil && len(payload) < 2 {
			t.Errorf("%x asks for %d to %d", payload, first, last)
		}
	})
}

// FuzzResponse: no response may break the node, and what is taken for an answer must be sound and survive another trip.
func FuzzResponse(f *testing.F) {
	for _, s := range []string{
		`{"requestId":"req001","sockets":["Z2PLOM9Wh95dbFMEAAAA",7]}`,
		`{"requestId":"r","uid":"abcdef","sockets":[{"id":"m","rooms":["m",3],"data":{}}]}`,
		`{"requestId":"r","rooms":["a",1]}`,
		`{"type":8,"requestId":"req006","clientCount":1}`,
		`{"type":9,"requestId":"r","uid":"abcdef","member":"m","gone":true}`,
		`{"type":6,"requestId":"r","data":{"a":1}}`,
		`{"type":6,"requestId":"r"}`,
	} {
		f.Add([]byte(s))
	}
	f.Add(sample(f, "83a47479706509a9726571756573744964a6726571303036a67061636b6574aa636c69656e7472657370"))
	types := map[adapter.CallKind]int{adapter.CallMembers: requestFetch, adapter.CallIDs: requestSockets,
		adapter.CallRooms: requestAllRooms, adapter.CallEvent: requestServerSideEmit, adapter.CallAsk: requestBroadcast}
	f.Fuzz(func(t *testing.T, payload []byte) {
		r, err := decodeResponse(payload)
		if err != nil {
			return
		}
		for kind, requested := range types {
			a, err := r.answer(kind)
			if err != nil {
				continue
			}
			if a.Count < 0 || len(a.Argument) > 0 && !json.Valid(a.Argument) {
				t.Fatalf("%q became %+v", payload, a)
			}
			again, err := encodeAnswer(requested, "id", "node", a)
			if err != nil {
				continue // the placeholders in it do not fit
			}
			r2, err := decodeResponse(again)
			if err != nil {
				t.Fatalf("%q became %q: %v", payload, again, err)
			}
			b, err := r2.answer(kind)
			if err != nil || b.Part != a.Part || b.Count != a.Count || len(b.Members) != len(a.Members) || !slices.Equal(b.Names, a.Names) {
				t.Fatalf("%+v became %+v: %v", a, b, err)
			}
		}
	})
}
