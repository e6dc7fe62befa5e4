package engineio_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/peal-dev/peal/engineio"
)

func TestSharedBytes(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	shared := engineio.Prepare(engineio.Message{Data: []byte("text")}, engineio.Message{Binary: true, Data: []byte{1, 2}})
	ws, p := f.openWebSocket(), f.openPolling()
	for range 2 {
		if err := receive(t, f.sessions).Send(shared, engineio.Deferred); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := ws.read(), ws.read(); a != "4text" || b != "\x01\x02" {
		t.Errorf("WebSocket got %q and %q", a, b)
	}
	f.expect(p.poll(), 200, "4text\x1ebAQI=")
}

func TestPreparedTextIsNotCopied(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	ws, p := f.openWebSocket(), f.openPolling()
	receive(t, f.sessions)
	receive(t, f.sessions)
	for _, size := range []int{0, 1, 124, 125, 65_534, 65_535, 200_000} { // around the lengths where the header grows
		text := strings.Repeat("x", size)
		shared := engineio.PrepareText(append(make([]byte, engineio.Headroom), text...))
		ws.send("4" + text) // its echo is the same text the other way
		if got := ws.read(); got != "4"+text {
			t.Errorf("%d bytes came back as %d", size, len(got))
		}
		for s := range engineio.Sessions(f.server) {
			if err := s.Send(shared, 0); err != nil {
				t.Fatal(err)
			}
		}
		if got := ws.read(); got != "4"+text {
			t.Errorf("%d bytes arrived as %d over WebSocket", size, len(got))
		}
		f.expect(p.poll(), 200, "4"+text)
	}
}

// flood sends to a client that does not read until the session refuses.
func flood(t *testing.T, s *engineio.Session, flags engineio.SendFlags) (sent int, err error) {
	t.Helper()
	p := engineio.Prepare(engineio.Message{Binary: true, Data: make([]byte, 64<<10)})
	for deadline := time.Now().Add(wait); time.Now().Before(deadline); sent++ {
		if err := s.Send(p, flags); err != nil {
			return sent, err
		}
	}
	t.Fatal("the session took everything")
	return 0, nil
}

func TestSlowConsumer(t *testing.T) {
	t.Parallel()
	both(t, engineio.Options{SendBuffer: 256 << 10}, func(t *testing.T, f *fixture) {
		other := f.openWebSocket()
		receive(t, f.sessions)
		f.openWebSocket()
		s := receive(t, f.sessions)
		if _, err := flood(t, s, engineio.Volatile); !errors.Is(err, engineio.ErrDropped) {
			t.Fatalf("volatile: %v", err)
		}
		if len(f.ends) > 0 {
			t.Fatal("a dropped message ended the session")
		}
		if _, err := flood(t, s, 0); !errors.Is(err, engineio.ErrSlowConsumer) {
			t.Fatalf("got %v", err)
		}
		got := receive(t, f.ends)
		if got.reason != engineio.TransportError || !errors.Is(got.cause, engineio.ErrSlowConsumer) {
			t.Errorf("ended with %v", got)
		}
		if stats := f.server.Stats().WebSockets; stats.Slow != 1 || stats.Dropped != 1 {
			t.Errorf("counted %+v", stats)
		}
		other.send("4fine")
		if got := other.read(); got != "4fine" {
			t.Errorf("another client got %q", got)
		}
	})
}

func TestSlowConsumerOnPolling(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		opts          engineio.Options
		size, accepts int
	}{
		{engineio.Options{SendBuffer: 4 << 10, PollBuffer: 256 << 10}, 64<<10 - 64, 4},
		{engineio.Options{SendBuffer: 4 << 10, PollBuffer: 256 << 10}, 0, 4096}, // messages of nothing are something
		{engineio.Options{SendBuffer: 4 << 10, PollBuffer: 4 << 10}, 1 << 20, 1},
		{engineio.Options{SendBuffer: 4 << 10}, 64<<10 - 64, engineio.DefaultPollBuffer / (64 << 10)},
		{engineio.Options{SendBuffer: 64 << 20}, 1<<20 - 64, 64},
	} {
		f := start(t, &tt.opts)
		f.openPolling()
		s := receive(t, f.sessions)
		message := engineio.Prepare(engineio.Message{Binary: true, Data: make([]byte, tt.size)})
		sent := 0
		var err error
		for ; err == nil && sent <= tt.accepts; sent++ {
			err = s.Send(message, 0)
		}
		if sent--; sent != tt.accepts || !errors.Is(err, engineio.ErrSlowConsumer) {
			t.Errorf("%+v: %d messages of %d bytes, then %v; want %d", tt.opts, sent, tt.size, err, tt.accepts)
		}
		f.ended(engineio.TransportError)
	}
}

