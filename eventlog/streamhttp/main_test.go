package streamhttp_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/eventlog/streamhttp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds how long a test waits for what must come.
const patience = 20 * time.Second

const prefix = streamhttp.DefaultPrefix

// side is a handler under test, and its server.
type side struct {
	*streamhttp.Handler
	t      *testing.T
	server *httptest.Server
}

func serve(t *testing.T, store eventlog.Store, o *streamhttp.Options) *side {
	t.Helper()
	if o == nil {
		o = new(streamhttp.Options)
	}
	o.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	h, err := streamhttp.New(t.Context(), store, o)
	if err != nil {
		t.Fatal(err)
	}
	s := &side{Handler: h, t: t, server: httptest.NewServer(h)}
	t.Cleanup(s.stop)
	return s
}

func (s *side) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		s.t.Errorf("shutdown: %v", err)
	}
	s.server.Client().CloseIdleConnections()
	s.server.Close()
}

// do sends a request, with headers in pairs, and returns the answer and its body.
func (s *side) do(method, path, body string, header ...string) (*http.Response, string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, s.server.URL+prefix+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := s.server.Client().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	var b bytes.Buffer
	_, err = io.Copy(&b, res.Body)
	_ = res.Body.Close()
	if err != nil {
		s.t.Fatal(err)
	}
	return res, b.String()
}

// want does the same and checks the status.
func (s *side) want(status int, method, path, body string, header ...string) (http.Header, string) {
	s.t.Helper()
	res, text := s.do(method, path, body, header...)
	if res.StatusCode != status {
		s.t.Fatalf("%s %s %v: %d, want %d: %s", method, path, header, res.StatusCode, status, text)
	}
	return res.Header, text
}

var (
	plain = []string{"Content-Type", "text/plain"}
	asIs  = []string{"Content-Type", "application/json"}
)

func with(a []string, more ...string) []string { return append(append([]string(nil), a...), more...) }
