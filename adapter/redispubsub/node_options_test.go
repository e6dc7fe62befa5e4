package redispubsub_test

import (
	"testing"

	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/internal/testredis"
)

// TestSpecificResponses answers as a Node.js node with publishOnSpecificResponseChannel does.
func TestSpecificResponses(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	b := &bundle{server: server, driver: newDriver(t, redispubsub.Options{URL: server.URL(), SpecificResponses: true})}
	b.a, b.m = newAdapter(t, b.driver)
	b.a.Add(t.Context(), describer{adaptertest.NewMember("d")})
	b.peer = newPeer(t, server)
	for _, tt := range []struct{ request, channel, answer string }{
		{`{"uid":"2eQfCs","requestId":"r","type":0,"rooms":[]}`, "socket.io-response#/#2eQfCs#", `{"requestId":"r","sockets":["d"]}`},
		{unhex(t, sampleAckReq), "socket.io-response#/#2eQfCs#", `{"clientCount":0,"requestId":"jANQ9n","type":8}`},
		// Nodes before version 7.1 do not say who they are, and have no channel of their own.
		{`{"requestId":"r","type":0,"rooms":[]}`, "socket.io-response#/#", `{"requestId":"r","sockets":["d"]}`},
	} {
		b.publish("socket.io-request#/#", tt.request)
		if got := b.next(); got.channel != tt.channel || got.payload != tt.answer {
			t.Errorf("answer to %q on %s:\n%q, want on %s\n%q", tt.request, got.channel, got.payload, tt.channel, tt.answer)
		}
	}
}

// TestOtherParsers hears Node.js nodes whose option parser is another MessagePack library: notepack.io 3.0.1, which is the
// usual one, notepack.io 2.2.0, which has its own forms of undefined, dates and ArrayBuffers, and @msgpack/msgpack 2.8.0, which
// keeps members that are undefined. The bytes are those of the libraries themselves, of
//
//	["2eQfCs", {type: 2, data: ["x", undefined, new Date(1700000000123), Buffer.from([1, 2, 3]), 1.5, -40000, 2 ** 40, NaN,
//	 {u: undefined, v: null}, "é€"], nsp: "/"}, {rooms: ["r"], except: [], flags: {volatile: true, compress: undefined}}]
func TestOtherParsers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.a.Join(t.Context(), "m", "r")
	const (
		packet  = "93a632655166437383a47479706502a4646174619aa178"
		between = "c403010203cb3ff8000000000000d2ffff63c0cf0000010000000000cb7ff8000000000000"
		options = "a5c3a9e282aca36e7370a12f83a5726f6f6d7391a172a665786365707490a5666c616773"
		before  = `["x",null,"2023-11-14T22:13:20.123Z",{"_placeholder":true,"num":0},1.5,-40000,1099511627776,null,`
		behind  = `,"é€"] [010203] volatile=true`
	)
	for _, tt := range []struct{ library, bytes, want string }{
		{"notepack.io 3", packet + "c0d7ff1d5353006553f100" + between + "81a176c0" + options + "81a8766f6c6174696c65c3", `{"v":null}`},
		{"notepack.io 2", packet + "d40000d7000000018bcfe5687b" + between + "82a175d40000a176c0" + options + "82a8766f6c6174696c65c3a8636f6d7072657373d40000", `{"v":null}`},
		{"@msgpack/msgpack", packet + "c0d7ff1d5353006553f100" + between + "82a175c0a176c0" + options + "82a8766f6c6174696c65c3a8636f6d7072657373c0", `{"u":null,"v":null}`},
	} {
		b.publish("socket.io#/#r#", unhex(t, tt.bytes))
		if got, want := asText(b.m.Next(t)), before+tt.want+behind; got != want {
			t.Errorf("%s:\n%s, want\n%s", tt.library, got, want)
		}
	}
	// An ArrayBuffer of notepack.io 2.
	b.publish("socket.io#/#", unhex(t, "93a632655166437383a47479706502a46461746192a178c70300010203a36e7370a12f83a5726f6f6d7390a665786365707490a5666c61677380"))
	if got, want := asText(b.m.Next(t)), `["x",{"_placeholder":true,"num":0}] [010203] volatile=false`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	b.malformed(0)
}
