package engineio_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/peal-dev/peal/admission"
	"github.com/peal-dev/peal/engineio"
)

const tooMany = `{"code":6,"message":"Too many connections"}`

func TestAdmission(t *testing.T) {
	t.Parallel()
	gate := admission.New(admission.Limits{Connections: 3})
	f := start(t, &engineio.Options{Admission: gate})
	p, ws := f.openPolling(), f.openWebSocket()
	upgraded := f.openPolling().upgrade() // counts once
	f.expect(f.do("GET", "EIO=4&transport=polling", ""), 503, tooMany)
	head := f.answerHead("EIO=4&transport=websocket", "Connection", "Upgrade", "Upgrade", "websocket",
		"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	if !strings.HasPrefix(head, "HTTP/1.1 503 ") || !strings.Contains(head, "Retry-After: ") {
		t.Errorf("a WebSocket got %q", head)
	}
	p.post("4those inside are served")
	f.expect(p.poll(), 200, "4those inside are served")
	for _, leave := range []func(){func() { p.post("1"); p.poll() }, func() { _ = ws.conn.CloseNow() }, func() { _ = upgraded.conn.CloseNow() }} {
		leave()
		receive(t, f.ends)
		ws = f.openWebSocket() // its place is free
	}
	f.expect(f.do("GET", "EIO=4&transport=polling", ""), 503, tooMany)
	if got := gate.Stats().Connections; got != 3 || f.server.Stats().Refused["too_many_clients"] != 3 {
		t.Errorf("%d connections, refused %v", got, f.server.Stats().Refused)
	}
}

func TestAdmissionByAddress(t *testing.T) {
	t.Parallel()
	gate := admission.New(admission.Limits{PerAddress: 1})
	f := start(t, &engineio.Options{Admission: gate})
	p := f.openPolling()
	f.expect(f.do("GET", "EIO=4&transport=polling", ""), 429, tooMany)
	p.post("1")
	p.poll()
	f.openPolling()
}

// TestWhatOpensNoSessionTakesNoPlace lets every kind of handshake fail.
func TestWhatOpensNoSessionTakesNoPlace(t *testing.T) {
	t.Parallel()
	gate := admission.New(admission.Limits{})
	f := start(t, &engineio.Options{Admission: gate, Pending: true, AllowRequest: func(r *http.Request) error {
		if r.URL.Query().Has("deny") {
			return errors.New("no entry")
		}
		return nil
	}})
	key := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key"}
	all := func() {
		for _, query := range []string{"EIO=3&transport=polling", "EIO=4&transport=polling&deny=1", "EIO=4&transport=websocket", "EIO=4&transport=polling&j=1",
			"EIO=4&transport=polling&x=" + strings.Repeat("x", 5000)} {
			f.do("GET", query, "")
			f.answerHead(query+"&deny=1", append(key, "dGhlIHNhbXBsZSBub25jZQ==")...)
		}
		f.do("POST", "EIO=4&transport=polling", "x")
		f.answerHead("EIO=4&transport=websocket", append(key, "short")...)
		f.answerHead("EIO=4&transport=polling", append(key, "dGhlIHNhbXBsZSBub25jZQ==")...)
	}
	// A place is given back when the handler returns, which is after its answer.
	empty := func() {
		t.Helper()
		f.await("a place is kept for nobody", func() bool { return gate.Stats() == admission.Stats{} })
	}
	all()
	empty()
	f.openPolling()
	f.openWebSocket()
	if got := gate.Stats(); got != (admission.Stats{Connections: 2, Pending: 2}) {
		t.Errorf("%+v with two sessions", got)
	}
	if err := f.server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	all()
	f.do("GET", "EIO=4&transport=polling", "")
	f.answerHead("EIO=4&transport=websocket", append(key, "dGhlIHNhbXBsZSBub25jZQ==")...)
	empty()
}

func TestPendingSessions(t *testing.T) {
	t.Parallel()
	gate := admission.New(admission.Limits{Connections: 4, Pending: 1})
	f := start(t, &engineio.Options{Admission: gate, Pending: true})
	expect := func(open, pending int) {
		t.Helper()
		if got := gate.Stats(); got.Connections != open || got.Pending != pending {
			t.Errorf("%+v, want %d and %d", got, open, pending)
		}
	}
	f.openPolling()
	s := receive(t, f.sessions)
	f.expect(f.do("GET", "EIO=4&transport=polling", ""), 503, tooMany)
	s.Settle()
	s.Settle() // once is enough
	expect(1, 0)
	f.openWebSocket()
	expect(2, 1)
	other := receive(t, f.sessions)
	other.CloseWith(engineio.TransportError, nil)
	f.ended(engineio.TransportError)
	other.Settle() // too late to count
	expect(1, 0)
	s.CloseWith(engineio.TransportError, nil)
	f.ended(engineio.TransportError)
	expect(0, 0)
	if n := f.server.Stats().Refused["too_many_pending"]; n != 1 {
		t.Errorf("counted %v", f.server.Stats().Refused)
	}
}
