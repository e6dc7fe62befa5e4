package rival_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
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

// counted is a connection of which it is known whether it is open.
type counted struct {
	net.Conn
	once sync.Once
	open *atomic.Int32
}

func (c *counted) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}

// TestGreeting finds a connection dead on which nothing has come yet, sooner than others; and while a rival may be lost as
// well, there is another.
func TestGreeting(t *testing.T) {
	t.Parallel()
	p := faultproxy.Start(t, server(t))
	w := &rival.Watcher{Probe: []byte("?"), Suspicion: time.Hour}
	t.Cleanup(w.Close)
	p.Lose()
	var open atomic.Int32
	dialed := make(chan int32, 100) // with how many there were
	c, err := w.Open(t.Context(), func(ctx context.Context) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.Addr())
		if err != nil {
			return nil, err
		}
		dialed <- open.Add(1)
		return &counted{Conn: conn, open: &open}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	answer := make(chan error, 1)
	go func() { answer <- ask(t, c) }()
	for n := range dialed {
		if n == 3 { // itself, a rival that waits in vain, and the next one
			break
		}
	}
	p.Find()
	if err := <-answer; !errors.Is(err, rival.ErrDead) {
		t.Errorf("a connection that was not greeted: %v", err)
	}
}

// A connection that is closed has no rivals any more: one that was never answered would have them for ever, one after another.
func TestClosed(t *testing.T) {
	t.Parallel()
	p := faultproxy.Start(t, server(t))
	w := &rival.Watcher{Probe: []byte("?"), Suspicion: time.Hour}
	t.Cleanup(w.Close)
	p.Lose()
	silent := func(dialed func()) net.Conn {
		c, err := w.Open(t.Context(), func(ctx context.Context) (net.Conn, error) {
			dialed()
			return (&net.Dialer{}).DialContext(ctx, "tcp", p.Addr())
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		return c
	}
	var ofClosed atomic.Int32
	closed := silent(func() { ofClosed.Add(1) })
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	may := ofClosed.Load() + 1 // one may have been about to begin
	dialed := make(chan struct{}, 100)
	silent(func() { dialed <- struct{}{} })
	for range 6 { // itself, and its rivals
		<-dialed
	}
	if n := ofClosed.Load(); n > may {
		t.Errorf("a closed connection had %d rivals", n-1)
	}
}

// echoes is an exchange in which each byte is answered by one.
type echoes struct{ asked, answered atomic.Int64 }

func (e *echoes) Asked(p []byte)    { e.asked.Add(int64(len(p))) }
func (e *echoes) Answered(p []byte) { e.answered.Add(int64(len(p))) }
func (e *echoes) Due() bool         { return e.asked.Load() > e.answered.Load() }

// A part of an answer came, and the rest gets lost: that something came after the question does not mean that nothing is due.
func TestPartOfAnAnswer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() { // answers the first byte of what each connection writes
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, 1)
				_, _ = c.Read(b)
				_, _ = c.Write(b)
				_, _ = io.Copy(io.Discard, c)
			}()
		}
	}()
	w := &rival.Watcher{Probe: []byte("?"), Suspicion: 100 * time.Millisecond, Exchange: func() rival.Exchange { return new(echoes) }}
	t.Cleanup(w.Close)
	dial := func() net.Conn {
		c, err := w.Open(t.Context(), func(ctx context.Context) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", l.Addr().String())
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	whole, part := dial(), dial()
	if err := ask(t, whole); err != nil {
		t.Fatal(err)
	}
	if _, err := part.Write([]byte("xy")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(part, make([]byte, 2)); !errors.Is(err, rival.ErrDead) {
		t.Errorf("a connection on which half an answer came: %v", err)
	}
	// Nothing is due on the other, which has been silent for as long.
	if err := whole.SetReadDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	var timeout net.Error
	if _, err := whole.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("a connection on which nothing is due: %v", err)
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
