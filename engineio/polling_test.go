package engineio_test

import (
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/engineio"
)

func TestPollingHandshake(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	a := f.do("GET", "EIO=4&transport=polling", "")
	o := f.parseOpen(a.body)
	if a.status != 200 || len(o.SID) != 20 || fmt.Sprint(o.Upgrades) != "[websocket]" || o.MaxPayload != 1_000_000 {
		t.Errorf("got %d %+v", a.status, o)
	}
	if !strings.HasPrefix(a.body, `0{"sid":"`+o.SID+`","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`) {
		t.Errorf("the keys are not in the reference's order: %s", a.body)
	}
	if ct, cc := a.header.Get("Content-Type"), a.header.Get("Cache-Control"); ct != "text/plain; charset=UTF-8" || cc != "no-store" {
		t.Errorf("Content-Type %q, Cache-Control %q", ct, cc)
	}
	s := receive(t, f.sessions)
	h := s.Handshake()
	if s.Transport() != engineio.Polling || h.Query().Get("EIO") != "4" || h.Header().Get("User-Agent") == "" || h.RemoteAddr() == "" || h.Secure() || h.XDomain() || h.Time().IsZero() {
		t.Errorf("handshake %+v", h)
	}
	if h.URL() != "/engine.io/?EIO=4&transport=polling" {
		t.Errorf("URL %q", h.URL())
	}
}

func TestPathIsAPrefixAndTheLastValueOfAQueryCounts(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	f.url += "foo"
	f.parseOpen(f.do("GET", "EIO=4&transport=abc&transport=polling", "").body)
}

func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	var seen []*engineio.ConnectionError
	f := start(t, &engineio.Options{
		OnError: func(e *engineio.ConnectionError) { seen = append(seen, e) },
		AllowRequest: func(r *http.Request) error {
			if r.URL.Query().Has("deny") {
				return errors.New("no entry")
			}
			return nil
		},
	})
	p := f.openPolling()
	for _, tt := range []struct {
		method, query, body string
		status              int
		answer              string
	}{
		{"GET", "EIO=4", "", 400, `{"code":0,"message":"Transport unknown"}`},
		{"GET", "EIO=4&transport=abc", "", 400, `{"code":0,"message":"Transport unknown"}`},
		{"GET", "EIO=4&transport=__proto__", "", 400, `{"code":0,"message":"Transport unknown"}`},
		{"GET", "EIO=4&transport=constructor", "", 400, `{"code":0,"message":"Transport unknown"}`},
		{"GET", "EIO=4&transport=webtransport", "", 400, `{"code":0,"message":"Transport unknown"}`},
		{"GET", "EIO=4&transport=polling&sid=nobody", "", 400, `{"code":1,"message":"Session ID unknown"}`},
		{"GET", "EIO=4&transport=polling&sid=__proto__", "", 400, `{"code":1,"message":"Session ID unknown"}`},
		{"POST", "EIO=4&transport=polling&sid=nobody", "4x", 400, `{"code":1,"message":"Session ID unknown"}`},
		{"POST", "EIO=4&transport=polling", "4x", 400, `{"code":2,"message":"Bad handshake method"}`},
		{"PUT", "EIO=4&transport=polling", "", 400, `{"code":2,"message":"Bad handshake method"}`},
		{"OPTIONS", "EIO=4&transport=polling", "", 400, `{"code":2,"message":"Bad handshake method"}`},
		{"GET", "EIO=4&transport=websocket", "", 400, `{"code":3,"message":"Bad request"}`},
		{"GET", "EIO=4&transport=websocket&sid=" + p.sid, "", 400, `{"code":3,"message":"Bad request"}`},
		{"GET", "EIO=3&transport=polling&sid=" + p.sid, "", 400, `{"code":3,"message":"Bad request"}`},
		{"GET", "EIO=4&transport=polling&deny=1", "", 403, `{"code":4,"message":"no entry"}`},
		{"GET", "transport=polling", "", 400, `{"code":5,"message":"Unsupported protocol version"}`},
		{"GET", "EIO=3&transport=polling", "", 400, `{"code":5,"message":"Unsupported protocol version"}`},
		{"GET", "EIO=abc&transport=polling", "", 400, `{"code":5,"message":"Unsupported protocol version"}`},
	} {
		seen = nil
		a := f.do(tt.method, tt.query, tt.body)
		f.expect(a, tt.status, tt.answer)
		if a.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: Content-Type %q", tt.query, a.header.Get("Content-Type"))
		}
		if len(seen) != 1 || seen[0].Request == nil || !strings.Contains(seen[0].Error(), seen[0].Message) {
			t.Errorf("%s: OnError was told %v", tt.query, seen)
		}
	}
	p.post("4alive")
	f.expect(p.poll(), 200, "4alive")
}

