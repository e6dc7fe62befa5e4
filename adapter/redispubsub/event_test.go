package redispubsub_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/peal-dev/peal/adapter/internal/jsonpack"
	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/internal/testredis"
)

// pack returns the MessagePack of JSON, in which placeholders are maps like any other.
func pack(t *testing.T, text string) string {
	t.Helper()
	b, err := jsonpack.AppendMsgpack(nil, []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// list returns a MessagePack array of up to 15 values.
func list(values ...string) string {
	return string([]byte{0x90 | byte(len(values))}) + strings.Join(values, "")
}

const bin = "\xc4\x01z" // a MessagePack bin of a byte

// broadcast returns what a node publishes of an event.
func broadcast(t *testing.T, data string) string {
	return list(pack(t, `"other"`), "\x83"+pack(t, `"type"`)+pack(t, `2`)+pack(t, `"data"`)+data+pack(t, `"nsp"`)+pack(t, `"/"`),
		pack(t, `{"rooms":[],"except":[],"flags":{}}`))
}

// question returns what a node publishes of an event that asks for acknowledgements.
func question(t *testing.T, data string) string {
	return "\x85" + pack(t, `"uid"`) + pack(t, `"other"`) + pack(t, `"requestId"`) + pack(t, `"r"`) + pack(t, `"type"`) + pack(t, `7`) +
		pack(t, `"opts"`) + pack(t, `{"rooms":[],"except":[],"flags":{"timeout":1000}}`) +
		pack(t, `"packet"`) + "\x81" + pack(t, `"data"`) + data
}

// TestRefusesEvents: what official clients would close their connection for reaches no member, by whichever way it comes,
// and is counted by reason. What they take arrives.
func TestRefusesEvents(t *testing.T) {
	t.Parallel()
	const like, payload, illegal, many = `{"_placeholder":true,"num":0}`, "invalid payload", "illegal attachments", "too many attachments"
	name := pack(t, `"a"`)
	eleven := make([]string, 12)
	for i := range eleven {
		eleven[i] = bin
	}
	eleven[0] = name
	tests := []struct{ name, data, reason, want string }{
		{"plain", pack(t, `["a",1]`), "", `["a",1] []`},
		{"number for a name", pack(t, `[5,1]`), "", `[5,1] []`},
		{"half an emoji and a bad byte", list(name, "\xa4caf\xe9"), "", "[\"a\",\"caf\uFFFD\"] []"},
		{"binary", list(name, bin, bin), "", `["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}] [7a 7a]`},
		{"ten", list(eleven[:11]...), "", ""},
		{"a map that looks like a placeholder", pack(t, `["a",`+like+`]`), "", `["a",` + like + `] []`},
		{"many of them", pack(t, `["a",`+like+`,[`+like+`]]`), "", `["a",` + like + `,[` + like + `]] []`},
		{"reserved name", pack(t, `["disconnect"]`), payload, ""},
		{"reserved name with arguments", pack(t, `["connect",1]`), payload, ""},
		{"no name", pack(t, `[]`), payload, ""},
		{"null for a name", pack(t, `[null,1]`), payload, ""},
		{"infinity for a name", list("\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00"), payload, ""},
		{"binary for a name", list(bin), payload, ""},
		{"list for a name", pack(t, `[["a"]]`), payload, ""},
		{"eleven", list(eleven...), many, ""},
		{"a map beside binary", list(name, bin, pack(t, like)), illegal, ""},
		{"a map before binary", list(name, pack(t, like), bin), illegal, ""},
		{"a map with a number out of range", list(name, bin, pack(t, `{"_placeholder":true,"num":7}`)), illegal, ""},
		{"a map with more members", list(name, bin, pack(t, `{"_placeholder":true,"num":0,"x":1}`)), illegal, ""},
		{"a map in a map", list(name, bin, pack(t, `{"a":[{"b":`+like+`}]}`)), illegal, ""},
		{"object", pack(t, `{"0":"a"}`), payload, ""},
	}
	for door, wrap := range map[string]func(*testing.T, string) string{"broadcast": broadcast, "question": question} {
		t.Run(door, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			channel, want := "socket.io#/#", map[string]uint64{}
			if door == "question" {
				channel = "socket.io-request#/#"
			}
			for _, tt := range tests {
				b.publish(channel, wrap(t, tt.data))
				if tt.reason != "" {
					want[tt.reason]++
					continue
				}
				if door == "question" {
					b.next() // the answer: nobody here acknowledges
				}
				if got := b.m.Next(t); tt.want != "" {
					if text := fmt.Sprintf("%s %x", got.Data, got.Attachments); text != tt.want {
						t.Errorf("%s: got %s, want %s", tt.name, text, tt.want)
					}
				}
			}
			b.fence(b.m)
			if got := b.driver.Stats().Malformed; !maps.Equal(got, want) || !b.m.Empty() {
				t.Errorf("counted %v, want %v", got, want)
			}
		})
	}
	t.Run("question as JSON", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		ask := func(data string) {
			b.publish("socket.io-request#/#", `{"uid":"other","requestId":"r","type":7,"opts":{"rooms":[],"except":[],"flags":{}},"packet":{"data":`+data+`}}`)
		}
		for _, data := range []string{`["disconnect"]`, `[]`, `[null]`, `"a"`} {
			ask(data)
		}
		ask("[\"caf\xe9\"]")
		b.next()
		if got := string(b.m.Next(t).Data); got != "[\"caf\uFFFD\"]" || !json.Valid([]byte(got)) {
			t.Errorf("got %q", got)
		}
		b.fence(b.m)
		if got, want := b.driver.Stats().Malformed, (map[string]uint64{payload: 4}); !maps.Equal(got, want) {
			t.Errorf("counted %v, want %v", got, want)
		}
	})
	t.Run("more attachments by choice", func(t *testing.T) {
		t.Parallel()
		server := testredis.Start(t)
		b := &bundle{server: server, driver: newDriver(t, redispubsub.Options{URL: server.URL(), MaxAttachments: 11})}
		b.a, b.m = newAdapter(t, b.driver)
		b.peer = newPeer(t, server)
		b.publish("socket.io#/#", broadcast(t, list(eleven...)))
		if n := len(b.m.Next(t).Attachments); n != 11 {
			t.Errorf("%d attachments", n)
		}
	})
}
