package netconn_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/peal-dev/peal/internal/netconn"
)

// handler is a Handler made of functions.
type handler struct {
	data   func(c *netconn.Conn, p []byte, turn *netconn.Turn) ([]byte, error)
	closed func(cause error)
}

func (h *handler) Data(c *netconn.Conn, p []byte, turn *netconn.Turn) ([]byte, error) {
	return h.data(c, p, turn)
}

func (h *handler) Closed(_ *netconn.Conn, cause error) {
	if h.closed != nil {
		h.closed(cause)
	}
}

// twoOfOnePoller returns two connections that the same goroutine reads, if any is polled.
func twoOfOnePoller(t *testing.T, l *netconn.Loop) (a, b *netconn.Conn, peerA, peerB *net.TCPConn) {
	t.Helper()
	a, peerA = pair(t, l, 0)
	for {
		b, peerB = pair(t, l, 0)
		if b.Core() == a.Core() {
			return a, b, peerA, peerB
		}
		b.Close(nil)
		b.Start(newRecorder(), nil)
	}
}

// Between two turns of a connection that always has more to do, the others have theirs.
func TestTurnsAlternate(t *testing.T) {
	t.Parallel()
	l := netconn.Loop{Pollers: new(netconn.Pollers)}
	t.Cleanup(l.Close)
	busy, other, busyPeer, otherPeer := twoOfOnePoller(t, &l)

	var turns, asked, answered int64 // the poller's
	done := make(chan struct{})
	const rounds = 20
	other.Start(&handler{data: func(*netconn.Conn, []byte, *netconn.Turn) ([]byte, error) {
		if since := turns - asked; since > 10 { // the kernel may take a moment to hand the bytes over
			t.Errorf("the busy connection had %d turns before the other had one", since)
		}
		asked = -1
		if answered++; answered == rounds {
			close(done)
		}
		return nil, nil
	}}, nil)
	asked = -1
	busy.Start(&handler{data: func(_ *netconn.Conn, p []byte, turn *netconn.Turn) ([]byte, error) {
		turns++
		if asked < 0 && answered < rounds {
			asked = turns
			if _, err := otherPeer.Write([]byte("x")); err != nil {
				t.Error(err)
			}
		}
		for p = p[1:]; len(p) > 0 && !turn.Over(); p = p[1:] {
			clear(make([]byte, 4096)) // some work
		}
		return p, nil
	}}, nil)
	stop := make(chan struct{})
	flood := make(chan struct{})
	go func() {
		defer close(flood)
		for chunk := make([]byte, 64<<10); ; {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := busyPeer.Write(chunk); err != nil {
				return
			}
		}
	}()
	<-done
	close(stop)
	busy.Close(nil)
	<-flood
}

// What a handler leaves is given to it again, with nothing lost, also across a pause.
func TestWhatIsLeftComesAgain(t *testing.T) {
	both(t, func(t *testing.T, l *netconn.Loop) {
		c, peer := pair(t, l, 0)
		sent := make([]byte, 100_000)
		for i := range sent {
			sent[i] = byte(i * 7)
		}
		var got bytes.Buffer
		paused, all := make(chan struct{}), make(chan struct{})
		var isPaused atomic.Bool
		closed := make(chan error, 1)
		h := &handler{closed: func(cause error) { closed <- cause }}
		h.data = func(c *netconn.Conn, p []byte, _ *netconn.Turn) ([]byte, error) {
			if isPaused.Load() {
				t.Error("data arrived while paused")
			}
			n := min(len(p), 7)
			before := got.Len()
			got.Write(p[:n])
			switch {
			case before < 10_000 && got.Len() >= 10_000:
				isPaused.Store(true)
				c.Pause()
				close(paused)
			case got.Len() == len(sent)+3:
				close(all)
			}
			return p[n:], nil
		}
		c.Start(h, []byte("pre"))
		if _, err := peer.Write(sent); err != nil {
			t.Fatal(err)
		}
		receive(t, paused)
		other, otherPeer := pair(t, l, 0)
		r := newRecorder()
		other.Start(r, nil)
		for range 50 { // what is left must not keep the poller busy meanwhile
			if _, err := otherPeer.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			receive(t, r.data)
		}
		isPaused.Store(false)
		c.Resume()
		receive(t, all)
		if !bytes.Equal(got.Bytes(), append([]byte("pre"), sent...)) {
			t.Error("the bytes are not those that were sent")
		}
		_ = peer.Close()
		if cause := receive(t, closed); !errors.Is(cause, io.EOF) {
			t.Errorf("closed for %v", cause)
		}
	})
}

