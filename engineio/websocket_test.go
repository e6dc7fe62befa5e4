package engineio_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/peal-dev/peal/engineio"
)

// both runs a test on polled and on goroutine-driven connections.
func both(t *testing.T, opts engineio.Options, test func(t *testing.T, f *fixture)) {
	t.Helper()
	for _, goroutines := range []bool{false, true} {
		t.Run(fmt.Sprintf("goroutines=%v", goroutines), func(t *testing.T) {
			t.Parallel()
			opts := opts
			opts.Goroutines = goroutines
			test(t, start(t, &opts))
		})
	}
}

func TestWebSocketHandshake(t *testing.T) {
	t.Parallel()
	both(t, engineio.Options{}, func(t *testing.T, f *fixture) {
		c := f.dial("EIO=4&transport=websocket")
		o := f.parseOpen(c.read())
		if len(o.SID) != 20 || len(o.Upgrades) != 0 || o.PingInterval != 25_000 || o.PingTimeout != 20_000 || o.MaxPayload != 1_000_000 {
			t.Errorf("got %+v", o)
		}
		s := receive(t, f.sessions)
		if s.ID() != o.SID || s.Transport() != engineio.WebSocket || f.server.Len() != 1 {
			t.Errorf("session %s on %s, %d in all", s.ID(), s.Transport(), f.server.Len())
		}
	})
}

func TestWebSocketEcho(t *testing.T) {
	t.Parallel()
	both(t, engineio.Options{}, func(t *testing.T, f *fixture) {
		c := f.openWebSocket()
		for i := range 500 {
			c.send(fmt.Sprintf("4hello %d", i))
		}
		for i := range 500 {
			if got, want := c.read(), fmt.Sprintf("4hello %d", i); got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
		c.write(websocket.MessageBinary, []byte{0, 1, 2, 255})
		if got := c.read(); got != "\x00\x01\x02\xff" {
			t.Errorf("binary came back as %q", got)
		}
		c.send("bAQID")
		if got := c.read(); got != "\x01\x02\x03" {
			t.Errorf("base64 came back as %q", got)
		}
		big := strings.Repeat("x", 999_999)
		c.send("4" + big)
		if got := c.read(); got != "4"+big {
			t.Errorf("the largest message came back with %d bytes", len(got))
		}
		if err := c.conn.Close(websocket.StatusNormalClosure, ""); err != nil {
			t.Errorf("close: %v", err)
		}
		f.ended(engineio.TransportClose)
	})
}

func TestWebSocketBadInput(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		kind   websocket.MessageType
		data   string
		code   websocket.StatusCode
		reason engineio.Reason
	}{
		{"unknown packet type", websocket.MessageText, "abc", websocket.StatusNoStatusRcvd, engineio.ParseError},
		{"packet type 7", websocket.MessageText, "7", websocket.StatusNoStatusRcvd, engineio.ParseError},
		{"empty packet", websocket.MessageText, "", websocket.StatusNoStatusRcvd, engineio.ParseError},
		{"bad base64", websocket.MessageText, "b!", websocket.StatusNoStatusRcvd, engineio.ParseError},
		{"ping by the client", websocket.MessageText, "2", websocket.StatusNoStatusRcvd, engineio.TransportError},
		{"close packet", websocket.MessageText, "1", websocket.StatusNoStatusRcvd, engineio.TransportClose},
		{"oversize", websocket.MessageText, "4" + strings.Repeat("x", 1_000_000), websocket.StatusMessageTooBig, engineio.TransportError},
		{"text not UTF-8", websocket.MessageText, "4\xff", websocket.StatusInvalidFramePayloadData, engineio.TransportError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			both(t, engineio.Options{}, func(t *testing.T, f *fixture) {
				other := f.openWebSocket()
				c := f.openWebSocket()
				c.write(tt.kind, []byte(tt.data))
				if got := c.closeCode(); got != tt.code {
					t.Errorf("closed with %d, want %d", got, tt.code)
				}
				f.ended(tt.reason)
				other.send("4still here")
				if got := other.read(); got != "4still here" {
					t.Errorf("another client got %q", got)
				}
			})
		})
	}
}

func TestWebSocketIgnoresPacketsOfTheServer(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	c := f.openWebSocket()
	for _, packet := range []string{"0", "5", "6", "3"} {
		c.send(packet)
	}
	c.send("4alive")
	if got := c.read(); got != "4alive" {
		t.Errorf("got %q", got)
	}
}

