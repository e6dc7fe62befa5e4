package engineio_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"github.com/peal-dev/peal/engineio"
)

// logged is a log for several goroutines.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// panicking is an echo whose bugs clients can call for.
type panicking struct{ *echo }

func (h *panicking) Open(s *engineio.Session) engineio.Receiver {
	if s.Handshake().Query().Get("panic") == "open" {
		panic("a bug in Open")
	}
	return &panickingReceiver{h.echo.Open(s)}
}

type panickingReceiver struct{ engineio.Receiver }

func (r *panickingReceiver) Message(m engineio.Message) {
	if string(m.Data) == "panic" {
		panic("a bug in Message")
	}
	r.Receiver.Message(m)
}

func (r *panickingReceiver) Close(reason engineio.Reason, cause error) {
	r.Receiver.Close(reason, cause)
	panic("a bug in Close")
}

// A panic ends the session it happened in, on every transport alike, and nothing else.
func TestPanicEndsTheSessionOnly(t *testing.T) {
	t.Parallel()
	for _, goroutines := range []bool{false, true} {
		var log logged
		opts := engineio.Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), Goroutines: goroutines}
		e := newEcho()
		f := startWith(t, &panicking{e}, e, &opts)
		other, polled := f.openWebSocket(), f.openPolling()

		c := f.openWebSocket()
		c.send("4panic")
		if got := c.closeCode(); got != websocket.StatusNoStatusRcvd {
			t.Errorf("closed with %d", got)
		}
		f.ended(engineio.TransportError)

		p := f.openPolling()
		parked := p.pollAsync()
		if a := p.post("4before\x1e4panic\x1e4after"); a.status != http.StatusOK && a.status != http.StatusBadRequest {
			t.Errorf("the POST was answered with %d %q", a.status, a.body)
		}
		receive(t, parked)
		f.ended(engineio.TransportError)

		if a := f.do("GET", "EIO=4&transport=polling&panic=open", ""); a.status != http.StatusInternalServerError {
			t.Errorf("a handshake whose Open panics was answered with %d %q", a.status, a.body)
		}
		w := f.dial("EIO=4&transport=websocket&panic=open")
		f.parseOpen(w.read())
		if got := w.closeCode(); got != websocket.StatusNoStatusRcvd {
			t.Errorf("closed with %d", got)
		}

		// The others, of the same pollers, have noticed nothing.
		other.send("4hello")
		if got := other.read(); got != "4hello" {
			t.Errorf("got %q", got)
		}
		if a := polled.post("4hello"); a.status != http.StatusOK {
			t.Errorf("got %d %q", a.status, a.body)
		}
		if got := polled.poll().body; got != "4hello" {
			t.Errorf("got %q", got)
		}
		// The client sees the end of its connection before the server has forgotten the session.
		f.await("other sessions than the two are open", func() bool { return f.server.Len() == 2 })
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		if err := f.server.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if got := f.server.Stats().Panics; got != 4+4 { // those the clients called for, and that of each Close
			t.Errorf("%d panics were counted, want 8", got)
		}
		if text := log.String(); !strings.Contains(text, "a bug in Open") || !strings.Contains(text, "a bug in Message") ||
			!strings.Contains(text, "a bug in Close") || !strings.Contains(text, "panic_test.go") {
			t.Errorf("logged %q", text)
		}
	}
}
