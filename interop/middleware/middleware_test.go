package middleware_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/NYTimes/gziphandler"
	"github.com/coder/websocket"
	gingzip "github.com/gin-contrib/gzip"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/gorilla/handlers"
	"github.com/klauspost/compress/gzhttp"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"

	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/socketio"
	"github.com/peal-dev/peal/sse"
)

var middlewares = map[string]func(http.Handler) http.Handler{
	"none": func(h http.Handler) http.Handler { return h },
	"gin": func(h http.Handler) http.Handler {
		gin.SetMode(gin.ReleaseMode)
		e := gin.New()
		e.Use(gingzip.Gzip(gingzip.DefaultCompression))
		e.Any("/*all", gin.WrapH(h))
		return e
	},
	"echo": func(h http.Handler) http.Handler {
		e := echo.New()
		e.Use(echomiddleware.Gzip())
		e.Any("/*", echo.WrapHandler(h))
		return e
	},
	"echo from 1 KiB": func(h http.Handler) http.Handler {
		e := echo.New()
		e.Use(echomiddleware.GzipWithConfig(echomiddleware.GzipConfig{MinLength: 1024}))
		e.Any("/*", echo.WrapHandler(h))
		return e
	},
	"chi":       middleware.Compress(5),
	"gorilla":   handlers.CompressHandler,
	"NYTimes":   gziphandler.GzipHandler,
	"klauspost": func(h http.Handler) http.Handler { return gzhttp.GzipHandler(h) },
}

const patience = 20 * time.Second

// TestCompression has a client on long-polling, a WebSocket and an event stream receive events, small and large, behind
// each middleware. What arrives is what its headers say.
func TestCompression(t *testing.T) {
	t.Parallel()
	for name, wrap := range middlewares {
		for _, fronted := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				compression(t, wrap, fronted)
			})
		}
	}
}

func compression(t *testing.T, wrap func(http.Handler) http.Handler, fronted bool) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	joined := make(chan struct{}, 3)
	server := socketio.NewServer(nil)
	server.OnConnect(func(s *socketio.Socket) { s.Join(ctx, "room"); joined <- struct{}{} })
	streams := sse.NewHandler(func(*http.Request) (sse.Subscription, error) {
		return sse.Subscription{Adapter: server.Adapter(), Rooms: []string{"room"}}, nil
	}, nil)
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", server)
	mux.Handle("/events", streams)
	ts := httptest.NewUnstartedServer(wrap(mux))
	if fronted {
		ts.Listener = engineio.NewListener(ts.Listener, ts.Config, nil)
	}
	ts.Start()
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer func() {
		cancel()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := streams.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := server.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		client.CloseIdleConnections()
		ts.Close()
	}()

	p := &poller{t: t, ctx: ctx, client: client, url: ts.URL + "/socket.io/?EIO=4&transport=polling"}
	open := p.do(http.MethodGet, "")
	_, rest, _ := strings.Cut(open, `"sid":"`)
	sid, _, _ := strings.Cut(rest, `"`)
	p.url += "&sid=" + sid
	if got := p.do(http.MethodPost, "40"); got != "ok" {
		t.Fatalf("POST got %q", got)
	}
	if got := p.do(http.MethodGet, ""); !strings.HasPrefix(got, "40{") {
		t.Fatalf("CONNECT got %q", got)
	}
	<-joined

	ws, resp, err := websocket.Dial(ctx, strings.Replace(ts.URL, "http", "ws", 1)+"/socket.io/?EIO=4&transport=websocket",
		&websocket.DialOptions{HTTPHeader: http.Header{"Accept-Encoding": {"gzip"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	if got := resp.Header.Get("Content-Encoding"); got != "" {
		t.Errorf("a WebSocket with Content-Encoding %q", got)
	}
	ws.SetReadLimit(1 << 20)
	if err := ws.Write(ctx, websocket.MessageText, []byte("40")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the open packet and the answer to CONNECT
		if _, _, err := ws.Read(ctx); err != nil {
			t.Fatal(err)
		}
	}
	<-joined

	stream := sse.NewReader(decoded(t, get(t, ctx, client, ts.URL+"/events")))
	for _, size := range []int{10, 1000, 3000, 200_000} {
		text := strings.Repeat("x", size)
		if err := server.To("room").Emit(ctx, "news", text); err != nil {
			t.Fatal(err)
		}
		want := `42["news","` + text + `"]`
		if got := p.do(http.MethodGet, ""); got != want {
			t.Errorf("%d bytes: a poll got %.40q", size, got)
		}
		if _, got, err := ws.Read(ctx); err != nil || string(got) != want {
			t.Errorf("%d bytes: a WebSocket got %.40q, %v", size, got, err)
		}
		if e, err := stream.Next(); err != nil || e.Name != "news" || !strings.Contains(string(e.Data), text) {
			t.Fatalf("%d bytes: a stream got %.40q, %v", size, e.Data, err)
		}
	}
}

func get(t *testing.T, ctx context.Context, client *http.Client, url string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "gzip, deflate, br")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// decoded undoes the encodings that an answer names.
func decoded(t *testing.T, resp *http.Response) io.Reader {
	t.Helper()
	body := io.Reader(resp.Body)
	for _, encoding := range resp.Header.Values("Content-Encoding") {
		zr, err := gzip.NewReader(body)
		if err != nil || encoding != "gzip" {
			t.Fatalf("encoding %q: %v", encoding, err)
		}
		body = zr
	}
	return body
}

type poller struct {
	t      *testing.T
	ctx    context.Context
	client *http.Client
	url    string
}

func (p *poller) do(method, body string) string {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.ctx, method, p.url, bytes.NewReader([]byte(body)))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "gzip, deflate, br")
	resp, err := p.client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(decoded(p.t, resp))
	if err != nil || resp.StatusCode != http.StatusOK {
		p.t.Fatalf("%s: %s, %v, %.60q", method, resp.Status, err, text)
	}
	return string(text)
}
