package netconn_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/peal-dev/peal/internal/netconn"
)

// relayed is a relay and the peers of its two ends.
type relayed struct {
	a, b *net.TCPConn
	done chan error
}

func relay(t *testing.T, l *netconn.Loop, readA, readB string) relayed {
	t.Helper()
	a, peerA := pair(t, l, netconn.RelayLimit)
	b, peerB := pair(t, l, netconn.RelayLimit)
	r := relayed{peerA, peerB, make(chan error, 2)}
	netconn.Relay(a, b, []byte(readA), []byte(readB), func(cause error) { r.done <- cause })
	return r
}

func (r relayed) mustEnd(t *testing.T, l *netconn.Loop) error {
	t.Helper()
	cause := receive(t, r.done)
	if n := l.Stats().Conns; n != 0 {
		t.Errorf("%d connections are left", n)
	}
	select {
	case <-r.done:
		t.Error("told twice")
	default:
	}
	return cause
}

func mustRead(t *testing.T, r io.Reader, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("read %d bytes, the same: %v, %v", len(got), bytes.Equal(got, want), err)
	}
}

// What was read before goes first, and everything goes through whole, in both directions at once.
func TestRelayPassesEverythingOn(t *testing.T) {
	both(t, func(t *testing.T, l *netconn.Loop) {
		r := relay(t, l, "from a;", "from b;")
		for _, side := range []struct {
			from, to *net.TCPConn
			first    string
		}{{r.a, r.b, "from a;"}, {r.b, r.a, "from b;"}} {
			payload := make([]byte, 3<<20)
			_, _ = rand.Read(payload)
			sent := make(chan error, 1)
			go func() {
				_, err := side.from.Write(payload)
				sent <- err
			}()
			mustRead(t, side.to, []byte(side.first))
			mustRead(t, side.to, payload)
			if err := receive(t, sent); err != nil {
				t.Fatal(err)
			}
		}
		_ = r.a.Close()
		if _, err := r.b.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the end came as %v", err)
		}
		_ = r.b.Close()
		if cause := r.mustEnd(t, l); cause != nil {
			t.Errorf("ended for %v", cause)
		}
	})
}

// A side that is not read holds up the other, and the relay keeps no more than its window of it.
func TestRelayHoldsBack(t *testing.T) {
	both(t, func(t *testing.T, l *netconn.Loop) {
		r := relay(t, l, "", "")
		chunk := make([]byte, 64<<10)
		_, _ = rand.Read(chunk)
		// It is not known how much kernels keep; that more cannot be sent shows that nobody else does.
		total := 0
		_ = r.a.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		for total < 64<<20 {
			n, err := r.a.Write(chunk)
			total += n
			if err != nil {
				break
			}
		}
		if total >= 64<<20 {
			t.Fatalf("%d bytes went into a relay that nobody reads from", total)
		}
		if got := l.Stats(); got.Slow != 0 || got.Conns != 2 {
			t.Errorf("with a held back side: %+v", got)
		}
		// The other direction goes on meanwhile.
		if _, err := r.b.Write([]byte("still there")); err != nil {
			t.Fatal(err)
		}
		mustRead(t, r.a, []byte("still there"))
		for got := 0; got < total; {
			n := min(len(chunk)-got%len(chunk), total-got)
			at := got % len(chunk)
			mustRead(t, r.b, chunk[at:at+n])
			got += n
		}
		_ = r.a.SetWriteDeadline(time.Now().Add(wait))
		if _, err := r.a.Write([]byte("again")); err != nil {
			t.Fatal(err)
		}
		mustRead(t, r.b, []byte("again"))
		_, _ = r.a.Close(), r.b.Close()
		_ = r.mustEnd(t, l)
	})
}

