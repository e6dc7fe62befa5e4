package engineio_test

import (
	"testing"

	"github.com/peal-dev/peal/engineio"
)

// TestTextIsUnicode: text of a polling client that is no UTF-8 is taken, and text of the program that is none leaves as
// UTF-8 by either transport. A WebSocket client would close at the first byte that is not.
func TestTextIsUnicode(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	p := f.openPolling()
	polled := receive(t, f.sessions)
	p.expect(p.post("4caf\xe9\x1e4\xff"), 200, "ok")
	p.expect(p.poll(), 200, "4caf\uFFFD\x1e4\uFFFD")

	c := f.openWebSocket()
	socket := receive(t, f.sessions)
	headroom := make([]byte, engineio.Headroom)
	for name, made := range map[string]*engineio.Prepared{
		"Prepare":     engineio.Prepare(engineio.Message{Data: []byte("caf\xe9")}),
		"PrepareText": engineio.PrepareText(append(headroom, "caf\xe9"...)),
	} {
		if err := socket.Send(made, 0); err != nil {
			t.Fatal(err)
		}
		if got := c.read(); got != "4caf\uFFFD" {
			t.Errorf("%s: a WebSocket got %q", name, got)
		}
		if err := polled.Send(made, 0); err != nil {
			t.Fatal(err)
		}
		p.expect(p.poll(), 200, "4caf\uFFFD")
	}
	// Binary is what it is.
	if err := polled.Send(engineio.Prepare(engineio.Message{Binary: true, Data: []byte("caf\xe9")}), 0); err != nil {
		t.Fatal(err)
	}
	p.expect(p.poll(), 200, "bY2Fm6Q==")
}
