package sse_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
	"github.com/peal-dev/peal/sse"
)

// bundle is a server with one handler whose streams join the rooms of ?room=.
type bundle struct {
	adapter *adapter.Adapter
	handler *sse.Handler
	server  *httptest.Server
}

var variants = []string{"HTTP/1.1", "HTTP/1.1 held", "HTTP/2.0"}

// protocols runs the test over both versions of HTTP, and over HTTP/1.1 with the connection taken over and not: they
// differ in everything but the bytes of the events.
func protocols(t *testing.T, opts sse.Options, test func(t *testing.T, b *bundle)) {
	t.Helper()
	for _, variant := range variants {
		t.Run(variant, func(t *testing.T) {
			t.Parallel()
			test(t, serve(t, variant, opts, nil))
		})
	}
}

// serve starts the server of one variant of protocols, as a node of a cluster if driver is not nil.
func serve(t *testing.T, variant string, opts sse.Options, driver adapter.Driver) *bundle {
	t.Helper()
	return serveLogged(t, variant, opts, driver, nil)
}

// serveLogged is serve with a log.
func serveLogged(t *testing.T, variant string, opts sse.Options, driver adapter.Driver, log eventlog.Log) *bundle {
	t.Helper()
	proto, _, held := strings.Cut(variant, " ")
	opts.HoldHandler = held
	b := newNode(t, opts, driver, log)
	b.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Proto != proto {
			t.Errorf("request over %s, want %s", r.Proto, proto)
		}
		b.handler.ServeHTTP(w, r)
	}))
	if proto == "HTTP/2.0" {
		b.server.EnableHTTP2 = true
		b.server.StartTLS()
	} else {
		if !held { // the other behind net/http alone
			b.server.Listener = engineio.NewListener(b.server.Listener, b.server.Config, nil)
		}
		b.server.Start()
	}
	t.Cleanup(b.server.Close)
	return b
}

func newBundle(t *testing.T, opts sse.Options) *bundle {
	t.Helper()
	return newNode(t, opts, nil, nil)
}

func newNode(t *testing.T, opts sse.Options, driver adapter.Driver, log eventlog.Log) *bundle {
	t.Helper()
	a, err := adapter.New(t.Context(), "/", driver, &adapter.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	h := sse.NewHandler(func(r *http.Request) (sse.Subscription, error) {
		query := r.URL.Query()
		many, _ := strconv.Atoi(query.Get("rooms")) // 0 unless a test asks for more
		rooms := make([]string, many, many+1)
		for i := range rooms {
			rooms[i] = strconv.Itoa(i)
		}
		return sse.Subscription{Adapter: a, Rooms: append(rooms, query["room"]...)}, nil
	}, &opts)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		_ = h.Shutdown(ctx)
		_ = a.Close(ctx)
	})
	return &bundle{adapter: a, handler: h}
}

func (b *bundle) open(t *testing.T, query string) (*http.Response, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.server.URL+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := b.server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res, cancel
}

func (b *bundle) publish(t *testing.T, data string, to message.Target) {
	t.Helper()
	if err := b.adapter.Broadcast(t.Context(), newMessage(data), to); err != nil {
		t.Fatal(err)
	}
}

func (b *bundle) waitEnded(t *testing.T) {
	t.Helper()
	b.await(t, "the stream does not end", func() bool { return b.handler.Stats().Streams == 0 })
}

// await looks until something is so that nobody tells of.
func (b *bundle) await(t *testing.T, otherwise string, so func() bool) {
	t.Helper()
	tick, timeout := time.NewTicker(time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatal(otherwise)
		}
	}
}