func TestOriginWithControlCharacters(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(f.url, "http://"), "/engine.io/"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nOrigin: http://a\x01b\r\nConnection: close\r\n\r\n")
	got, _ := io.ReadAll(conn)
	if !strings.HasPrefix(string(got), "HTTP/1.1 400") || f.server.Len() != 0 {
		t.Errorf("got %q", got)
	}
}

func TestPollingMessages(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	p := f.openPolling()
	a := p.post("4one\x1e4two\x1ebAQIDBA==")
	f.expect(a, 200, "ok")
	if a.header.Get("Content-Type") != "text/html" {
		t.Errorf("Content-Type %q", a.header.Get("Content-Type"))
	}
	f.expect(p.poll(), 200, "4one\x1e4two\x1ebAQIDBA==")
	parked := p.pollAsync()
	p.post("4three")
	f.expect(receive(t, parked), 200, "4three")
	p.post("0\x1e5\x1e6\x1e4four") // packets only a server sends mean nothing
	f.expect(p.poll(), 200, "4four")
}

func TestPollingBadInput(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body, contentType string
		status                  int
		answer                  string
		reason                  engineio.Reason
	}{
		{"unknown type", "abc", "text/plain", 200, "ok", engineio.ParseError},
		{"type 7", "7", "text/plain", 200, "ok", engineio.ParseError},
		{"empty body", "", "text/plain", 200, "ok", engineio.ParseError},
		{"empty packet", "4a\x1e\x1e4b", "text/plain", 200, "ok", engineio.ParseError},
		{"bad base64", "b!", "text/plain", 200, "ok", engineio.ParseError},
		{"ping by the client", "2", "text/plain", 200, "ok", engineio.TransportError},
		{"close", "1", "text/plain", 200, "ok", engineio.TransportClose},
		{"binary", "4a", "application/octet-stream", 400, "", engineio.TransportError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, nil)
			other, p := f.openPolling(), f.openPolling()
			f.expect(f.do("POST", p.query, tt.body, "Content-Type", tt.contentType), tt.status, tt.answer)
			f.ended(tt.reason)
			if tt.reason == engineio.TransportClose { // a poll may have been on its way when the client closed
				f.expect(p.poll(), 200, "6")
			}
			if got := p.poll().status; got != 400 {
				t.Errorf("a poll after the end got %d", got)
			}
			other.post("4fine")
			f.expect(other.poll(), 200, "4fine")
		})
	}
}

func TestPacketsBeforeABadOneAreDelivered(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	f.openPolling().post("4good\x1e9\x1e4never")
	f.ended(engineio.ParseError)
	if got := receive(t, f.messages); string(got.Data) != "good" || len(f.messages) != 0 {
		t.Errorf("got %q and %d more", got.Data, len(f.messages))
	}
}

func TestOversizePostKeepsTheSession(t *testing.T) {
	t.Parallel()
	f := start(t, &engineio.Options{MaxPayload: 100})
	p := f.openPolling()
	if got := p.post("4" + strings.Repeat("x", 100)).status; got != http.StatusRequestEntityTooLarge {
		t.Errorf("101 bytes got %d", got)
	}
	exact := "4" + strings.Repeat("x", 99)
	f.expect(p.post(exact), 200, "ok")
	f.expect(p.poll(), 200, exact)
}

func TestOtherMethodsKeepTheSession(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	p := f.openPolling()
	for _, method := range []string{"PUT", "DELETE", "PATCH", "HEAD"} {
		if a := f.do(method, p.query, ""); a.status != 405 || a.header.Get("Allow") != "GET, POST" {
			t.Errorf("%s got %d, Allow %q", method, a.status, a.header.Get("Allow"))
		}
	}
	p.post("4alive")
	f.expect(p.poll(), 200, "4alive")
}

func TestOverlappingPolls(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	p := f.openPolling()
	// Which of the two comes first is for the scheduler to say; one is answered with a close packet and one refused.
	first, second := p.pollAsync(), p.pollAsync()
	a, b := receive(t, first), receive(t, second)
	if a.status != 200 {
		a, b = b, a
	}
	f.expect(a, 200, "1")
	f.expect(b, 400, "")
	f.ended(engineio.TransportError)
	if got := p.poll().status; got != 400 {
		t.Errorf("a poll after that got %d", got)
	}
}

func TestOverlappingPosts(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	p := f.openPolling()
	body, feed := io.Pipe()
	done := make(chan int, 1)
	go func() {
		req, _ := http.NewRequest("POST", f.url+"?"+p.query, body)
		resp, err := f.client.Do(req)
		if err != nil {
			done <- 0
			return
		}
		resp.Body.Close()
		done <- resp.StatusCode
	}()
	fmt.Fprint(feed, "4half")
	// The first POST is under way once the server has its headers, which this side cannot see: the second one finds out.
	for p.post("4x").status == 200 {
		if len(f.ends) > 0 {
			break
		}
	}
	f.ended(engineio.TransportError)
	feed.Close()
	receive(t, done)
}