// What a handler has left before a pause comes again after it, also where the kernel has nothing more to tell of.
func TestResumeWithAllRead(t *testing.T) {
	both(t, func(t *testing.T, l *netconn.Loop) {
		c, other, peer, otherPeer := twoOfOnePoller(t, l)
		got, r := make(chan string, 10), newRecorder()
		c.Start(&handler{data: func(c *netconn.Conn, p []byte, _ *netconn.Turn) ([]byte, error) {
			got <- string(p)
			if len(p) > 1 {
				c.Pause()
			}
			return p[1:], nil
		}}, nil)
		other.Start(r, nil)
		if _, err := peer.Write([]byte("abc")); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"abc", "bc", "c"} {
			if text := receive(t, got); text != want {
				t.Errorf("got %q, want %q", text, want)
			}
			for range 20 { // by now the poller has left the paused connection alone
				if _, err := otherPeer.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
				receive(t, r.data)
			}
			c.Resume()
		}
	})
}

// A connection that is closed, or whose peer ends, while it has bytes left is told so once.
func TestEndWithBytesLeft(t *testing.T) {
	both(t, func(t *testing.T, l *netconn.Loop) {
		boom := errors.New("boom")
		for _, end := range []func(c *netconn.Conn) error{
			func(c *netconn.Conn) error { c.Close(boom); return nil },
			func(*netconn.Conn) error { return boom },
		} {
			c, peer := pair(t, l, 0)
			closed := make(chan error, 2)
			calls := 0
			h := &handler{closed: func(cause error) { closed <- cause }}
			h.data = func(c *netconn.Conn, p []byte, _ *netconn.Turn) ([]byte, error) {
				if calls++; calls == 5 {
					return p[1:], end(c)
				}
				return p[1:], nil
			}
			c.Start(h, nil)
			if _, err := peer.Write(make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
			if cause := receive(t, closed); !errors.Is(cause, boom) {
				t.Errorf("closed for %v", cause)
			}
			if calls != 5 {
				t.Errorf("%d calls of Data, want 5", calls)
			}
		}
		c, peer := pair(t, l, 0)
		closed := make(chan error, 1)
		got := 0
		c.Start(&handler{closed: func(cause error) { closed <- cause }, data: func(_ *netconn.Conn, p []byte, _ *netconn.Turn) ([]byte, error) {
			got++
			return p[1:], nil
		}}, nil)
		if _, err := peer.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		_ = peer.Close()
		if cause := receive(t, closed); !errors.Is(cause, io.EOF) || got != 1000 {
			t.Errorf("closed for %v after %d bytes", cause, got)
		}
	})
}

// What is answered during a turn leaves in one write at its end.
func TestAnswersLeaveTogether(t *testing.T) {
	t.Parallel()
	l := netconn.Loop{Pollers: new(netconn.Pollers)}
	defer l.Close()
	c, peer := pair(t, &l, 0)
	const answers = 100
	c.Start(&handler{data: func(c *netconn.Conn, _ []byte, _ *netconn.Turn) ([]byte, error) {
		for range answers {
			if err := c.Write([]byte("answer"), 0); err != nil {
				t.Error(err)
			}
		}
		return nil, nil
	}}, nil)
	if _, err := peer.Write([]byte("question")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(peer, make([]byte, answers*len("answer"))); err != nil {
		t.Fatal(err)
	}
	c.Close(nil)
	l.Close() // so that all is counted
	if got := l.Stats(); got.Writes != 1 || got.Frames != answers {
		t.Errorf("%d answers left in %d writes, want 1", got.Frames, got.Writes)
	}
}

// A turn that ends the connection in good order still sends what it answered.
func TestFinishWithinATurn(t *testing.T) {
	both(t, func(t *testing.T, l *netconn.Loop) {
		for _, goodbye := range []string{"", "bye"} {
			c, peer := pair(t, l, 0)
			c.Start(&handler{data: func(c *netconn.Conn, _ []byte, _ *netconn.Turn) ([]byte, error) {
				_ = c.Write([]byte("answer,"), 0)
				c.Finish([]byte(goodbye))
				return nil, nil
			}}, nil)
			if _, err := peer.Write([]byte("question")); err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(peer); err != nil || string(got) != "answer,"+goodbye {
				t.Errorf("got %q, %v", got, err)
			}
			_ = peer.Close()
		}
	})
}

// A handler that panics loses its connection, and nobody else theirs.
func TestPanicEndsOneConnection(t *testing.T) {
	both(t, func(t *testing.T, l *netconn.Loop) {
		var log syncBuffer
		l.Logger = slog.New(slog.NewTextHandler(&log, nil))
		bad, other, badPeer, otherPeer := twoOfOnePoller(t, l)
		r := newRecorder()
		other.Start(r, nil)
		closed := make(chan error, 1)
		bad.Start(&handler{
			data:   func(*netconn.Conn, []byte, *netconn.Turn) ([]byte, error) { panic("a bug in Data") },
			closed: func(cause error) { closed <- cause; panic("a bug in Closed") },
		}, nil)
		if _, err := badPeer.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		var p *netconn.PanicError
		if cause := receive(t, closed); !errors.As(cause, &p) || p.Value != "a bug in Data" || !strings.Contains(string(p.Stack), "turn_test.go") {
			t.Errorf("closed for %v", cause)
		}
		if _, err := badPeer.Read(make([]byte, 1)); err == nil {
			t.Error("the connection is still open")
		}
		if _, err := otherPeer.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, r.data); string(got) != "hello" {
			t.Errorf("got %q", got)
		}
		// The same within Start, where net/http would have recovered and left locks behind.
		early, _ := pair(t, l, 0)
		early.Start(&handler{data: func(*netconn.Conn, []byte, *netconn.Turn) ([]byte, error) { panic("early") },
			closed: func(cause error) { closed <- cause }}, []byte("x"))
		if cause := receive(t, closed); !errors.As(cause, &p) {
			t.Errorf("closed for %v", cause)
		}
		l.Close()
		if got := l.Stats(); got.Panics != 3 || got.Conns != 0 {
			t.Errorf("stats %+v", got)
		}
		if text := log.String(); strings.Count(text, "panic in a connection's handler") != 3 || !strings.Contains(text, "turn_test.go") {
			t.Errorf("logged %q", text)
		}
	})
}

// The end of a paused connection's peer is seen once it is to finish.
func TestFinishWakesAPausedReader(t *testing.T) {
	both(t, func(t *testing.T, l *netconn.Loop) {
		c, other, peer, otherPeer := twoOfOnePoller(t, l)
		r, r2 := newRecorder(), newRecorder()
		c.Start(r, nil)
		other.Start(r2, nil)
		c.Pause()
		if _, err := peer.Write([]byte("unread")); err != nil {
			t.Fatal(err)
		}
		_ = peer.CloseWrite()
		for range 20 { // by now the end has been seen, and left
			if _, err := otherPeer.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			receive(t, r2.data)
		}
		c.Finish([]byte("bye"))
		if got := receive(t, r.data); string(got) != "unread" {
			t.Errorf("got %q", got)
		}
		if cause := receive(t, r.closed); !errors.Is(cause, io.EOF) {
			t.Errorf("closed for %v", cause)
		}
	})
}
