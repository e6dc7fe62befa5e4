package sse_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/message"
	"github.com/peal-dev/peal/sse"
)

// compressing is what a middleware that compresses puts before a handler; it announces that.
type compressing struct {
	http.ResponseWriter
	zw *gzip.Writer
}

func (c *compressing) Write(p []byte) (int, error) { return c.zw.Write(p) }
func (c *compressing) Unwrap() http.ResponseWriter { return c.ResponseWriter }
func (c *compressing) FlushError() error {
	if err := c.zw.Flush(); err != nil {
		return err
	}
	return http.NewResponseController(c.ResponseWriter).Flush()
}

// A stream behind a middleware that compresses is what its header says: plain if the connection was taken over, and
// compressed if it is written through the middleware.
func TestStreamBehindCompression(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]sse.Options{"taken over": {}, "held": {HoldHandler: true}} {
		for _, fronted := range []bool{false, true} {
			b := newBundle(t, opts)
			ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Encoding", "gzip")
				w.Header().Set("Vary", "Accept-Encoding")
				c := &compressing{w, gzip.NewWriter(w)}
				b.handler.ServeHTTP(c, r)
				_ = c.zw.Close() // fails on a connection that was taken over
			}))
			if fronted {
				ts.Listener = engineio.NewListener(ts.Listener, ts.Config, nil)
			}
			ts.Start()
			t.Cleanup(ts.Close)
			client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
			t.Cleanup(client.CloseIdleConnections)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, ts.URL+"/?room=a", nil)
			if err != nil {
				t.Fatal(err)
			}
			if fronted { // so that the front serves it
				req.Header.Set("Upgrade", "websocket")
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = resp.Body.Close() })
			body := io.Reader(resp.Body)
			if encodings := resp.Header.Values("Content-Encoding"); (len(encodings) == 1) != opts.HoldHandler {
				t.Errorf("%s: encodings %q", name, encodings)
			}
			if opts.HoldHandler {
				if body, err = gzip.NewReader(body); err != nil {
					t.Fatal(err)
				}
			}
			b.publish(t, `["news",1]`, message.Target{Rooms: []string{"a"}})
			if e, err := sse.NewReader(body).Next(); err != nil || e.Name != "news" {
				t.Errorf("%s: got %+v, %v", name, e, err)
			}
		}
	}
}