func TestAbortedPollEndsTheSession(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	p := f.openPolling()
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(f.url, "http://"), "/engine.io/"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /engine.io/?%s HTTP/1.1\r\nHost: x\r\n\r\n", p.query)
	conn.Close()
	f.ended(engineio.TransportError)
}

func TestClientCloseAnswersThePollWithANoop(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	p := f.openPolling()
	parked := p.pollAsync()
	f.parked(p)
	f.expect(p.post("1"), 200, "ok")
	f.expect(receive(t, parked), 200, "6")
	f.ended(engineio.TransportClose)
}

// parked returns the session of p's client once its poll waits at the server.
func (f *fixture) parked(p *poller) *engineio.Session {
	f.Helper()
	s := receive(f, f.sessions)
	for s.ID() != p.sid { // another client's
		s = receive(f, f.sessions)
	}
	f.await("no poll waits at the server", func() bool { return engineio.Parked(s) })
	return s
}

// await looks until something is so that nobody tells of.
func (f *fixture) await(otherwise string, so func() bool) {
	f.Helper()
	tick, timeout := time.NewTicker(time.Millisecond), time.After(wait)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-timeout:
			f.Fatal(otherwise)
		}
	}
}

func TestServerCloseOnPolling(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	p := f.openPolling()
	receive(t, f.sessions).Close()
	f.ended(engineio.ForcedClose)
	f.expect(p.poll(), 200, "6\x1e1")
	if got := p.poll().status; got != 400 {
		t.Errorf("the next poll got %d", got)
	}

	p = f.openPolling()
	parked := p.pollAsync()
	f.parked(p).Close()
	f.expect(receive(t, parked), 200, "1")
	f.ended(engineio.ForcedClose)

	p = f.openPolling()
	s := receive(t, f.sessions)
	if err := s.Send(engineio.Prepare(engineio.Message{Data: []byte("last")}), 0); err != nil {
		t.Fatal(err)
	}
	s.Close()
	f.ended(engineio.ForcedClose)
	f.expect(p.poll(), 200, "4last")
	f.expect(p.poll(), 200, "1")
	if got := p.poll().status; got != 400 {
		t.Errorf("the poll after the last got %d", got)
	}
}

func TestJSONP(t *testing.T) {
	t.Parallel()
	f := start(t, &engineio.Options{JSONP: true})
	a := f.do("GET", "EIO=4&transport=polling&j=0", "")
	if a.header.Get("Content-Type") != "text/javascript; charset=UTF-8" || !strings.HasPrefix(a.body, `___eio[0]("0{`) || !strings.HasSuffix(a.body, `");`) {
		t.Fatalf("got %q as %s", a.body, a.header.Get("Content-Type"))
	}
	sid := receive(t, f.sessions).ID()
	query := "EIO=4&transport=polling&j=1a2&sid=" + sid
	form := url.Values{"d": {"4line\\none\x1e4back\\\\nslash"}}.Encode()
	f.expect(f.do("POST", query, form, "Content-Type", "application/x-www-form-urlencoded"), 200, "ok")
	f.expect(f.do("GET", query, ""), 200, `___eio[12]("4line\u000aone\u001e4back\\nslash");`)
	f.expect(f.do("POST", query, "x=1", "Content-Type", "application/x-www-form-urlencoded"), 200, "ok")
	f.do("POST", query, url.Values{"d": {"4alive"}}.Encode())
	f.expect(f.do("GET", query, ""), 200, `___eio[12]("4alive");`)
}

func TestCompression(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	p := f.openPolling()
	big := "4" + strings.Repeat("hello ", 400)
	for _, tt := range []struct{ accept, encoding string }{
		{"gzip, deflate", "gzip"}, {"deflate", "deflate"}, {"br", ""}, {"gzip;q=0", ""}, {"", ""},
	} {
		p.post(big)
		a := f.do("GET", p.query, "", "Accept-Encoding", tt.accept)
		if got := a.header.Get("Content-Encoding"); got != tt.encoding {
			t.Errorf("Accept-Encoding %q: encoding %q, want %q", tt.accept, got, tt.encoding)
			continue
		}
		var r io.Reader = strings.NewReader(a.body)
		var err error
		switch tt.encoding {
		case "gzip":
			r, err = gzip.NewReader(r)
		case "deflate":
			r, err = zlib.NewReader(r)
		}
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != big {
			t.Errorf("Accept-Encoding %q: %d bytes, %v", tt.accept, len(got), err)
		}
	}
	p.post("4small")
	if a := f.do("GET", p.query, "", "Accept-Encoding", "gzip"); a.body != "4small" {
		t.Errorf("a small response was compressed: %q", a.body)
	}
}
