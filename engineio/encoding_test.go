package engineio_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/peal-dev/peal/engineio"
)

func TestQuality(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		accept        string
		gzip, deflate int
	}{
		{"", 0, 0}, {"gzip", 1000, 0}, {"GZIP, Deflate", 1000, 1000}, {"br", 0, 0}, {"identity", 0, 0}, {"x-gzip", 1000, 0},
		{"gzip;q=0", 0, 0}, {"gzip;q=0.0", 0, 0}, {"gzip; q=0.00", 0, 0}, {"gzip;q=0.000", 0, 0}, {"gzip ; Q = 0.000 , deflate", 0, 1000},
		{"gzip;q=0.001", 1, 0}, {"gzip;q=1.000", 1000, 0}, {"gzip;q=1.", 1000, 0}, {"gzip;q=0.5, deflate;q=0.85", 500, 850},
		{"*", 1000, 1000}, {"*;q=0", 0, 0}, {"gzip, *;q=0", 1000, 0}, {"*;q=0.2, gzip;q=0", 0, 200}, {"identity;q=0, *", 1000, 1000},
		{"identity;q=0", 0, 0}, {"gzip;q=0, gzip", 1000, 0}, {", ,gzip,,", 1000, 0}, {"gzipped", 0, 0}, {"a gzip", 0, 0},
		{"gzip;q=2", 0, 0}, {"gzip;q=1.001", 0, 0}, {"gzip;q=-1", 0, 0}, {"gzip;q=", 0, 0}, {"gzip;q=.5", 0, 0}, {"gzip;q=0.0001", 0, 0},
		{"gzip;q=x", 0, 0}, {"gzip;level=1", 0, 0}, {"gzip;", 0, 0}, {"gzip;q=1;q=0", 0, 0},
	} {
		if g, d := engineio.Quality(test.accept, "gzip"), engineio.Quality(test.accept, "deflate"); g != test.gzip || d != test.deflate {
			t.Errorf("%q: gzip %d, deflate %d, want %d, %d", test.accept, g, d, test.gzip, test.deflate)
		}
	}
}

// compressing is the ResponseWriter of a middleware that compresses.
type compressing struct {
	http.ResponseWriter
	early, late bool // when it says so: before the handler, or with the first byte
	yields      bool // to an encoding that is there already
	keepsLength bool
	decided     bool
	zw          *gzip.Writer
}

func (c *compressing) WriteHeader(status int) {
	if !c.decided && status >= 200 {
		c.decided = true
		h := c.Header()
		if !c.yields || h.Get("Content-Encoding") == "" {
			c.zw = gzip.NewWriter(c.ResponseWriter)
			if c.late {
				h.Set("Content-Encoding", "gzip")
			}
			if !c.keepsLength {
				h.Del("Content-Length")
			}
		}
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *compressing) Write(p []byte) (int, error) {
	if !c.decided {
		c.WriteHeader(http.StatusOK)
	}
	if c.zw == nil {
		return c.ResponseWriter.Write(p)
	}
	return c.zw.Write(p)
}

func (c *compressing) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// middlewares are the ways in which they are made.
var middlewares = map[string]compressing{
	"says so before":                  {early: true},
	"says so before, keeps length":    {early: true, keepsLength: true},
	"says so with the first byte":     {late: true},
	"yields to what is encoded":       {late: true, yields: true},
	"counts on nobody who counts":     {late: true, keepsLength: true},
	"says so before and at the start": {early: true, late: true},
}

func (c compressing) middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Origin")
		w.Header().Add("Vary", "Accept-Encoding")
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			next.ServeHTTP(w, r)
			return
		}
		if c.early {
			w.Header().Set("Content-Encoding", "gzip")
		}
		own := c
		own.ResponseWriter = w
		next.ServeHTTP(&own, r)
		if own.zw != nil {
			_ = own.zw.Close()
		}
	})
}

// Behind a middleware that compresses, whatever it is like, an answer is what its one Content-Encoding says, and a
// WebSocket has none.
func TestBehindCompression(t *testing.T) {
	t.Parallel()
	for name, kind := range middlewares {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEcho()
			server := engineio.NewServer(e, nil)
			ts := httptest.NewUnstartedServer(kind.middleware(server))
			ts.Listener = engineio.NewListener(ts.Listener, ts.Config, nil)
			ts.Start()
			f := &fixture{T: t, echo: e, server: server, url: ts.URL + "/", client: &http.Client{Transport: &http.Transport{DisableCompression: true}}}
			t.Cleanup(func() {
				_ = server.Shutdown(t.Context())
				f.client.CloseIdleConnections()
				ts.Close()
			})
			read := func(method, query, body, accept string) string {
				t.Helper()
				a := f.do(method, query, body, "Accept-Encoding", accept)
				encodings := a.header.Values("Content-Encoding")
				text := []byte(a.body)
				for _, encoding := range encodings {
					zr, err := gzip.NewReader(bytes.NewReader(text))
					if err == nil {
						text, err = io.ReadAll(zr)
					}
					if err != nil || encoding != "gzip" {
						t.Fatalf("%s %s: encodings %q: %v, %.60q", method, query, encodings, err, a.body)
					}
				}
				if compressed := accept == "gzip"; compressed != (len(encodings) == 1) {
					t.Errorf("%s %s: encodings %q though the client takes %q", method, query, encodings, accept)
				}
				return string(text)
			}
			big := "4" + strings.Repeat("hello ", 400)
			for _, accept := range []string{"gzip", "identity"} {
				query := "EIO=4&transport=polling"
				open := read("GET", query, "", accept)
				_, rest, ok := strings.Cut(open, `"sid":"`)
				if !ok {
					t.Fatalf("handshake: %q", open)
				}
				sid, _, _ := strings.Cut(rest, `"`)
				query += "&sid=" + sid
				for _, message := range []string{"4small", big} {
					if got := read("POST", query, message, accept); got != "ok" {
						t.Errorf("POST: %q", got)
					}
					if got := read("GET", query, "", accept); got != message {
						t.Errorf("%d bytes came as %.40q", len(message), got)
					}
				}
				if got := read("GET", "EIO=3&transport=polling", "", accept); !strings.Contains(got, `"code":5`) {
					t.Errorf("refusal: %q", got)
				}
			}
			conn, resp, err := websocket.Dial(t.Context(), ts.URL+"/?EIO=4&transport=websocket", &websocket.DialOptions{HTTPHeader: http.Header{"Accept-Encoding": {"gzip"}}})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.CloseNow()
			if got := resp.Header.Values("Content-Encoding"); got != nil {
				t.Errorf("the handshake of a WebSocket says it is encoded: %q", got)
			}
			if _, data, err := conn.Read(t.Context()); err != nil || data[0] != '0' {
				t.Errorf("got %q, %v", data, err)
			}
		})
	}
}