// TestAnythingFitsBesideAPing sends a message longer than the bound to a client that has yet to fetch its ping.
func TestAnythingFitsBesideAPing(t *testing.T) {
	t.Parallel()
	bubble(t, engineio.Options{PollBuffer: 1000, PingInterval: time.Second}, &http.Server{}, func(t *testing.T, f *fixture, _ *pipes) {
		p := f.openPolling()
		time.Sleep(2 * time.Second)
		if err := receive(t, f.sessions).Send(engineio.Prepare(engineio.Message{Data: make([]byte, 5000)}), 0); err != nil {
			t.Fatal(err)
		}
		f.expect(p.poll(), 200, "2\x1e4"+string(make([]byte, 5000)))
	})
}

// TestABurstBetweenTwoPolls sends far more than SendBuffer at once: the client could not have read any of it.
func TestABurstBetweenTwoPolls(t *testing.T) {
	t.Parallel()
	f := start(t, &engineio.Options{SendBuffer: 4 << 10})
	p := f.openPolling()
	s := receive(t, f.sessions)
	const n, size = 3000, 2000
	for i := range n {
		if err := s.Send(engineio.Prepare(engineio.Message{Data: fmt.Appendf(nil, "%0*d", size, i)}), 0); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	s.Close()
	next, polls := 0, 0
	for last := false; !last; polls++ {
		a := p.poll()
		if a.status != 200 || len(a.body) > 1<<20 {
			t.Fatalf("poll %d got %d and %d bytes", polls, a.status, len(a.body))
		}
		for packet := range strings.SplitSeq(a.body, "\x1e") {
			if last = packet == "1"; !last && packet != fmt.Sprintf("4%0*d", size, next) {
				t.Fatalf("%.20s… is not message %d", packet, next)
			}
			next++
		}
	}
	if next-1 != n || polls < n*size>>20 {
		t.Errorf("%d messages in %d polls", next-1, polls)
	}
	f.ended(engineio.ForcedClose)
}

func TestVolatileOnPollingNeedsAParkedPoll(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	p := f.openPolling()
	message := engineio.Prepare(engineio.Message{Data: []byte("v")})
	parked := p.pollAsync()
	s := f.parked(p)
	if err := s.Send(message, engineio.Volatile); err != nil {
		t.Errorf("with a parked poll: %v", err)
	}
	f.expect(receive(t, parked), 200, "4v")
	if err := s.Send(message, engineio.Volatile); !errors.Is(err, engineio.ErrDropped) {
		t.Errorf("without one: %v", err)
	}
}

func TestPauseHoldsMessagesBackAndTheHeartbeatWaits(t *testing.T) {
	t.Parallel()
	both(t, engineio.Options{PingInterval: 20 * time.Millisecond, PingTimeout: 200 * time.Millisecond}, func(t *testing.T, f *fixture) {
		c := f.openWebSocket()
		s := receive(t, f.sessions)
		s.Pause()
		c.send("4held")
		for range 3 { // as long as a heartbeat takes for others that do not answer
			f.openWebSocket()
			receive(t, f.sessions)
			f.ended(engineio.PingTimeout)
			if f.server.Len() != 1 {
				t.Fatal("the session ended while paused")
			}
			if len(f.messages) > 0 {
				t.Fatal("a message arrived while paused")
			}
		}
		s.Resume()
		if m := receive(t, f.messages); string(m.Data) != "held" {
			t.Errorf("got %q", m.Data)
		}
		f.ended(engineio.PingTimeout)
	})
}

func TestPauseHoldsAPostBack(t *testing.T) {
	t.Parallel()
	bubble(t, engineio.Options{}, &http.Server{}, func(t *testing.T, f *fixture, _ *pipes) {
		p := f.openPolling()
		s := receive(t, f.sessions)
		s.Pause()
		answered := p.postAsync("4held")
		synctest.Wait()
		select {
		case <-f.messages:
			t.Fatal("a message arrived while paused")
		case <-answered:
			t.Fatal("the POST was answered while paused")
		default:
		}
		s.Resume()
		f.expect(receive(t, answered), 200, "ok")
		if m := receive(t, f.messages); string(m.Data) != "held" {
			t.Errorf("got %q", m.Data)
		}
	})
}

func TestDataCountsAsLife(t *testing.T) {
	t.Parallel()
	f := start(t, &engineio.Options{PingInterval: 20 * time.Millisecond, PingTimeout: 200 * time.Millisecond})
	c := f.openWebSocket()
	for begin := time.Now(); time.Since(begin) < 700*time.Millisecond; { // three timeouts without a pong
		c.send("4x")
		receive(t, f.messages)
	}
	if len(f.ends) > 0 {
		t.Errorf("a client that talks was taken for dead: %v", <-f.ends)
	}
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	ws, p := f.openWebSocket(), f.openPolling()
	parked := p.pollAsync()
	f.parked(p)
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	if err := f.server.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	f.ended(engineio.ServerShutdown)
	f.ended(engineio.ServerShutdown)
	f.expect(receive(t, parked), 200, "1")
	ws.closeCode()
	if a := f.do("GET", "EIO=4&transport=polling", ""); a.status != http.StatusServiceUnavailable {
		t.Errorf("a handshake after that got %d", a.status)
	}
}

func TestAbruptlyClosedConnection(t *testing.T) {
	t.Parallel()
	both(t, engineio.Options{}, func(t *testing.T, f *fixture) {
		c := f.openWebSocket()
		if err := c.conn.CloseNow(); err != nil {
			t.Fatal(err)
		}
		f.ended(engineio.TransportClose)
	})
}

func TestFramesRightBehindTheHandshakeAreNotLost(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(f.url, "http://"), "/engine.io/"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The request and a masked "4hi" (mask 0) in one write: net/http has read both when the connection is taken over.
	fmt.Fprint(conn, "GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x83\x00\x00\x00\x004hi")
	if m := receive(t, f.messages); string(m.Data) != "hi" {
		t.Errorf("got %q", m.Data)
	}
	buf := make([]byte, 4096)
	n, err := io.ReadAtLeast(conn, buf, 130)
	if err != nil || !strings.Contains(string(buf[:n]), "Sec-WebSocket-Protocol: a\r\n") || !strings.Contains(string(buf[:n]), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") {
		t.Errorf("got %q, %v", buf[:n], err)
	}
}

func TestTLSFallsBackToGoroutines(t *testing.T) {
	t.Parallel()
	e := newEcho()
	server := engineio.NewServer(e, nil)
	ts := httptest.NewTLSServer(server)
	defer ts.Close()
	conn, _, err := websocket.Dial(t.Context(), "wss"+strings.TrimPrefix(ts.URL, "https")+"/?EIO=4&transport=websocket",
		&websocket.DialOptions{HTTPClient: ts.Client()})
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Write(t.Context(), websocket.MessageText, []byte("4over TLS")); err != nil {
		t.Fatal(err)
	}
	for want := range 2 {
		_, data, err := conn.Read(t.Context())
		if err != nil || (want == 1 && string(data) != "4over TLS") {
			t.Fatalf("got %q, %v", data, err)
		}
	}
	s := receive(t, e.sessions)
	if stats := server.Stats().WebSockets; stats.Open != 1 || stats.Polled != 0 || !s.Handshake().Secure() {
		t.Errorf("stats %+v, secure %v", stats, s.Handshake().Secure())
	}
	if err := server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = conn.CloseNow()
	ts.Client().CloseIdleConnections()
}

// TestChurn connects, upgrades, talks and leaves from many goroutines while broadcasts go out, for the race detector.
func TestChurn(t *testing.T) {
	t.Parallel()
	both(t, engineio.Options{}, func(t *testing.T, f *fixture) {
		f.silent = true
		stop := make(chan struct{})
		var broadcasters sync.WaitGroup
		var mu sync.Mutex
		var all []*engineio.Session
		for range 2 {
			broadcasters.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					case s := <-f.sessions:
						mu.Lock()
						all = append(all, s)
						mu.Unlock()
					default:
					}
					p := engineio.Prepare(engineio.Message{Data: fmt.Appendf(nil, "%d", i)})
					mu.Lock()
					for _, s := range all {
						_ = s.Send(p, engineio.SendFlags(i)&(engineio.Deferred|engineio.Volatile))
					}
					mu.Unlock()
				}
			})
		}
		var clients sync.WaitGroup
		for n := range 16 {
			clients.Go(func() {
				for i := range 5 {
					c := f.dial("EIO=4&transport=websocket")
					for range 3 {
						c.send("4x")
						c.read()
					}
					if (n+i)%2 == 0 {
						_ = c.conn.Close(websocket.StatusNormalClosure, "")
					} else {
						_ = c.conn.CloseNow()
					}
				}
			})
		}
		clients.Wait()
		close(stop)
		broadcasters.Wait()
		for range 80 {
			receive(t, f.ends)
		}
		if n := f.server.Len(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
}
