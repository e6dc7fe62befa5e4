package sse_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/admission"
	"github.com/peal-dev/peal/message"
	"github.com/peal-dev/peal/sse"
)

func TestStreamGetsWhatItsRoomsGet(t *testing.T) {
	t.Parallel()
	protocols(t, sse.Options{}, func(t *testing.T, b *bundle) {
		res, _ := b.open(t, "/?room=a&room=b")
		for header, want := range map[string]string{"Content-Type": "text/event-stream", "Cache-Control": "no-store",
			"X-Accel-Buffering": "no", "Access-Control-Allow-Origin": ""} {
			if got := res.Header.Get(header); got != want {
				t.Errorf("%s: %q, want %q", header, got, want)
			}
		}
		b.publish(t, `["one",1]`, message.Target{Rooms: []string{"a"}})
		b.publish(t, `["other room"]`, message.Target{Rooms: []string{"c"}})
		b.publish(t, `["both rooms",2]`, message.Target{Rooms: []string{"a", "b"}})
		b.publish(t, `["excepted"]`, message.Target{Except: []string{"b"}})
		b.publish(t, `["everyone",3]`, message.Target{})
		r := sse.NewReader(res.Body)
		for _, want := range []sse.Event{{Name: "one", Data: "[1]"}, {Name: "both rooms", Data: "[2]"}, {Name: "everyone", Data: "[3]"}} {
			got, err := r.Next()
			if err != nil || got != want {
				t.Fatalf("got %+v, %v; want %+v: without a log there is no id", got, err, want)
			}
		}
		if r.Retry() != sse.DefaultRetry {
			t.Errorf("retry %v, want %v", r.Retry(), sse.DefaultRetry)
		}
	})
}

// A client that has seen the response gets what is published from then on, also where joining takes a while.
func TestNothingIsMissedAfterTheResponse(t *testing.T) {
	t.Parallel()
	protocols(t, sse.Options{}, func(t *testing.T, b *bundle) {
		res, leave := b.open(t, "/?rooms=20000&room=last")
		b.publish(t, `["now"]`, message.Target{Rooms: []string{"last"}})
		defer time.AfterFunc(30*time.Second, leave).Stop()
		if e, err := sse.NewReader(res.Body).Next(); err != nil || e.Name != "now" {
			t.Errorf("got %+v, %v", e, err)
		}
	})
}

func TestAdmission(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		limits admission.Limits
		held   bool
		status int
		code   string
	}{
		{admission.Limits{Connections: 1}, false, 503, sse.CodeTooManyClients},
		{admission.Limits{Connections: 1}, true, 503, sse.CodeTooManyClients},
		{admission.Limits{PerAddress: 1}, false, 429, sse.CodeTooManyFromAddress},
		{admission.Limits{PerAddress: 1}, true, 429, sse.CodeTooManyFromAddress},
	} {
		gate := admission.New(tt.limits)
		b := newBundle(t, sse.Options{Admission: gate, HoldHandler: tt.held})
		b.server = httptest.NewServer(b.handler)
		t.Cleanup(b.server.Close)
		_, leave := b.open(t, "/?room=a")
		res, _ := b.open(t, "/?room=a")
		body, _ := io.ReadAll(res.Body)
		if res.StatusCode != tt.status || res.Header.Get("Retry-After") == "" || !strings.Contains(string(body), strconv.Quote(tt.code)) || b.handler.Stats().Refused[tt.code] != 1 {
			t.Errorf("%+v: a second one got %d %s", tt, res.StatusCode, body)
		}
		leave()
		b.waitEnded(t)
		if res, leave = b.open(t, "/"); res.StatusCode != 200 {
			t.Errorf("%+v: after the first had left: %d", tt, res.StatusCode)
		}
		leave()
		b.waitEnded(t)
		if err := b.handler.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.open(t, "/") // is refused
		if got := gate.Stats().Connections; got != 0 {
			t.Errorf("%+v: %d are counted after all have left", tt, got)
		}
	}
}

