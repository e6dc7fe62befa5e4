package engineio_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/peal-dev/peal/engineio"
)

func TestHandshakeKeepsTheHeadersThatAreNeeded(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	filler := func(n int) (headers []string) {
		for i := range n {
			headers = append(headers, fmt.Sprintf("X-%d", i), strings.Repeat("a", 1000))
		}
		return headers
	}
	for _, tt := range []struct {
		name       string
		headers    []string
		kept, left []string
	}{
		{"the usual", []string{"Cookie", "a=b", "X-Mine", "me"}, []string{"Cookie", "X-Mine", "User-Agent", "Host"}, nil},
		{"sixty thousand bytes of others", append(filler(60), "Cookie", "a=b", "Authorization", "Bearer t", "X-Mine", "me"),
			[]string{"Cookie", "Authorization", "X-Mine", "User-Agent", "Host"}, []string{"X-59"}},
		{"many of one name", []string{"X-Mine", "me", "Accept", strings.Repeat("b", 5000), "Origin", f.origin()}, []string{"X-Mine", "Origin", "Host"}, []string{"Accept"}},
		{"a cookie that is too long", []string{"Cookie", strings.Repeat("c", 5000), "X-Mine", "me"}, []string{"X-Mine", "Host"}, []string{"Cookie"}},
		{"a cookie that just fits", []string{"Cookie", strings.Repeat("c", 3900), "X-Mine", strings.Repeat("m", 200)}, []string{"Cookie", "Host"}, []string{"X-Mine"}},
	} {
		for _, transport := range []string{"polling", "websocket"} {
			headers := tt.headers
			if transport == "websocket" {
				headers = append([]string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13",
					"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}, headers...)
			}
			c := f.raw("EIO=4&transport="+transport, headers...)
			h := receive(t, f.sessions).Handshake().Header()
			c.Close()
			size := 0
			for name, values := range h {
				for _, v := range values {
					size += len(name) + len(v)
				}
			}
			if size > engineio.DefaultHeaderLimit {
				t.Errorf("%s: %d bytes are kept", tt.name, size)
			}
			for _, name := range tt.kept {
				if h.Get(name) == "" {
					t.Errorf("%s on %s: %s is missing", tt.name, transport, name)
				}
			}
			for _, name := range tt.left {
				if h.Get(name) != "" {
					t.Errorf("%s on %s: %s was kept", tt.name, transport, name)
				}
			}
		}
	}
}

func TestHandshakeRefusesALongURL(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	f.parseOpen(f.do("GET", "EIO=4&transport=polling&token="+strings.Repeat("t", 3900), "").body)
	f.expect(f.do("GET", "EIO=4&transport=polling&token="+strings.Repeat("t", 5000), ""), 400, `{"code":3,"message":"Bad request"}`)
	if n := f.server.Len(); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

func TestOnlyAHandshakeThatOpensASessionSetsTheCookie(t *testing.T) {
	t.Parallel()
	f := start(t, &engineio.Options{Cookie: &http.Cookie{}})
	upgrade := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key"}
	for _, tt := range []struct {
		name, query string
		headers     []string
		want        bool
	}{
		{"polling", "EIO=4&transport=polling", nil, true},
		{"WebSocket", "EIO=4&transport=websocket", append(upgrade, "dGhlIHNhbXBsZSBub25jZQ=="), true},
		{"bad key", "EIO=4&transport=websocket", append(upgrade, "short"), false},
		{"upgrade to polling", "EIO=4&transport=polling", append(upgrade, "dGhlIHNhbXBsZSBub25jZQ=="), false},
		{"other protocol", "EIO=3&transport=polling", nil, false},
	} {
		if a := f.answerHead(tt.query, tt.headers...); strings.Contains(a, "\r\nSet-Cookie: io=") != tt.want {
			t.Errorf("%s: %q", tt.name, a)
		}
	}
	for s := range engineio.Sessions(f.server) {
		s.Close()
	}
	if err := f.server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ query, key string }{{"EIO=4&transport=polling", ""}, {"EIO=4&transport=websocket", "dGhlIHNhbXBsZSBub25jZQ=="}} {
		var headers []string
		if tt.key != "" {
			headers = append(upgrade, tt.key)
		}
		if a := f.answerHead(tt.query, headers...); strings.Contains(a, "200 OK") || tt.key == "" && strings.Contains(a, "Set-Cookie") {
			t.Errorf("after the shutdown: %q", a)
		}
	}
}

// lines is a log that is kept.
type lines struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

// TestLogsDoNotTellSessionIDs makes all the requests that are logged, at the finest level.
func TestLogsDoNotTellSessionIDs(t *testing.T) {
	t.Parallel()
	log := new(lines)
	f := start(t, &engineio.Options{Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	p := f.openPolling()
	for _, query := range []string{p.query + "&EIO=3", "EIO=4&transport=websocket&sid=" + p.sid, "EIO=4&transport=nothing&sid=" + p.sid, p.query + "x"} {
		f.do("GET", query, "")
	}
	f.do("PUT", p.query, "x")
	p.post("no packet")
	f.do("GET", p.query, "")
	slog.New(slog.NewTextHandler(log, nil)).Info("a session", "session", receive(t, f.sessions))
	log.mu.Lock()
	defer log.mu.Unlock()
	if text := log.String(); !strings.Contains(text, "refused") || strings.Contains(text, p.sid) {
		t.Errorf("the log tells %s:\n%s", p.sid, text)
	}
}
