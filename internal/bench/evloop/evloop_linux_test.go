package evloop_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/peal-dev/peal/internal/bench/evloop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lines is a handler that consumes whole lines.
type lines struct {
	greeting string
	got      []string
	cause    error
	fail     error
}

func (h *lines) Connected(c *evloop.Conn) { c.Write([]byte(h.greeting)) }

func (h *lines) Data(_ *evloop.Conn, p []byte) (consumed int, err error) {
	for {
		line, _, found := bytes.Cut(p[consumed:], []byte("\n"))
		if !found {
			return consumed, h.fail
		}
		h.got = append(h.got, string(line))
		consumed += len(line) + 1
	}
}

func (h *lines) Closed(_ *evloop.Conn, cause error) { h.cause = cause }

// serve accepts one connection and hands it to f, whose end ends it.
func serve(t *testing.T, f func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if c, err := l.Accept(); err == nil {
			f(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func newLoop(t *testing.T) *evloop.Loop {
	t.Helper()
	l, err := evloop.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func pollUntil(t *testing.T, l *evloop.Loop, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen")
		}
		if err := l.Poll(20 * time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWriteAndRead(t *testing.T) {
	t.Parallel()
	// More than the kernel takes at once, in lines that do not end where reads do.
	text := strings.Repeat(strings.Repeat("x", 999)+"\n", 20_000)
	from := make(chan string, 1)
	target := serve(t, func(c net.Conn) {
		from <- c.RemoteAddr().String()
		_, _ = io.CopyN(c, c, int64(len(text)))
	})
	l := newLoop(t)
	h := &lines{greeting: text}
	if _, err := l.Dial(evloop.Source(0, target), target, h); err != nil {
		t.Fatal(err)
	}
	pollUntil(t, l, func() bool { return h.cause != nil })
	if len(h.got) != 20_000 || strings.Join(h.got, "\n")+"\n" != text {
		t.Errorf("%d lines came back", len(h.got))
	}
	if !errors.Is(h.cause, io.EOF) {
		t.Errorf("the end was %v", h.cause)
	}
	if got := <-from; strings.HasPrefix(got, "127.0.0.1:") {
		t.Errorf("the connection came from %s", got)
	}
	if l.Len() != 0 {
		t.Errorf("%d connections are open", l.Len())
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := listener.Addr().(*net.TCPAddr).AddrPort()
	_ = listener.Close()
	l := newLoop(t)
	h := &lines{}
	if _, err := l.Dial(netip.Addr{}, target, h); err != nil {
		t.Fatal(err)
	}
	pollUntil(t, l, func() bool { return h.cause != nil })
	if !strings.Contains(h.cause.Error(), "refused") {
		t.Errorf("got %v", h.cause)
	}
}

func TestHandlerError(t *testing.T) {
	t.Parallel()
	target := serve(t, func(c net.Conn) {
		_, _ = c.Write([]byte("nonsense"))
		_, _ = c.Read(make([]byte, 1)) // until the client hangs up
	})
	l := newLoop(t)
	h := &lines{fail: errors.New("nonsense")}
	if _, err := l.Dial(netip.Addr{}, target, h); err != nil {
		t.Fatal(err)
	}
	pollUntil(t, l, func() bool { return h.cause != nil })
	if !errors.Is(h.cause, h.fail) {
		t.Errorf("got %v", h.cause)
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	goOn, sent := make(chan struct{}), make(chan struct{})
	target := serve(t, func(c net.Conn) {
		_, _ = c.Write([]byte("a\n"))
		<-goOn
		_, _ = c.Write([]byte("b\n"))
		close(sent)
		_, _ = c.Read(make([]byte, 1))
	})
	l := newLoop(t)
	h := &lines{}
	c, err := l.Dial(netip.Addr{}, target, h)
	if err != nil {
		t.Fatal(err)
	}
	pollUntil(t, l, func() bool { return len(h.got) == 1 })
	c.Pause()
	close(goOn)
	<-sent
	if err := l.Poll(0); err != nil || len(h.got) != 1 {
		t.Errorf("a paused connection read %q, %v", h.got, err)
	}
	c.Resume()
	pollUntil(t, l, func() bool { return len(h.got) == 2 })
	c.Close()
	c.Close()
	c.Write([]byte("nobody listens"))
	if h.cause != nil || l.Len() != 0 {
		t.Errorf("after Close: %v, %d connections", h.cause, l.Len())
	}
}

// Little is under way to a narrow connection that does not read.
func TestDialNarrow(t *testing.T) {
	t.Parallel()
	const size = 8 << 20
	took := make(chan int, 1)
	target := serve(t, func(c net.Conn) {
		_ = c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)) // nobody reads, so no time would be enough
		n, _ := c.Write(make([]byte, size))
		took <- n
	})
	l := newLoop(t)
	h := &lines{}
	c, err := l.DialNarrow(evloop.Source(0, target), target, h, 16<<10)
	if err != nil {
		t.Fatal(err)
	}
	c.Pause()
	if n := <-took; n == 0 || n > 1<<20 {
		t.Errorf("%d bytes are under way", n)
	}
	c.Resume()
	pollUntil(t, l, func() bool { return h.cause != nil })
}

func TestSource(t *testing.T) {
	t.Parallel()
	target := netip.MustParseAddrPort("127.0.0.1:1")
	seen := map[netip.Addr]int{}
	for i := 0; i < 3_000_000; i += 100 {
		a := evloop.Source(i, target)
		if !a.IsLoopback() || a == target.Addr() {
			t.Fatalf("connection %d comes from %s", i, a)
		}
		seen[a]++
	}
	for a, n := range seen {
		if n > 100 {
			t.Fatalf("%d00 connections come from %s", n, a)
		}
	}
	for _, elsewhere := range []string{"192.0.2.1:1", "[::1]:1"} {
		if a := evloop.Source(5, netip.MustParseAddrPort(elsewhere)); a.IsValid() {
			t.Errorf("connections to %s come from %s", elsewhere, a)
		}
	}
}

func TestMaxOpen(t *testing.T) {
	t.Parallel()
	if n := evloop.MaxOpen(); n < 64 {
		t.Errorf("%d", n)
	}
}

// A wait of less than a millisecond is one: it is not shorter, nor rounded up.
func TestShortWait(t *testing.T) {
	t.Parallel()
	loop, err := evloop.New()
	if err != nil {
		t.Fatal(err)
	}
	defer loop.Close()
	const wait = 100 * time.Microsecond
	for began := time.Now(); ; { // on a busy machine most take longer
		before := time.Now()
		if err := loop.Poll(wait); err != nil {
			t.Fatal(err)
		}
		switch took := time.Since(before); {
		case took < wait:
			t.Fatalf("it has waited %s", took)
		case took < 900*time.Microsecond:
			return
		case time.Since(began) > time.Minute:
			t.Fatalf("none was that short; the last took %s", took)
		}
	}
}

func TestPin(t *testing.T) {
	t.Parallel()
	cores := func() int {
		var set unix.CPUSet
		if err := unix.SchedGetaffinity(0, &set); err != nil {
			t.Fatal(err)
		}
		return set.Count()
	}
	before := cores()
	release := evloop.Pin()
	if got := cores(); got != 1 {
		t.Errorf("pinned to %d cores", got)
	}
	release()
	if got := cores(); got != before {
		t.Errorf("%d cores afterwards, %d before", got, before)
	}
}