func TestClientLeaves(t *testing.T) {
	t.Parallel()
	protocols(t, sse.Options{}, func(t *testing.T, b *bundle) {
		_, leave := b.open(t, "/?room=a")
		if got := b.handler.Stats(); got.Streams != 1 || got.Opened != 1 {
			t.Errorf("stats of one open stream: %+v", got)
		}
		leave()
		b.waitEnded(t)
		if got := b.handler.Stats(); got.Streams != 0 || got.Closed[sse.ClientLeft] != 1 {
			t.Errorf("stats after the client left: %+v", got)
		}
		if b.adapter.Len() != 0 || b.adapter.HasRoom("a") {
			t.Error("the stream is still a member")
		}
	})
}

func TestShutdownEndsStreamsAfterWhatWaits(t *testing.T) {
	t.Parallel()
	protocols(t, sse.Options{}, func(t *testing.T, b *bundle) {
		first, _ := b.open(t, "/")
		second, _ := b.open(t, "/")
		b.publish(t, `["last",1]`, message.Target{})
		if err := b.handler.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, res := range []*http.Response{first, second} {
			events, err := readAll(sse.NewReader(res.Body))
			if err != io.EOF || len(events) != 1 || events[0].Name != "last" {
				t.Errorf("got %+v, %v; want the last event and a clean end", events, err)
			}
		}
		if got := b.handler.Stats(); got.Streams != 0 || got.Closed[sse.ServerShutdown] != 2 || got.Delivered != 2 {
			t.Errorf("stats after shutdown: %+v", got)
		}
		late, _ := b.open(t, "/")
		wantError(t, late, http.StatusServiceUnavailable, sse.CodeShuttingDown)
		if late.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		if err := b.handler.Shutdown(t.Context()); err != nil {
			t.Errorf("second shutdown: %v", err)
		}
	})
}

func TestMemberIsDisconnected(t *testing.T) {
	t.Parallel()
	protocols(t, sse.Options{}, func(t *testing.T, b *bundle) {
		res, _ := b.open(t, "/?room=a")
		if err := b.adapter.Disconnect(t.Context(), message.Target{Rooms: []string{"a"}}, true); err != nil {
			t.Fatal(err)
		}
		if events, err := readAll(sse.NewReader(res.Body)); err != io.EOF || len(events) != 0 {
			t.Errorf("got %v, %v; want a clean end", events, err)
		}
		b.waitEnded(t)
		if got := b.handler.Stats(); got.Closed[sse.Disconnected] != 1 {
			t.Errorf("stats: %+v", got)
		}
	})
}

func TestSlowConsumerIsClosed(t *testing.T) {
	t.Parallel()
	opts := sse.Options{SendBuffer: 256 << 10, WriteTimeout: 500 * time.Millisecond}
	protocols(t, opts, func(t *testing.T, b *bundle) {
		_, _ = b.open(t, "/")
		data := fmt.Sprintf(`["big",%q]`, strings.Repeat("x", 100<<10))
		// What the kernels' buffers hold is not known, so publish until it shows.
		for b.handler.Stats().Streams == 1 {
			b.publish(t, data, message.Target{})
			if b.handler.Stats().Delivered > 10_000 {
				t.Fatal("1 GB went to a client that does not read")
			}
		}
		b.waitEnded(t)
		if got := b.handler.Stats(); got.Closed[sse.SlowConsumer] != 1 || b.adapter.Len() != 0 {
			t.Errorf("stats: %+v, members %d", got, b.adapter.Len())
		}
	})
}

func TestStalledReaderIsClosed(t *testing.T) {
	t.Parallel()
	opts := sse.Options{SendBuffer: 64 << 20, WriteTimeout: 100 * time.Millisecond}
	protocols(t, opts, func(t *testing.T, b *bundle) {
		_, _ = b.open(t, "/")
		b.publish(t, fmt.Sprintf(`["huge",%q]`, strings.Repeat("x", 32<<20)), message.Target{})
		b.waitEnded(t)
		if got := b.handler.Stats(); got.Closed[sse.WriteTimeout] != 1 || b.adapter.Len() != 0 {
			t.Errorf("stats: %+v, members %d", got, b.adapter.Len())
		}
	})
}

