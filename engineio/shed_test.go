package engineio_test

import (
	"strings"
	"testing"

	"github.com/peal-dev/peal/engineio"
)

// TestShed sends some of the sessions away, with all that was sent to them; the others stay, and new ones come.
func TestShed(t *testing.T) {
	t.Parallel()
	both(t, engineio.Options{}, func(t *testing.T, f *fixture) {
		if n := f.server.Shed(3); n != 0 {
			t.Errorf("nobody is there, and %d were sent away", n)
		}
		ws, polling := f.openWebSocket(), f.openPolling()
		first, second := receive(t, f.sessions), receive(t, f.sessions)
		for _, s := range []*engineio.Session{first, second} {
			if err := s.Send(engineio.Prepare(engineio.Message{Data: []byte("last")}), engineio.Deferred); err != nil {
				t.Fatal(err)
			}
		}
		if n := f.server.Shed(1); n != 1 || f.server.Len() != 1 {
			t.Errorf("%d were sent away, %d are left", n, f.server.Len())
		}
		f.ended(engineio.Moved)
		if n := f.server.Shed(-1) + f.server.Shed(0); n != 0 {
			t.Errorf("%d were sent away, and none should be", n)
		}
		// One that leaves is not counted again.
		if n := f.server.Shed(5); n != 1 || f.server.Len() != 0 {
			t.Errorf("%d were sent away, %d are left", n, f.server.Len())
		}
		f.ended(engineio.Moved)
		got := polling.poll()
		if !strings.HasSuffix(got.body, "1") { // the end of the session is told by the next
			got.body += "\x1e" + polling.poll().body
		}
		if got.body != "4last\x1e1" && got.body != "4last\x1e6\x1e1" {
			t.Errorf("polling: %q", got.body)
		}
		if got := ws.read(); got != "4last" {
			t.Errorf("WebSocket: %q", got)
		}
		if code := ws.closeCode(); code == -1 {
			t.Error("the WebSocket was not closed in good order")
		}
		f.openWebSocket()
	})
}
