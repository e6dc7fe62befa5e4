package faultproxy_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/internal/faultproxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a server that answers with its name and what it got.
func echo(t *testing.T, name string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := io.WriteString(c, name); err == nil {
					_, _ = io.Copy(c, c)
				}
			}()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, p *faultproxy.Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func want(t *testing.T, c net.Conn, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
		t.Errorf("read %q, %v, want %q", got, err, text)
	}
}

func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Error(err)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	p := faultproxy.Start(t, echo(t, "one"), echo(t, "two"))
	one := dial(t, p)
	want(t, one, "one")
	two := dial(t, p)
	want(t, two, "two")

	const delay = 30 * time.Millisecond
	p.Delay(delay)
	start := time.Now()
	send(t, one, "slow")
	want(t, one, "slow")
	if took := time.Since(start); took < 2*delay {
		t.Errorf("there and back in %v", took)
	}
	p.Delay(0)

	p.Hold()
	send(t, one, "held")
	if err := one.SetReadDeadline(time.Now().Add(delay)); err != nil {
		t.Fatal(err)
	}
	if n, err := one.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes came through", n)
	}
	if err := one.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	p.Release()
	want(t, one, "held")

	p.Refuse()
	refused := dial(t, p)
	if _, err := refused.Read(make([]byte, 1)); err == nil {
		t.Error("a new connection was admitted")
	}
	send(t, two, "stays")
	want(t, two, "stays")
	p.Admit()
	want(t, dial(t, p), "one")

	p.Cut()
	for _, c := range []net.Conn{one, two} {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("a connection was not cut")
		}
	}
}

// silent fails the test if the connection ends or says something within a moment.
func silent(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(30 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	n, err := c.Read(make([]byte, 1))
	if timeout := net.Error(nil); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("read %d bytes, %v, want none and that the time is over", n, err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
}

// TestCutAgain: those that are there are closed, and each of the next when its server has answered.
func TestCutAgain(t *testing.T) {
	t.Parallel()
	p := faultproxy.Start(t, echo(t, "a"))
	there := dial(t, p)
	want(t, there, "a")
	p.CutAgain(2)
	ended(t, there)
	for range 2 {
		c := dial(t, p)
		want(t, c, "a")
		ended(t, c)
	}
	c := dial(t, p)
	want(t, c, "a")
	send(t, c, "x")
	want(t, c, "x")
}

func ended(t *testing.T, c net.Conn) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("a connection that was cut is there")
	}
}

func TestLosses(t *testing.T) {
	t.Parallel()
	p := faultproxy.Start(t, echo(t, "one"))
	first := dial(t, p)
	want(t, first, "one")

	p.Lose()
	send(t, first, "lost")
	silent(t, first)
	meanwhile := dial(t, p)
	silent(t, meanwhile)
	p.Find()
	for _, dead := range []net.Conn{first, meanwhile} {
		send(t, dead, "still lost")
		silent(t, dead)
	}
	second := dial(t, p)
	want(t, second, "one")

	p.HalfOpen()
	send(t, second, "to nobody")
	silent(t, second)
	want(t, dial(t, p), "one")
	p.Cut()
	for _, c := range []net.Conn{first, second} {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("a dead connection was not cut")
		}
	}
}
