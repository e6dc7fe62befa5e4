package redispubsub_test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/internal/redisx"
	"github.com/peal-dev/peal/internal/testredis"
	"github.com/peal-dev/peal/message"
)

type published struct {
	channel string
	payload string
}

// peer stands for a node of another make: it sees every message as it is and publishes what it likes.
type peer struct {
	t        *testing.T
	client   *redisx.Client
	requests *redisx.Listener
	messages chan published
}

const requestChannel = "socket.io-request#/#"

// counted has the peer be counted as a node: it subscribes to the request channel. Uncounted takes that back.
func (p *peer) counted() {
	p.t.Helper()
	if err := p.requests.Add(redisx.Channel(requestChannel)).Wait(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) uncounted() {
	p.t.Helper()
	p.requests.Remove(redisx.Channel(requestChannel))
	if err := p.requests.Add().Wait(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

func newPeer(t *testing.T, server *testredis.Server) *peer {
	t.Helper()
	p := &peer{t: t, messages: make(chan published, 1<<16)}
	var err error
	if p.client, err = redisx.New(redisx.Options{URL: server.URL()}); err != nil {
		t.Fatal(err)
	}
	sub := p.client.Subscribe(redisx.Hooks{})
	t.Cleanup(func() { sub.Close(); p.client.Close() })
	all := sub.Listen(func(channel string, payload []byte) {
		probe := strings.HasPrefix(string(payload), `{"peal":"ping"`)
		signal := len(payload) > 0 && payload[0] >= 2 && payload[0] <= 5 // a frame that is no broadcast
		if !probe && !signal {
			p.messages <- published{channel, string(payload)}
		}
	})
	if err := all.Add(redisx.Pattern("*")).Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.requests = sub.Listen(func(string, []byte) {}) // which all hears as well
	return p
}

// publish sends payload, and takes its echo off the messages.
func (p *peer) publish(channel, payload string) {
	p.t.Helper()
	batch := []redisx.Message{{Channel: channel, Payload: []byte(payload)}}
	p.client.Publish(p.t.Context(), batch)
	if batch[0].Err != nil {
		p.t.Fatal(batch[0].Err)
	}
	for {
		got := p.next()
		if got.channel == channel && got.payload == payload {
			return
		}
		p.t.Errorf("published unasked: %q", got)
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

// fence waits until a has handled all that the peer published, with a broadcast to its member m.
func (p *peer) fence(m *adaptertest.Member) (before []string) {
	p.t.Helper()
	p.publish("socket.io#/#"+m.ID()+"#", unhex(p.t, "93a4706565 72 82a47479706502a46461746191a566656e6365 81a5726f6f6d7391"+hex.EncodeToString([]byte{0xa0 | byte(len(m.ID()))})+hex.EncodeToString([]byte(m.ID()))))
	return m.Until(p.t, "fence")
}

func unhex(t testing.TB, s string) string {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// bundle is one node with a member called m, and a peer.
type bundle struct {
	*peer
	server *testredis.Server
	driver *redispubsub.Driver
	a      *adapter.Adapter
	m      *adaptertest.Member
}

func setup(t *testing.T) *bundle {
	t.Helper()
	server := testredis.Start(t)
	b := &bundle{peer: newPeer(t, server), server: server, driver: newDriver(t, redispubsub.Options{URL: server.URL()})}
	b.a, b.m = newAdapter(t, b.driver)
	return b
}

func newAdapter(t *testing.T, d adapter.Driver) (*adapter.Adapter, *adaptertest.Member) {
	t.Helper()
	a, err := adapter.New(t.Context(), "/", d, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := adaptertest.NewMember("m")
	a.Add(t.Context(), m)
	return a, m
}

// malformed checks that as many messages as that were counted as malformed since the start.
func (b *bundle) malformed(want int) {
	b.t.Helper()
	all := uint64(0)
	for _, n := range b.driver.Stats().Malformed {
		all += n
	}
	if all != uint64(want) {
		b.t.Errorf("%d messages counted as malformed, want %d", all, want)
	}
}

func asText(m *message.Message) string {
	return fmt.Sprintf("%s %x volatile=%v", m.Data, m.Attachments, m.Volatile)
}
