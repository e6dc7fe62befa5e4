package rival_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/internal/faultproxy"
	"github.com/peal-dev/peal/internal/rival"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server answers with what it is sent.
func server(t *testing.T) (addr string) {
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
			go func() { defer c.Close(); _, _ = io.Copy(c, c) }()
		}
	}()
	return l.Addr().String()
}

func open(t *testing.T, w *rival.Watcher, p *faultproxy.Proxy) net.Conn {
	t.Helper()
	c, err := w.Open(t.Context(), func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", p.Addr())
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func ask(t *testing.T, c net.Conn) error {
	t.Helper()
	if _, err := c.Write([]byte("x")); err != nil {
		return err
	}
	_, err := c.Read(make([]byte, 1))
	return err
}

func TestDeadAndSlow(t *testing.T) {
	t.Parallel()
	p := faultproxy.Start(t, server(t))
	w := &rival.Watcher{Probe: []byte("?"), Suspicion: 200 * time.Millisecond}
	t.Cleanup(w.Close)

	c := open(t, w, p)
	if err := ask(t, c); err != nil {
		t.Errorf("a connection that is well: %v", err)
	}
	p.Hold() // no rival is answered either
	goesOn := time.AfterFunc(time.Second, p.Release)
	defer goesOn.Stop()
	if err := ask(t, c); err != nil {
		t.Errorf("a server that hangs: %v", err)
	}
	p.Delay(400 * time.Millisecond) // longer than the suspicion, there and back
	if err := ask(t, c); err != nil {
		t.Errorf("a long way: %v", err)
	}
	p.Delay(0)

	for name, kill := range map[string]func(){"half-open": p.HalfOpen, "lost": func() { p.Lose(); p.Find() }} {
		c := open(t, w, p)
		if err := ask(t, c); err != nil {
			t.Fatal(err)
		}
		kill()
		if err := ask(t, c); !errors.Is(err, rival.ErrDead) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCloseEndsTheWatch(t *testing.T) {
	t.Parallel()
	p := faultproxy.Start(t, server(t))
	w := &rival.Watcher{Probe: []byte("?"), Suspicion: time.Millisecond}
	c := open(t, w, p)
	w.Close()
	w.Close()
	if err := ask(t, c); err != nil {
		t.Error(err)
	}
	if err := ask(t, open(t, w, p)); err != nil {
		t.Error(err)
	}
}
