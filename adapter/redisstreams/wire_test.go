package redisstreams_test

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/adapter/redisstreams"
	"github.com/peal-dev/peal/internal/redisx"
	"github.com/peal-dev/peal/internal/testredis"
	"github.com/peal-dev/peal/message"
)

// TestAppendsAsNodeDoes holds the entries to those of @socket.io/redis-streams-adapter 0.3.1.
func TestAppendsAsNodeDoes(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	a, _ := newAdapter(t, newDriver(t, redisstreams.Options{URL: server.URL()}), "m")
	room := message.Target{Rooms: []string{"a"}}
	for _, tt := range []struct {
		publish func() error
		want    string // of an entry, behind the uid
	}{
		{func() error { return a.Broadcast(t.Context(), message.New([]byte(`["hello",1]`)), message.Target{}) },
			`nsp / type 3 data {"packet":{"type":2,"data":["hello",1]},"opts":{"rooms":[],"except":[],"flags":{}}}`},
		{func() error {
			m := message.New([]byte(`["bin",{"_placeholder":true,"num":0}]`), []byte{1, 2, 3})
			return a.Broadcast(t.Context(), m, message.Target{Rooms: []string{"room1"}})
		}, `nsp / type 3 data gqZwYWNrZXSCpHR5cGUCpGRhdGGSo2JpbsQDAQIDpG9wdHODpXJvb21zkaVyb29tMaZleGNlcHSQpWZsYWdzgA==`},
		{func() error { return a.JoinRooms(t.Context(), room, "b") },
			`nsp / type 4 data {"opts":{"rooms":["a"],"except":[],"flags":{}},"rooms":["b"]}`},
		{func() error { return a.LeaveRooms(t.Context(), room, "b") },
			`nsp / type 5 data {"opts":{"rooms":["a"],"except":[],"flags":{}},"rooms":["b"]}`},
		{func() error { return a.Disconnect(t.Context(), room, true) },
			`nsp / type 6 data {"opts":{"rooms":["a"],"except":[],"flags":{}},"close":true}`},
	} {
		if err := tt.publish(); err != nil {
			t.Fatal(err)
		}
		got := strings.SplitN(server.Do("XREVRANGE", "socket.io", "+", "-", "COUNT", "1"), " ", 4)
		if len(got) != 4 || got[1] != "uid" || len(got[2]) != 16 || got[3] != tt.want {
			t.Errorf("got  %v\nwant … uid … %s", got, tt.want)
		}
	}
	// A probe leaves nothing behind.
	before := server.Do("XLEN", "socket.io")
	if err := a.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if got := server.Do("XLEN", "socket.io"); got != before {
		t.Errorf("%s entries after a ping, %s before", got, before)
	}
}