// An http.Server's own timeouts are meant for requests, not for streams.
func TestServerTimeoutsDoNotCutStreams(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sse.Options{KeepAlive: 50 * time.Millisecond})
	b.server = httptest.NewUnstartedServer(b.handler)
	b.server.Config.ReadTimeout = 100 * time.Millisecond
	b.server.Config.WriteTimeout = 100 * time.Millisecond
	b.server.Start()
	t.Cleanup(b.server.Close)
	res, _ := b.open(t, "/")
	body := make([]byte, 3)
	if _, err := io.ReadFull(res.Body, make([]byte, len("retry: 2000\n\n"))); err != nil {
		t.Fatal(err)
	}
	for range 6 {
		if _, err := io.ReadFull(res.Body, body); err != nil || string(body) != ":\n\n" {
			t.Fatalf("keep-alive %q, %v", body, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	a, err := adapter.New(t.Context(), "/", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	h := sse.NewHandler(func(r *http.Request) (sse.Subscription, error) {
		switch r.URL.Path {
		case "/typed":
			return sse.Subscription{}, fmt.Errorf("wrapped: %w", &sse.Error{Status: 401, Code: "no_token", Message: `send "a token"`})
		case "/bare":
			return sse.Subscription{}, &sse.Error{Code: "bad", Message: "bad"}
		case "/other":
			return sse.Subscription{}, errors.New("the password is 1234")
		}
		return sse.Subscription{Adapter: a}, nil
	}, &sse.Options{Logger: textLogger(&log)})
	for _, test := range []struct {
		method, path string
		header       http.Header
		status       int
		code         string
	}{
		{"GET", "/typed", nil, 401, "no_token"},
		{"GET", "/bare", nil, 400, "bad"},
		{"GET", "/other", nil, 500, sse.CodeInternal},
		{"POST", "/", nil, 405, sse.CodeMethodNotAllowed},
		{"HEAD", "/", nil, 405, sse.CodeMethodNotAllowed},
		{"OPTIONS", "/", nil, 405, sse.CodeMethodNotAllowed},
		{"GET", "/", http.Header{"Origin": {"https://evil.example"}}, 403, sse.CodeOriginNotAllowed},
		{"OPTIONS", "/", http.Header{"Origin": {"null"}, "Access-Control-Request-Method": {"GET"}}, 403, sse.CodeOriginNotAllowed},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(test.method, test.path, nil)
		r.Header = test.header
		h.ServeHTTP(w, r)
		wantError(t, w.Result(), test.status, test.code)
		if allow := w.Header().Get("Allow"); (test.status == 405) != (allow == "GET") {
			t.Errorf("%s %s: Allow %q", test.method, test.path, allow)
		}
		if strings.Contains(w.Body.String(), "1234") {
			t.Errorf("the client read %s", w.Body)
		}
	}
	if !strings.Contains(log.String(), "1234") {
		t.Error("the unknown error was not logged")
	}
	want := map[string]uint64{"no_token": 1, "bad": 1, sse.CodeInternal: 1, sse.CodeMethodNotAllowed: 3, sse.CodeOriginNotAllowed: 2}
	if got := h.Stats().Refused; !maps.Equal(got, want) {
		t.Errorf("rejected %v, want %v", got, want)
	}
	for code := range want { // one line each, whose operator has not asked for more
		if got := strings.Count(log.String(), "code="+code+" "); got != 1 {
			t.Errorf("%s: %d lines", code, got)
		}
	}
}

func wantError(t *testing.T, res *http.Response, status int, code string) {
	t.Helper()
	var body struct {
		Error struct{ Code, Message string }
	}
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		t.Fatalf("the error is no JSON: %v", err)
	}
	if res.StatusCode != status || body.Error.Code != code || body.Error.Message == "" {
		t.Errorf("got %d %+v, want %d with code %s", res.StatusCode, body, status, code)
	}
	if got := res.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q", got)
	}
}