// One side may end what it sends and still be sent a lot.
func TestRelayHalfCloses(t *testing.T) {
	both(t, func(t *testing.T, l *netconn.Loop) {
		r := relay(t, l, "", "")
		if _, err := r.a.Write([]byte("the last")); err != nil {
			t.Fatal(err)
		}
		_ = r.a.CloseWrite()
		if got, err := io.ReadAll(r.b); err != nil || string(got) != "the last" {
			t.Fatalf("got %q, %v", got, err)
		}
		payload := make([]byte, 2<<20)
		_, _ = rand.Read(payload)
		sent := make(chan error, 1)
		go func() {
			_, err := r.b.Write(payload)
			_ = r.b.CloseWrite()
			sent <- err
		}()
		if got, err := io.ReadAll(r.a); err != nil || !bytes.Equal(got, payload) {
			t.Errorf("after the end of one side %d of %d bytes came of the other: %v", len(got), len(payload), err)
		}
		if err := receive(t, sent); err != nil {
			t.Error(err)
		}
		if cause := r.mustEnd(t, l); cause != nil {
			t.Errorf("ended for %v", cause)
		}
	})
}

// When one side breaks, the other gets what had come of it and an end.
func TestRelayEndsWithEitherSide(t *testing.T) {
	both(t, func(t *testing.T, l *netconn.Loop) {
		for _, name := range []string{"a", "b"} {
			r := relay(t, l, "", "")
			dies, lives := r.a, r.b
			if name == "b" {
				dies, lives = r.b, r.a
			}
			if _, err := dies.Write([]byte("last words")); err != nil {
				t.Fatal(err)
			}
			mustRead(t, lives, []byte("last words"))
			_ = dies.SetLinger(0) // a reset
			_ = dies.Close()
			if _, err := lives.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%s broke, which came as %v", name, err)
			}
			_ = lives.Close()
			if cause := r.mustEnd(t, l); cause == nil {
				t.Errorf("a reset of %s counted as an end in good order", name)
			}
		}
	})
}

// The end of the loop is the end of its relays, also of those that hold something back.
func TestRelayEndsWithTheLoop(t *testing.T) {
	both(t, func(t *testing.T, l *netconn.Loop) {
		idle, busy := relay(t, l, "", ""), relay(t, l, "", "")
		_ = busy.a.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		for chunk := make([]byte, 1<<20); ; {
			if _, err := busy.a.Write(chunk); err != nil {
				break
			}
		}
		l.Close()
		for _, r := range []relayed{idle, busy} {
			if cause := receive(t, r.done); !errors.Is(cause, netconn.ErrLoopClosed) {
				t.Errorf("ended for %v", cause)
			}
		}
	})
}

// What a relay adds to two connections, and to the time of an echo.
func BenchmarkRelay(b *testing.B) {
	echo := func(b *testing.B, relayed bool) {
		var l netconn.Loop
		defer l.Close()
		ends := make([]*net.TCPConn, 2)
		conns := make([]*netconn.Conn, 2)
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		defer ln.Close()
		for i := range ends {
			nc, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer nc.Close()
			accepted, err := ln.Accept()
			if err != nil {
				b.Fatal(err)
			}
			ends[i], conns[i] = nc.(*net.TCPConn), l.Adopt(accepted, netconn.RelayLimit)
		}
		far := ends[1]
		done := make(chan error, 1)
		if relayed {
			netconn.Relay(conns[0], conns[1], nil, nil, func(cause error) { done <- cause })
		} else {
			conns[0].Start(echoer{}, nil)
			conns[1].Close(nil)
			conns[1].Start(echoer{}, nil)
		}
		go func() { // the owner's end
			buf := make([]byte, 4096)
			for {
				n, err := far.Read(buf)
				if err != nil {
					return
				}
				if _, err := far.Write(buf[:n]); err != nil {
					return
				}
			}
		}()
		message := make([]byte, 100)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ends[0].Write(message); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(ends[0], message); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("direct", func(b *testing.B) { echo(b, false) })
	b.Run("relayed", func(b *testing.B) { echo(b, true) })
}

// echoer writes back what arrives.
type echoer struct{}

func (echoer) Data(c *netconn.Conn, p []byte, _ *netconn.Turn) ([]byte, error) {
	return nil, c.Write(bytes.Clone(p), 0)
}
func (echoer) Closed(*netconn.Conn, error) {}