// TestHearsNode hands what a Node.js node appends and publishes to a Peal node; what is not of that form is counted.
func TestHearsNode(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	d := newDriver(t, redisstreams.Options{URL: server.URL()})
	_, m := newAdapter(t, d, "m", "room1")
	client, err := redisx.New(redisx.Options{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	entry := func(data string) {
		server.Do("XADD", "socket.io", "MAXLEN", "~", "10000", "*", "uid", "8d568d0c68739439", "nsp", "/", "type", "3", "data", data)
	}
	server.Do("XADD", "socket.io", "*", "nobody", "knows")
	server.Do("XADD", "socket.io", "*", "uid", "u", "nsp", "/other", "type", "3", "data", "{}")
	entry(`{"packet":{"type":2}`)
	entry("!")
	entry(`{"packet":{"type":2,"data":["elsewhere"]},"opts":{"rooms":["room2"],"except":[],"flags":{}}}`)
	entry(`{"packet":{"type":2,"data":["first",1]},"opts":{"rooms":[],"except":[],"flags":{}}}`)
	entry("gqZwYWNrZXSCpHR5cGUCpGRhdGGSo2JpbsQDAQIDpG9wdHODpXJvb21zkaVyb29tMaZleGNlcHSQpWZsYWdzgA==")
	if got := m.Next(t).Event(); got != "first" {
		t.Errorf("got %q", got)
	}
	if got := m.Next(t); got.Event() != "bin" || string(got.Attachments[0]) != "\x01\x02\x03" {
		t.Errorf("got %q with %x", got.Event(), got.Attachments)
	}
	// The emitter of Node.js, which appends the events for nodes, too.
	emitter := func(kind, data string) {
		server.Do("XADD", "socket.io", "MAXLEN", "~", "10000", "*", "uid", "emitter", "nsp", "/", "type", kind, "data", data)
	}
	emitter("4", `{"opts":{"rooms":["room1"],"except":[],"flags":{}},"rooms":["room3"]}`)
	emitter("3", `{"packet":{"type":2,"data":["outside"],"nsp":"/"},"opts":{"rooms":["room3"],"except":[],"flags":{}}}`)
	if got := m.Next(t).Event(); got != "outside" {
		t.Errorf("got %q", got)
	}
	if s := d.Stats(); s.Malformed["encoding"] != 2 || s.Received != 7 {
		t.Errorf("stats %+v, want 2 of 7 malformed", s)
	}
	// {type: 7, data: {opts: {rooms: [], except: []}, requestId: "r"}, uid: "0011223344556677", nsp: "/"}
	answers := make(chan string, 1)
	sub := client.Subscribe(redisx.Hooks{})
	defer sub.Close()
	l := sub.Listen(func(_ string, payload []byte) { answers <- string(payload) })
	if err := l.Add(redisx.Channel("socket.io#/#0011223344556677#")).Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	question, err := hex.DecodeString("84a47479706507a46461746182a46f70747382a5726f6f6d7390a665786365707490a9726571756573744964a172a3756964b030303131323233333434353536363737a36e7370a12f")
	if err != nil {
		t.Fatal(err)
	}
	server.Do("PUBLISH", "socket.io#/#", string(question))
	if got := <-answers; !strings.HasPrefix(got, "\x84\xa4type\x08\xa4data\x82\xa9requestId\xa1r\xa7sockets\x91") {
		t.Errorf("answered %q", got)
	}
}

// TestSeveralStreams spreads namespaces over streams, and hears Node.js nodes where they append.
func TestSeveralStreams(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	opts := redisstreams.Options{URL: server.URL(), StreamCount: 4}
	d1, d2 := newDriver(t, opts), newDriver(t, opts)
	for namespace, streams := range map[string][]string{"/chat": {"socket.io-3"}, "/my-namespace": {"socket.io-3", "socket.io--3"}, "/": {"socket.io-3"}} {
		a, err := adapter.New(t.Context(), namespace, d1, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := adapter.New(t.Context(), namespace, d2, nil)
		if err != nil {
			t.Fatal(err)
		}
		m := adaptertest.NewMember("m")
		if _, err := b.Add(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if err := a.Broadcast(t.Context(), newMessage("ours"), message.Target{}); err != nil {
			t.Fatal(err)
		}
		if got := m.Next(t).Event(); got != "ours" {
			t.Errorf("%s: got %q", namespace, got)
		}
		for _, stream := range streams {
			server.Do("XADD", stream, "*", "uid", "u", "nsp", namespace, "type", "3", "data", `{"packet":{"type":2,"data":["theirs"]},"opts":{"rooms":[],"except":[]}}`)
			if got := m.Next(t).Event(); got != "theirs" {
				t.Errorf("%s: got %q", namespace, got)
			}
		}
		if err := b.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestCannotAppend: a node is not ready where Redis would take no message, though it would take a probe.
func TestCannotAppend(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	a, _ := newAdapter(t, newDriver(t, redisstreams.Options{URL: server.URL()}), "m")
	server.Do("CONFIG", "SET", "maxmemory", "1")
	if err := a.Ping(t.Context()); !errors.Is(err, adapter.ErrUnavailable) || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("Ping of a Redis that is full: %v", err)
	}
	if err := a.Broadcast(t.Context(), newMessage("x"), message.Target{}); !errors.Is(err, adapter.ErrUnavailable) {
		t.Errorf("Broadcast of a Redis that is full: %v", err)
	}
	server.Do("CONFIG", "SET", "maxmemory", "0")
	if err := a.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestAskedBehindWhatWasSaid joins a member to a room by another node and asks at once who is in it.
func TestAskedBehindWhatWasSaid(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	opts := redisstreams.Options{URL: server.URL()}
	a, _ := newAdapter(t, newDriver(t, opts), "near")
	_, _ = newAdapter(t, newDriver(t, opts), "far")
	for _, room := range strings.Fields("a b c d e f g h i j k l m n o p q r s t") {
		if err := a.JoinRooms(t.Context(), message.Target{}, room); err != nil {
			t.Fatal(err)
		}
		var found []string
		_, err := a.Call(t.Context(), &adapter.Call{Kind: adapter.CallIDs, Rooms: []string{room}}, func(answer adapter.Answer) {
			found = append(found, answer.Names...)
		})
		if err != nil || len(found) != 1 {
			t.Errorf("%s: found %v, %v", room, found, err)
		}
	}
}

// TestEmitter publishes without being a node: whoever reads the stream hears it, and nobody counts it.
func TestEmitter(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	a, m := newAdapter(t, newDriver(t, redisstreams.Options{URL: server.URL()}), "m", "r")
	emitter, err := redisstreams.NewEmitter(redisstreams.Options{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer emitter.Close(t.Context())
	e, err := adapter.New(t.Context(), "/", emitter, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if err := e.Broadcast(t.Context(), newMessage("emitted"), message.Target{Rooms: []string{"r"}}); err != nil {
		t.Fatal(err)
	}
	if got := m.Next(t).Event(); got != "emitted" {
		t.Errorf("got %q", got)
	}
	if got := server.Do("XREVRANGE", "socket.io", "+", "-"); !strings.Contains(got, " uid emitter nsp / type 3 ") {
		t.Errorf("appended %s", got)
	}
	if n, err := a.Nodes(t.Context()); n != 1 || err != nil {
		t.Errorf("%d nodes, %v; want 1", n, err)
	}
	server.Stop()
	if err := e.Ping(t.Context()); !errors.Is(err, adapter.ErrUnavailable) {
		t.Errorf("Ping without Redis: %v", err)
	}
}

func TestValidate(t *testing.T) {
	for _, o := range []redisstreams.Options{{}, {URL: "redis://h", BlockTime: 5e9}, {URL: "redis://h", StreamCount: -1}, {URL: "http://h"}} {
		if err := o.Validate(); err == nil {
			t.Errorf("%+v is taken", o)
		}
		if d, err := redisstreams.New(o); err == nil {
			t.Errorf("%+v is taken", o)
			_ = d.Close(context.Background())
		}
	}
}
