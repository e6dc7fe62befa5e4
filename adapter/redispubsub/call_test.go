package redispubsub_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/message"
)

// called is how a call of the node ended.
type called struct {
	answers []adapter.Answer
	missing []adapter.NodeID
	err     error
}

// call starts a call of the node and returns the request as it is published, with uid and id taken out.
func (b *bundle) call(ctx context.Context, c *adapter.Call) (request, uid, id string, end <-chan called) {
	b.t.Helper()
	ended := make(chan called, 1)
	go func() {
		var r called
		r.missing, r.err = b.a.Call(ctx, c, func(a adapter.Answer) { r.answers = append(r.answers, a) })
		ended <- r
	}()
	m := b.next()
	if m.channel != "socket.io-request#/#" {
		b.t.Fatalf("asked on %s: %q", m.channel, m.payload)
	}
	i := strings.Index(m.payload, "requestId")
	if m.payload[0] == '{' {
		id = m.payload[i+len(`requestId":"`):][:22]
	} else {
		id = m.payload[i+len("requestId")+1:][:22]
	}
	uid = id[:6]
	request = strings.ReplaceAll(strings.ReplaceAll(m.payload, id, "ID"), uid, "UID")
	return request, uid, id, ended
}

// TestAsksAsNodeDoes asks in the form of Node.js nodes, which differs in a field they do not read and in longer ids, and takes
// what they answer, on either channel.
func TestAsksAsNodeDoes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.counted()
	ctx := t.Context()
	if n, err := b.a.Nodes(ctx); err != nil || n != 2 {
		t.Errorf("Nodes = %d, %v, want 2", n, err)
	}
	packed := func(s string) string { return unhex(t, s) }
	m := message.New([]byte(`["ackme",7]`))
	binary := message.New([]byte(`["ev",{"_placeholder":true,"num":0}]`), []byte{1, 2, 3})
	for _, tt := range []struct {
		call    adapter.Call
		request string
		answers []string // ID stands for the id
		want    string
	}{
		{adapter.Call{Kind: adapter.CallMembers}, `{"uid":"UID","requestId":"ID","type":5,"opts":{"rooms":[],"except":[]},"peal":1}`,
			[]string{`{"requestId":"ID","sockets":[{"id":"x","rooms":[1]},{}]}`}, `[{0  [{"id":"x","rooms":[1]} {}] [] 0   []}]`},
		{adapter.Call{Kind: adapter.CallMembers, Rooms: []string{"a"}, Except: []string{"b"}}, `{"uid":"UID","requestId":"ID","type":5,"opts":{"rooms":["a"],"except":["b"]},"peal":1}`,
			[]string{`{"requestId":"ID","sockets":[]}`}, `[{0  [] [] 0   []}]`},
		{adapter.Call{Kind: adapter.CallIDs, Rooms: []string{"a"}}, `{"uid":"UID","requestId":"ID","type":0,"rooms":["a"],"peal":1}`,
			[]string{`{"requestId":"ID","sockets":["x","y"]}`}, `[{0  [] [x y] 0   []}]`},
		{adapter.Call{Kind: adapter.CallRooms}, `{"uid":"UID","requestId":"ID","type":1,"peal":1}`,
			[]string{`{"requestId":"ID","rooms":["x",7]}`}, `[{0  [] [x 7] 0   []}]`},
		{adapter.Call{Kind: adapter.CallEvent, Message: m}, `{"uid":"UID","requestId":"ID","type":6,"data":["ackme",7],"peal":1,"timeout":5000}`,
			[]string{`{"type":6,"requestId":"ID","data":{"a":1}}`}, `[{0  [] [] 0  {"a":1} []}]`},
		{adapter.Call{Kind: adapter.CallEvent, Message: m}, `{"uid":"UID","requestId":"ID","type":6,"data":["ackme",7],"peal":1,"timeout":5000}`,
			[]string{`{"type":6,"requestId":"ID"}`}, `[{0  [] [] 0  null []}]`},
		{adapter.Call{Kind: adapter.CallEvent, Message: binary},
			packed("86a3756964a6") + "UID" + packed("a474797065 06 a9726571756573744964 b6") + "ID" + packed("a47065616c 01 a774696d656f7574 cd1388 a464617461 92a26576c403010203"),
			[]string{packed("83a474797065 06 a9726571756573744964 b6") + "ID" + packed("a464617461c40107")}, `[{0  [] [] 0  {"_placeholder":true,"num":0} [[7]]}]`},
		{adapter.Call{Kind: adapter.CallAsk, Message: m, Timeout: 100 * time.Second},
			packed("86a3756964a6") + "UID" + packed("a9726571756573744964b6") + "ID" + packed("a47479706507a47065616c01a67061636b657483a47479706502a46461746192a561636b6d6507a36e7370a12fa46f70747383a5726f6f6d7390a665786365707490a5666c61677381a774696d656f7574ce000186a0"),
			[]string{`{"type":8,"requestId":"ID","clientCount":2}`,
				packed("83a474797065 09 a9726571756573744964 b6") + "ID" + packed("a67061636b6574aa636c69656e7472657370"),
				`{"type":9,"requestId":"ID","member":"y","uid":"peer","gone":true}`},
			`[{1  [] [] 2   []} {2  [] [] 0  "clientresp" []} {3 peer [] [] 0 y  []}]`},
	} {
		request, uid, id, end := b.call(ctx, &tt.call)
		want := tt.request
		if request != want {
			t.Errorf("%s asked with\n%s, want\n%s", tt.call.Kind, hex.Dump([]byte(request)), hex.Dump([]byte(want)))
		}
		for i, answer := range tt.answers {
			channel := "socket.io-response#/#"
			if i > 0 {
				channel += uid + "#"
			}
			b.publish(channel, strings.ReplaceAll(answer, "ID", id))
		}
		r := <-end
		var got []string
		for _, a := range r.answers {
			got = append(got, fmt.Sprintf("{%d %s %s %s %d %s %s %v}", a.Part, a.Node, a.Members, a.Names, a.Count, a.Member, a.Argument, a.Attachments))
		}
		if text := "[" + strings.Join(got, " ") + "]"; text != tt.want || r.err != nil || len(r.missing) > 0 {
			t.Errorf("%s: %s, missing %q, %v, want %s", tt.call.Kind, text, r.missing, r.err, tt.want)
		}
	}
	if err := b.a.SendEvent(ctx, m); err != nil {
		t.Error(err)
	}
	if got := b.next(); !strings.HasSuffix(got.payload, `,"type":6,"data":["ackme",7]}`) || strings.Contains(got.payload, "requestId") {
		t.Errorf("event: %s", got.payload)
	}
	b.fence(b.m)
	b.malformed(0)
}

