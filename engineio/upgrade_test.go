package engineio_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/peal-dev/peal/engineio"
)

// upgrade moves a polling client to WebSocket.
func (p *poller) upgrade() *wsClient {
	p.Helper()
	c := p.dial("EIO=4&transport=websocket&sid=" + p.sid)
	c.send("2probe")
	if got := c.read(); got != "3probe" {
		p.Fatalf("the probe was answered with %q", got)
	}
	p.expect(p.poll(), 200, "6")
	c.send("5")
	return c
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	both(t, engineio.Options{}, func(t *testing.T, f *fixture) {
		p := f.openPolling()
		c := p.upgrade()
		c.send("4hello")
		if got := c.read(); got != "4hello" {
			t.Errorf("got %q", got)
		}
		if s := receive(t, f.sessions); s.Transport() != engineio.WebSocket || f.server.Stats().Upgrades != 1 {
			t.Errorf("transport %s after %d upgrades", s.Transport(), f.server.Stats().Upgrades)
		}
		f.expect(p.poll(), 400, `{"code":3,"message":"Bad request"}`)
		f.expect(p.post("4x"), 400, `{"code":3,"message":"Bad request"}`)
		if got := f.dial("EIO=4&transport=websocket&sid=" + p.sid).closeCode(); got != websocket.StatusNoStatusRcvd {
			t.Errorf("a second WebSocket was closed with %d", got)
		}
		c.send("4still")
		if got := c.read(); got != "4still" {
			t.Errorf("got %q", got)
		}
	})
}

func TestWhatWaitsMovesAlong(t *testing.T) {
	t.Parallel()
	both(t, engineio.Options{}, func(t *testing.T, f *fixture) {
		p := f.openPolling()
		s := receive(t, f.sessions)
		c := f.dial("EIO=4&transport=websocket&sid=" + p.sid)
		c.send("2probe")
		c.read()
		for i := range 100 {
			m := engineio.Message{Data: fmt.Appendf(nil, "%d", i), Binary: i%3 == 0}
			if err := s.Send(engineio.Prepare(m), engineio.SendFlags(i%2)*engineio.Deferred); err != nil {
				t.Fatal(err)
			}
		}
		c.send("5")
		for i := range 100 {
			want := fmt.Sprintf("4%d", i)
			if i%3 == 0 {
				want = want[1:]
			}
			if got := c.read(); got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
	})
}

// TestMoreThanAWebSocketMayHoldMovesAlong upgrades with a backlog beyond SendBuffer, and goes on sending.
func TestMoreThanAWebSocketMayHoldMovesAlong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ buffer, n, size int }{{4 << 10, 200, 20}, {4 << 10, 4000, 1000}, {1 << 20, 7, 1 << 20}} {
		both(t, engineio.Options{SendBuffer: tt.buffer}, func(t *testing.T, f *fixture) {
			p := f.openPolling()
			s := receive(t, f.sessions)
			c := f.dial("EIO=4&transport=websocket&sid=" + p.sid)
			c.send("2probe")
			c.read()
			send := func(i int) {
				if err := s.Send(engineio.Prepare(engineio.Message{Data: fmt.Appendf(nil, "%0*d", tt.size, i)}), 0); err != nil {
					t.Fatalf("message %d: %v", i, err)
				}
			}
			for i := range tt.n {
				send(i)
			}
			c.send("5")
			c.send("4x") // by the time this one is there, the upgrade is complete, and the client has not read a byte
			receive(t, f.messages)
			send(tt.n)
			f.expectRun(c, tt.n, tt.size)
		})
	}
}

// expectRun reads the numbered messages that were sent to c, among which is the echo of its own.
func (f *fixture) expectRun(c *wsClient, n, size int) {
	f.Helper()
	for next := 0; next <= n; {
		got := c.read()
		if got == "4x" {
			continue
		}
		if want := fmt.Sprintf("4%0*d", size, next); got != want {
			f.Fatalf("got %.20s…, want message %d", got, next)
		}
		next++
	}
}

// TestAnUpgradeThatLosesWhatWaitedEndsTheSession completes an upgrade on a connection that takes nothing any more.
func TestAnUpgradeThatLosesWhatWaitedEndsTheSession(t *testing.T) {
	t.Parallel()
	bubble(t, engineio.Options{SendBuffer: 64}, &http.Server{}, func(t *testing.T, f *fixture, network *pipes) {
		p := f.openPolling()
		s := receive(t, f.sessions)
		conn := network.dial()
		defer conn.Close()
		fmt.Fprintf(conn, "GET /?%s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", strings.Replace(p.query, "=polling", "=websocket", 1))
		if err := s.Send(engineio.Prepare(engineio.Message{Data: []byte("waits")}), 0); err != nil {
			t.Fatal(err)
		}
		frame := func(text string) { conn.Write(append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...)) }
		for range 20 {
			frame("2probe") // whose answers nobody reads
		}
		frame("5")
		if got := receive(t, f.ends); got.reason != engineio.TransportError || !errors.Is(got.cause, engineio.ErrSlowConsumer) {
			t.Errorf("ended with %v", got)
		}
	})
}

