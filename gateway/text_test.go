package gateway_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/peal-dev/peal/gateway"
)

// TestTextDoors: text that is no Unicode comes in by every door of a node, as event name, argument, key and room. It is
// taken, and what a WebSocket client and an event stream beside it receive is UTF-8.
func TestTextDoors(t *testing.T) {
	t.Parallel()
	n := startNode(t, gateway.Config{Dev: true})
	listener, stream := n.connect("/", ""), n.stream("?room=a&room="+url.QueryEscape("caf\xe9"))
	listener.ask("subscribe", `["a","half\ud83d"]`)
	publisher := n.connect("/", "")
	poll := n.poll()
	defer poll("1") // closed: nothing has to be delivered to it at shutdown
	for _, bad := range []struct{ in, data, name string }{
		{`caf` + "\xe9", "caf\uFFFD", "caf\uFFFD"},
		{"\xf0\x9f\x98", "\uFFFD\uFFFD\uFFFD", "\uFFFD\uFFFD\uFFFD"},
		{`\ud83d`, `\ud83d`, "\uFFFD"}, // as JSON.stringify and json.dumps write half an emoji
		{`\ude00x`, `\ude00x`, "\uFFFDx"},
		{`é😀\ud83d\ude00`, `é😀\ud83d\ude00`, "é😀😀"},
	} {
		body := fmt.Sprintf(`{"rooms":["a"],"event":"%[1]s","args":["%[1]s",{"%[1]s":["%[1]s"]}]}`, bad.in)
		doors := map[string]func(){
			"HTTP":    func() { n.publish(body) },
			"polling": func() { poll(`42["publish",` + body + `]`) },
		}
		if utf8.ValidString(body) {
			doors["WebSocket"] = func() {
				if got := publisher.ask("publish", body); got != `{"ok":true}` {
					t.Errorf("%s: %s", body, got)
				}
			}
		}
		args := fmt.Sprintf(`["%[1]s",{"%[1]s":["%[1]s"]}]`, bad.data)
		for door, publish := range doors {
			publish()
			if got, want := listener.read(), fmt.Sprintf(`42["%s",%s`, bad.name, args[1:]); got != want || !utf8.ValidString(got) {
				t.Errorf("%q by %s: the socket got %q, want %q", bad.in, door, got, want)
			}
			got, err := stream.Next()
			if err != nil || got.Name != bad.name || got.Data != args || !utf8.ValidString(got.Data) {
				t.Errorf("%q by %s: the stream got %+v, %v, want %q %q", bad.in, door, got, err, bad.name, args)
			}
		}
	}
	// A room has one name, however its text was written.
	n.publish(`{"rooms":["half\ud83d"],"event":"to half"}`)
	listener.want(`42["to half"]`)
	n.publish("{\"rooms\":[\"half\xff\"],\"event\":\"to half again\"}")
	listener.want(`42["to half again"]`)
	n.publish("{\"rooms\":[\"caf\xe9\"],\"event\":\"to café\"}")
	wantEvent(t, stream, "to café", "[]")
}

// TestBinaryDoor: a client publishes binary data only inside the arguments, each part once, and nothing that others could
// take for more.
func TestBinaryDoor(t *testing.T) {
	t.Parallel()
	n := startNode(t, gateway.Config{Dev: true})
	listener, stream := n.connect("/", ""), n.stream("?room=a")
	listener.ask("subscribe", `"a"`)
	publisher := n.connect("/", "")
	const p0 = `{"_placeholder":true,"num":0}`
	publish := func(count int, body string) string {
		publisher.acks++
		publisher.write(fmt.Sprintf("45%d-%d[\"publish\",%s]", count, publisher.acks, body))
		for range count {
			publisher.writeBinary([]byte("z"))
		}
		return publisher.ack()
	}
	if got := publish(1, `{"rooms":["a"],"event":"e","args":[`+p0+`]}`); got != `{"ok":true}` {
		t.Errorf("binary in args: %s", got)
	}
	listener.want(`451-["e",` + p0 + `]`)
	listener.want(`binary "z"`)
	wantEvent(t, stream, "e", `["eg=="]`)
	for _, body := range []string{
		`{"rooms":[` + p0 + `],"event":"e","args":[]}`,
		`{"rooms":["a"],"event":` + p0 + `,"args":[]}`,
	} {
		if code, _ := errorOf(t, publish(1, body)); code != gateway.CodeInvalidRequest {
			t.Errorf("%s: %s", body, code)
		}
	}
	// Without attachments it is data like any other.
	like := `{"rooms":["a"],"event":"e","args":[` + p0 + `,` + p0 + `]}`
	n.publish(like)
	listener.want(`42["e",` + p0 + `,` + p0 + `]`)
	wantEvent(t, stream, "e", `[`+p0+`,`+p0+`]`)
	// One attachment by many placeholders: a small message that would become a huge one ends its sender only.
	bomb := strings.TrimSuffix(strings.Repeat(p0+",", 1000), ",")
	publisher.write(`451-["publish",{"rooms":["a"],"event":"e","args":[` + bomb + `]}]`)
	publisher.wantClosed()
	n.publish(`{"rooms":["a"],"event":"alive"}`)
	listener.want(`42["alive"]`)
	wantEvent(t, stream, "alive", "[]")
}