// TestBadAnswers gives answers that are none: they are counted, and the call waits for a good one.
func TestBadAnswers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.counted()
	_, uid, id, end := b.call(t.Context(), &adapter.Call{Kind: adapter.CallMembers})
	own := "socket.io-response#/#" + uid + "#"
	count := 0
	for _, answer := range []string{
		"", "{", "null", `{"requestId":7}`, `{"requestId":"` + id + `"}`, `{"requestId":"` + id + `","sockets":7}`, `{"requestId":"elsewhere","sockets":[]}`,
		"\x81\xa9requestId\xc1",
	} {
		b.publish(own, answer)
		count++
	}
	// Those to others are none of ours.
	b.publish("socket.io-response#/#", `{"requestId":"req001","sockets":[]}`)
	b.publish(own, `{"requestId":"`+id+`","sockets":[{"id":"x"}]}`)
	if r := <-end; r.err != nil || len(r.answers) != 1 {
		t.Errorf("%d answers, %v", len(r.answers), r.err)
	}
	b.malformed(count)
	b.publish(own, `{"requestId":"`+id+`","sockets":[{"id":"late"}]}`)
	// The next answer comes behind it.
	_, _, id, end = b.call(t.Context(), &adapter.Call{Kind: adapter.CallRooms})
	b.publish(own, `{"requestId":"`+id+`","rooms":[]}`)
	<-end
	if s := b.driver.Stats(); s.Late != 1 || s.Dropped != 0 {
		t.Errorf("stats = %+v, want one late answer", s)
	}
}

// TestCallWithoutRedis asks while Redis is away, and while it hangs: the call says so in its time, and the next is whole.
func TestCallWithoutRedis(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := joinNamespace(t, newDriver(t, redispubsub.Options{URL: b.server.URL()}), "/")
	whole := func() {
		t.Helper()
		for {
			answers := 0
			_, err := b.a.Call(t.Context(), &adapter.Call{Kind: adapter.CallRooms}, func(adapter.Answer) { answers++ })
			if err == nil && answers == 1 {
				return
			}
			if err != nil && !errors.Is(err, adapter.ErrUnavailable) && !errors.Is(err, adapter.ErrIncomplete) {
				t.Fatalf("call: %v", err)
			}
			if err := other.Ping(t.Context()); err != nil && !errors.Is(err, adapter.ErrUnavailable) {
				t.Fatal(err)
			}
		}
	}
	whole()
	b.server.Pause()
	_, err := b.a.Call(t.Context(), &adapter.Call{Kind: adapter.CallRooms, Timeout: 200 * time.Millisecond}, func(adapter.Answer) {})
	if !errors.Is(err, adapter.ErrUnavailable) {
		t.Errorf("call while Redis hangs: %v", err)
	}
	b.server.Resume()
	whole()
	b.server.Stop()
	if _, err := b.a.Call(t.Context(), &adapter.Call{Kind: adapter.CallRooms, Timeout: time.Second}, func(adapter.Answer) {}); !errors.Is(err, adapter.ErrUnavailable) {
		t.Errorf("call without Redis: %v", err)
	}
}

// TestAnswersPealNodes answers those who know more than Node.js nodes: on their own channel, with the names of node and member.
func TestAnswersPealNodes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := asker{adaptertest.NewMember("s"), make(chan time.Duration, 1)}
	b.a.Remove("m")
	b.a.Add(t.Context(), s)
	uid := ""
	ask := func(request string, want ...string) {
		t.Helper()
		b.publish("socket.io-request#/#", request)
		for _, want := range want {
			got := b.next()
			if uid == "" {
				_, uid, _ = strings.Cut(got.payload, `"uid":"`)
				uid = uid[:6]
			}
			if want = strings.ReplaceAll(want, "UID", uid); got.channel != "socket.io-response#/#2eQfCs#" || got.payload != want {
				t.Errorf("answer to %q on %s:\n%q, want\n%q", request, got.channel, got.payload, want)
			}
		}
	}
	ask(`{"uid":"2eQfCs","requestId":"r","type":0,"rooms":[],"peal":1}`, `{"requestId":"r","uid":"UID","sockets":["s"]}`)
	ask(`{"uid":"2eQfCs","requestId":"r","type":1,"peal":1}`, `{"requestId":"r","uid":"UID","rooms":["s"]}`)
	question := strings.Replace(unhex(t, sampleAckReq), "\x85\xa3uid", "\x86\xa4peal\x01\xa3uid", 1)
	ask(question, `{"clientCount":1,"requestId":"jANQ9n","type":8,"uid":"UID"}`,
		unhex(t, "85a47479706509a9726571756573744964a66a414e51396ea3756964a6")+"UID"+unhex(t, "a66d656d626572a173a67061636b657481a3676f74c40561636b6d65"))
	b.malformed(0)
}
