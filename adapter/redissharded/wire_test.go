package redissharded_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/adapter/nodewire"
	"github.com/peal-dev/peal/adapter/redissharded"
	"github.com/peal-dev/peal/internal/redisx"
	"github.com/peal-dev/peal/internal/testredis"
	"github.com/peal-dev/peal/message"
)

type published struct{ channel, payload string }

// peer stands for a node of another make.
type peer struct {
	t        *testing.T
	redis    *redisx.Shards
	messages chan published
}

func newPeer(t *testing.T, url string, channels ...string) *peer {
	t.Helper()
	p := &peer{t: t, messages: make(chan published, 1000)}
	none := func(redisx.Name, error) {}
	var err error
	p.redis, err = redisx.NewShards(redisx.Options{URL: url}, redisx.Shard, redisx.ShardHooks{State: func(bool, error) {}, Refused: none, Moved: func(string) {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.redis.Close)
	l := p.redis.Listen(func(channel string, payload []byte) {
		switch nodewire.TypeOf(payload) {
		case nodewire.InitialHeartbeat, nodewire.Heartbeat, nodewire.AdapterClose: // Peal nodes tell each other; others ignore it
		default:
			p.messages <- published{channel, string(payload)}
		}
	})
	if err := l.Add(channels...).Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *peer) publish(channel, payload string) {
	p.t.Helper()
	batch := []redisx.Message{{Channel: channel, Payload: []byte(payload)}}
	p.redis.Publish(p.t.Context(), batch)
	if err := batch[0].Err; err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) next() published {
	p.t.Helper()
	select {
	case m := <-p.messages:
		return m
	case <-p.t.Context().Done():
		p.t.Fatal("nothing is published")
	}
	return published{}
}

func newAdapter(t *testing.T, d adapter.Driver, id string, rooms ...string) (*adapter.Adapter, *adaptertest.Member) {
	t.Helper()
	a, err := adapter.New(t.Context(), "/", d, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := adaptertest.NewMember(id)
	if _, err := a.Add(t.Context(), m, rooms...); err != nil {
		t.Fatal(err)
	}
	return a, m
}

const (
	id20        = "Z2PLOM9Wh95dbFMEAAAA"
	mainChannel = "socket.io#/#"
)

// TestPublishesAsNodeDoes holds what is published, and where, to what @socket.io/redis-adapter 8.3.0 publishes in each mode.
func TestPublishesAsNodeDoes(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	for i, mode := range modes {
		p := newPeer(t, server.URL(), mainChannel, mainChannel+"r#", mainChannel+id20+"#")
		a, _ := newAdapter(t, newDriver(t, redissharded.Options{URL: server.URL(), Mode: mode}), "m")
		room, id := mainChannel+"r#", mainChannel+id20+"#"
		if mode == redissharded.Static {
			room = mainChannel
		}
		if mode != redissharded.DynamicPrivate {
			id = mainChannel
		}
		ctx, hi := t.Context(), message.New([]byte(`["hi",1]`))
		binary := message.New([]byte(`["x",{"_placeholder":true,"num":0}]`), []byte{1, 2})
		to := func(rooms ...string) message.Target { return message.Target{Rooms: rooms} }
		if err := errors.Join(
			a.Broadcast(ctx, hi, to()),
			a.Broadcast(ctx, hi, to("r")),
			a.Broadcast(ctx, binary, to("r")),
			a.Broadcast(ctx, hi, to(id20)),
			a.Broadcast(ctx, hi, to("r", "s")),
			a.LeaveRooms(ctx, to("r"), "s"),
			a.Disconnect(ctx, to("r"), true),
			a.SendEvent(ctx, hi),
			a.JoinRooms(ctx, to("s"), "r"),
			a.Broadcast(ctx, hi, to("r")), // by a channel that those hear who open the room now
		); err != nil {
			t.Fatal(err)
		}
		uid := ""
		for _, want := range []published{
			{mainChannel, `{"type":3,"data":{"packet":{"type":2,"data":["hi",1]},"opts":{"rooms":[],"except":[],"flags":{}}},"uid":"U","nsp":"/"}`},
			{room, `{"type":3,"data":{"packet":{"type":2,"data":["hi",1]},"opts":{"rooms":["r"],"except":[],"flags":{}}},"uid":"U","nsp":"/"}`},
			{room, "\x84\xa4type\x03\xa4data\x82\xa6packet\x82\xa4type\x02\xa4data\x92\xa1x\xc4\x02\x01\x02\xa4opts\x83\xa5rooms\x91\xa1r\xa6except\x90\xa5flags\x80\xa3uid\xb0U\xa3nsp\xa1/"},
			{id, `{"type":3,"data":{"packet":{"type":2,"data":["hi",1]},"opts":{"rooms":["` + id20 + `"],"except":[],"flags":{}}},"uid":"U","nsp":"/"}`},
			{mainChannel, `{"type":3,"data":{"packet":{"type":2,"data":["hi",1]},"opts":{"rooms":["r","s"],"except":[],"flags":{}}},"uid":"U","nsp":"/"}`},
			{mainChannel, `{"type":5,"data":{"opts":{"rooms":["r"],"except":[],"flags":{}},"rooms":["s"]},"uid":"U","nsp":"/"}`},
			{mainChannel, `{"type":6,"data":{"opts":{"rooms":["r"],"except":[],"flags":{}},"close":true},"uid":"U","nsp":"/"}`},
			{mainChannel, `{"type":9,"data":{"packet":["hi",1]},"uid":"U","nsp":"/"}`},
			{mainChannel, `{"type":4,"data":{"opts":{"rooms":["s"],"except":[],"flags":{}},"rooms":["r"]},"uid":"U","nsp":"/"}`},
			{mainChannel, `{"type":3,"data":{"packet":{"type":2,"data":["hi",1]},"opts":{"rooms":["r"],"except":[],"flags":{}}},"uid":"U","nsp":"/"}`},
		} {
			got := p.next()
			if at := strings.Index(got.payload, `"uid":"`); uid == "" && at > 0 {
				uid = got.payload[at+7 : at+7+16]
			}
			if got.channel != want.channel || got.payload != strings.Replace(want.payload, "U", uid, 1) {
				t.Errorf("%s: published on %s: %q\nwant on %s: %q", modes[i], got.channel, got.payload, want.channel, want.payload)
			}
		}
	}
}

// TestHearsWhatNodePublishes: in each mode what a Node.js node publishes reaches the members it means, once.
func TestHearsWhatNodePublishes(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	for _, mode := range modes {
		p := newPeer(t, server.URL())
		d := newDriver(t, redissharded.Options{URL: server.URL(), Mode: mode})
		a, m := newAdapter(t, d, id20, "r")
		say := func(channel, event, rooms string) {
			p.publish(channel, `{"type":3,"data":{"packet":{"type":2,"data":["`+event+`"]},"opts":{"rooms":[`+rooms+`],"except":[],"flags":{}}},"uid":"0123456789abcdef","nsp":"/"}`)
		}
		room, id := mainChannel+"r#", mainChannel+id20+"#"
		if mode == redissharded.Static {
			room = mainChannel
		}
		if mode != redissharded.DynamicPrivate {
			id = mainChannel
		}
		say(room, "room", `"r"`)
		say(id, "id", `"`+id20+`"`)
		say(mainChannel, "all", ``)
		say(mainChannel, "other", `"nobody"`)
		p.publish(mainChannel, `{"type":3,"data":{"packet":{"type":2,"data":["connect"]},"opts":{"rooms":[]}},"uid":"x","nsp":"/"}`)
		p.publish(mainChannel, "\xc1")
		p.publish(mainChannel, `{"type":4,"data":{"opts":{"rooms":["r"],"except":[]},"rooms":["s"]},"uid":"0123456789abcdef","nsp":"/"}`)
		say(mainChannel, "end", `"s","r"`)
		got := m.Until(t, "end")
		if want := "room id all"; strings.Join(got, " ") != want || !a.HasRoom("s") {
			t.Errorf("%s: got %q, want %q; in room s: %v", mode, got, want, a.HasRoom("s"))
		}
		if s := d.Stats(); s.Malformed["encoding"] != 1 || s.Malformed["invalid payload"] != 1 {
			t.Errorf("%s: stats = %+v", mode, s)
		}
	}
}