func TestWebSocketHandshakeRefused(t *testing.T) {
	t.Parallel()
	f := start(t, &engineio.Options{AllowRequest: func(r *http.Request) error {
		if r.URL.Query().Has("deny") {
			return fmt.Errorf("not today")
		}
		return nil
	}})
	upgrade := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}
	for _, tt := range []struct {
		name, query string
		headers     []string
		status      int
		body        string
	}{
		{"protocol 3", "EIO=3&transport=websocket", nil, 400, "Unsupported protocol version"},
		{"no protocol", "transport=websocket", nil, 400, "Unsupported protocol version"},
		{"transport", "EIO=4&transport=abc", nil, 400, "Transport unknown"},
		{"transport of the prototype", "EIO=4&transport=__proto__", nil, 400, "Transport unknown"},
		{"session", "EIO=4&transport=websocket&sid=nobody", nil, 400, "Session ID unknown"},
		{"denied", "EIO=4&transport=websocket&deny=1", nil, 403, "not today"},
		{"another site", "EIO=4&transport=websocket", []string{"Origin", "https://evil.example"}, 403, "Forbidden"},
		{"bad key", "EIO=4&transport=websocket", []string{"Sec-WebSocket-Key", "short"}, 400, "Missing or invalid Sec-WebSocket-Version or Sec-WebSocket-Key header"},
		{"bad version", "EIO=4&transport=websocket", []string{"Sec-WebSocket-Version", "8"}, 400, "Missing or invalid Sec-WebSocket-Version or Sec-WebSocket-Key header"},
	} {
		a := f.do("GET", tt.query, "", append(append([]string(nil), upgrade...), tt.headers...)...)
		if a.status != tt.status || a.body != tt.body {
			t.Errorf("%s: got %d %q, want %d %q", tt.name, a.status, a.body, tt.status, tt.body)
		}
	}
	if n := f.server.Len(); n != 0 {
		t.Errorf("%d sessions were opened", n)
	}
}

func TestUpgradeRequestForPollingIsClosed(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	if got := f.dial("EIO=4&transport=polling").closeCode(); got != websocket.StatusNoStatusRcvd {
		t.Errorf("closed with %d", got)
	}
}

func TestWebSocketBinaryAsBase64(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	c := f.dial("EIO=4&transport=websocket&b64=1")
	c.read()
	c.write(websocket.MessageBinary, []byte{1, 2, 3})
	if got := c.read(); got != "bAQID" {
		t.Errorf("got %q", got)
	}
}

func TestSameOriginAndAllowedOriginsMayConnect(t *testing.T) {
	t.Parallel()
	f := start(t, &engineio.Options{CORS: &engineio.CORS{AllowOrigins: []string{"https://app.example"}}})
	for _, origin := range []string{"https://app.example", strings.TrimSuffix(f.url, "/engine.io/")} {
		a := f.do("GET", "EIO=4&transport=websocket", "", "Connection", "Upgrade", "Upgrade", "websocket",
			"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "bad", "Origin", origin)
		if a.status == http.StatusForbidden {
			t.Errorf("origin %s was refused", origin)
		}
	}
}

func TestHeartbeat(t *testing.T) {
	t.Parallel()
	both(t, engineio.Options{PingInterval: 50 * time.Millisecond, PingTimeout: time.Second}, func(t *testing.T, f *fixture) {
		c := f.openWebSocket()
		for range 5 {
			if got := c.read(); got != "2" {
				t.Fatalf("got %q, want a ping", got)
			}
			c.send("3")
		}
		f.ended(engineio.PingTimeout) // nobody answers any more
		if got := c.closeCode(); got != websocket.StatusNoStatusRcvd {
			t.Errorf("closed with %d", got)
		}
	})
}

func TestHeartbeatSurvivesAnUpgrade(t *testing.T) {
	t.Parallel()
	f := start(t, &engineio.Options{PingInterval: 50 * time.Millisecond, PingTimeout: 100 * time.Millisecond})
	p := f.openPolling()
	if got := p.poll().body; got != "2" { // a ping without a pong, then the upgrade
		t.Fatalf("got %q, want a ping", got)
	}
	c := f.dial("EIO=4&transport=websocket&sid=" + p.sid)
	c.send("2probe")
	c.send("5")
	f.ended(engineio.PingTimeout)
}

func TestServerClose(t *testing.T) {
	t.Parallel()
	both(t, engineio.Options{}, func(t *testing.T, f *fixture) {
		c := f.openWebSocket()
		s := receive(t, f.sessions)
		if err := s.Send(engineio.Prepare(engineio.Message{Data: []byte("last")}), engineio.Deferred); err != nil {
			t.Fatal(err)
		}
		s.Close()
		if got := c.read(); got != "4last" {
			t.Errorf("got %q before the close", got)
		}
		if got := c.closeCode(); got != websocket.StatusNoStatusRcvd {
			t.Errorf("closed with %d", got)
		}
		f.ended(engineio.ForcedClose)
		if err := s.Send(engineio.Prepare(engineio.Message{}), 0); err != engineio.ErrClosed {
			t.Errorf("send after close: %v", err)
		}
		s.Close()
		if n := f.server.Len(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
}

func TestCookieOnBothHandshakes(t *testing.T) {
	t.Parallel()
	f := start(t, &engineio.Options{Cookie: &http.Cookie{HttpOnly: true, SameSite: http.SameSiteLaxMode}})
	a := f.do("GET", "EIO=4&transport=polling", "")
	sid := f.parseOpen(a.body).SID
	if got, want := a.header.Get("Set-Cookie"), "io="+sid+"; Path=/; HttpOnly; SameSite=Lax"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	ctx := t.Context()
	conn, resp, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(f.url, "http")+"?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow() // the test is over
	if got := resp.Header.Get("Set-Cookie"); !strings.HasPrefix(got, "io=") {
		t.Errorf("the WebSocket handshake set the cookie %q", got)
	}
}