func TestNothingIsLostOrReorderedWhileUpgrading(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	p := f.openPolling()
	s := receive(t, f.sessions)
	const n = 2000
	go func() {
		for i := range n {
			_ = s.Send(engineio.Prepare(engineio.Message{Data: fmt.Appendf(nil, "%d", i)}), 0)
		}
	}()
	next := 0
	expect := func(packet string) {
		if packet == "6" {
			return
		}
		if want := fmt.Sprintf("4%d", next); packet != want {
			t.Fatalf("got %q, want %q", packet, want)
		}
		next++
	}
	poll := func() (noop bool) {
		for packet := range strings.SplitSeq(p.poll().body, "\x1e") {
			noop = noop || packet == "6"
			expect(packet)
		}
		return noop
	}
	poll()
	c := f.dial("EIO=4&transport=websocket&sid=" + p.sid)
	c.send("2probe")
	if got := c.read(); got != "3probe" {
		t.Fatalf("got %q", got)
	}
	for next < n && !poll() { // a client polls until it is told to stop
	}
	c.send("5")
	for next < n {
		expect(c.read())
	}
}

func TestUpgradeIsAbandoned(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, packet string }{
		{"by a message", "4hello"}, {"by a ping without probe", "2"}, {"by garbage", "abc"}, {"by base64 garbage", "b!"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, nil)
			p := f.openPolling()
			c := f.dial("EIO=4&transport=websocket&sid=" + p.sid)
			c.send(tt.packet)
			if got := c.closeCode(); got != websocket.StatusNoStatusRcvd {
				t.Errorf("closed with %d", got)
			}
			p.post("4alive")
			f.expect(p.poll(), 200, "4alive")
			p.upgrade() // another attempt may succeed
		})
	}
}

func TestUpgradeWithoutProbe(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	p := f.openPolling()
	c := f.dial("EIO=4&transport=websocket&sid=" + p.sid)
	c.send("5")
	c.send("4hello")
	if got := c.read(); got != "4hello" {
		t.Errorf("got %q", got)
	}
}

func TestPollThatIsParkedWhenTheUpgradeCompletes(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	p := f.openPolling()
	parked := p.pollAsync()
	f.parked(p)
	c := f.dial("EIO=4&transport=websocket&sid=" + p.sid)
	c.send("5")
	f.expect(receive(t, parked), 400, `{"code":3,"message":"Bad request"}`)
	c.send("4hello")
	if got := c.read(); got != "4hello" {
		t.Errorf("got %q", got)
	}
}

func TestUpgradeTimeout(t *testing.T) {
	t.Parallel()
	f := start(t, &engineio.Options{UpgradeTimeout: 50 * time.Millisecond})
	p := f.openPolling()
	c := f.dial("EIO=4&transport=websocket&sid=" + p.sid)
	if got := c.closeCode(); got != websocket.StatusNoStatusRcvd {
		t.Errorf("closed with %d", got)
	}
	p.post("4alive")
	f.expect(p.poll(), 200, "4alive")
}

func TestSecondUpgradeAtATimeIsClosed(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	p := f.openPolling()
	first := f.dial("EIO=4&transport=websocket&sid=" + p.sid)
	first.send("2probe")
	first.read()
	if got := f.dial("EIO=4&transport=websocket&sid=" + p.sid).closeCode(); got != websocket.StatusNoStatusRcvd {
		t.Errorf("closed with %d", got)
	}
	first.send("5")
	first.send("4mine")
	if got := first.read(); got != "4mine" {
		t.Errorf("got %q", got)
	}
}

func TestSessionThatEndsWhileUpgrading(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	p := f.openPolling()
	c := f.dial("EIO=4&transport=websocket&sid=" + p.sid)
	c.send("2probe")
	c.read()
	receive(t, f.sessions).Close()
	c.closeCode()
	f.expect(p.poll(), 200, "6\x1e1")
	f.ended(engineio.ForcedClose)
}

func TestDisabledUpgrades(t *testing.T) {
	t.Parallel()
	for _, opts := range []engineio.Options{{DisableUpgrades: true}, {Transports: []string{engineio.Polling}}} {
		f := start(t, &opts)
		if o := f.parseOpen(f.do("GET", "EIO=4&transport=polling", "").body); len(o.Upgrades) != 0 {
			t.Errorf("%+v offers %v", opts, o.Upgrades)
		}
	}
}
