package netconn_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/internal/netconn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const wait = 10 * time.Second

// recorder passes on what a connection's handler is told.
type recorder struct {
	data   chan []byte
	closed chan error
	refuse error
}

func newRecorder() *recorder {
	return &recorder{data: make(chan []byte, 10_000), closed: make(chan error, 1)}
}

func (r *recorder) Data(_ *netconn.Conn, p []byte, _ *netconn.Turn) ([]byte, error) {
	r.data <- bytes.Clone(p)
	return nil, r.refuse
}

func (r *recorder) Closed(_ *netconn.Conn, cause error) { r.closed <- cause }

// pair returns a connection of the loop and its peer.
func pair(t *testing.T, l *netconn.Loop, limit int) (*netconn.Conn, *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	peer, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = peer.Close() })
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = peer.SetDeadline(time.Now().Add(wait))
	return l.Adopt(nc, limit), peer.(*net.TCPConn)
}

func both(t *testing.T, test func(t *testing.T, l *netconn.Loop)) {
	t.Helper()
	t.Parallel()
	for _, goroutines := range []bool{false, true} {
		t.Run(fmt.Sprintf("goroutines=%v", goroutines), func(t *testing.T) {
			t.Parallel()
			l := &netconn.Loop{Goroutines: goroutines, Pollers: new(netconn.Pollers)}
			t.Cleanup(l.Close)
			test(t, l)
		})
	}
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(wait):
		t.Fatalf("waited in vain for a %T", *new(T))
		panic("unreachable")
	}
}

func TestBytesBothWays(t *testing.T) {
	both(t, func(t *testing.T, l *netconn.Loop) {
		c, peer := pair(t, l, 0)
		r := newRecorder()
		c.Start(r, []byte("read before"))
		if got := receive(t, r.data); string(got) != "read before" {
			t.Errorf("got %q", got)
		}
		if _, err := peer.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, r.data); string(got) != "hello" {
			t.Errorf("got %q", got)
		}
		if err := c.Write([]byte("now "), 0); err != nil {
			t.Fatal(err)
		}
		if err := c.Write([]byte("later"), netconn.Deferred); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 9)
		if _, err := io.ReadFull(peer, buf); err != nil || string(buf) != "now later" {
			t.Errorf("got %q, %v", buf, err)
		}
		_ = peer.Close()
		if cause := receive(t, r.closed); !errors.Is(cause, io.EOF) {
			t.Errorf("closed for %v", cause)
		}
		if err := c.Write([]byte("x"), 0); !errors.Is(err, netconn.ErrClosed) {
			t.Errorf("a write to a closed connection: %v", err)
		}
		if got := l.Stats(); got.Conns != 0 || got.Polled != 0 || got.Writes < 1 || got.Frames != 2 {
			t.Errorf("stats %+v", got)
		}
	})
}

// TestOrderUnderPressure sends more than the kernel's buffers hold, in pieces of all sizes and both modes, to a peer that
// reads slowly at first.
func TestOrderUnderPressure(t *testing.T) {
	both(t, func(t *testing.T, l *netconn.Loop) {
		c, peer := pair(t, l, 64<<20)
		c.Start(newRecorder(), nil)
		const n = 20_000
		go func() {
			for i := range n {
				b := make([]byte, 4+i%2000)
				binary.BigEndian.PutUint32(b, uint32(i))
				if err := c.Write(b, netconn.Mode(i)&netconn.Deferred); err != nil {
					t.Errorf("write %d: %v", i, err)
					return
				}
			}
		}()
		buf := make([]byte, 4+2000)
		for i := range n {
			if _, err := io.ReadFull(peer, buf[:4+i%2000]); err != nil {
				t.Fatalf("message %d: %v", i, err)
			}
			if got := binary.BigEndian.Uint32(buf); got != uint32(i) {
				t.Fatalf("message %d arrived in place of %d", got, i)
			}
		}
		// What the peer has may be about to be counted: the writer is behind its system call.
		for begin := time.Now(); c.Queued() > 0; {
			if time.Since(begin) > wait {
				t.Fatalf("%d bytes are still queued", c.Queued())
			}
		}
	})
}

// TestMessagesOfManyWritersStayWhole writes from many goroutines at once.
func TestMessagesOfManyWritersStayWhole(t *testing.T) {
	both(t, func(t *testing.T, l *netconn.Loop) {
		c, peer := pair(t, l, 64<<20)
		c.Start(newRecorder(), nil)
		const writers, each, size = 8, 500, 1000
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					_ = c.Write(bytes.Repeat([]byte{byte(w)}, size), netconn.Mode(i)&netconn.Deferred)
				}
			})
		}
		buf := make([]byte, size)
		for range writers * each {
			if _, err := io.ReadFull(peer, buf); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(buf, bytes.Repeat(buf[:1], size)) {
				t.Fatal("two messages are mixed")
			}
		}
		wg.Wait()
	})
}

func TestBound(t *testing.T) {
	both(t, func(t *testing.T, l *netconn.Loop) {
		const limit = 256 << 10
		c, peer := pair(t, l, limit)
		r := newRecorder()
		c.Start(r, nil)
		block := make([]byte, 32<<10)
		fill := func(mode netconn.Mode) (err error) {
			for begin := time.Now(); err == nil && time.Since(begin) < wait; {
				err = c.Write(block, mode)
			}
			return err
		}
		if err := fill(netconn.Droppable); !errors.Is(err, netconn.ErrDropped) {
			t.Fatalf("droppable: %v", err)
		}
		if !c.Busy() {
			t.Error("a connection that drops is not busy")
		}
		if err := fill(0); !errors.Is(err, netconn.ErrSlow) {
			t.Fatalf("got %v", err)
		}
		if got := c.Queued(); got > limit {
			t.Errorf("%d bytes are queued, the limit is %d", got, limit)
		}
		if got := l.Stats(); got.Slow != 1 || got.Dropped != 1 {
			t.Errorf("stats %+v", got)
		}
		// The peer wakes up: what was taken arrives, and the connection is as good as new.
		go func() { _, _ = io.Copy(io.Discard, peer) }()
		for begin := time.Now(); c.Queued() > 0; {
			if time.Since(begin) > wait {
				t.Fatal("the queue does not drain")
			}
			if err := c.Write([]byte("x"), netconn.Droppable); err != nil && !errors.Is(err, netconn.ErrDropped) {
				t.Fatal(err)
			}
		}
		if err := c.Write(make([]byte, 2*limit), 0); err != nil {
			t.Errorf("a single message longer than the limit: %v", err)
		}
		c.Close(nil)
		receive(t, r.closed)
	})
}

// A queue that is full because nobody has written it yet says nothing about the peer.
func TestBoundIsAboutThePeer(t *testing.T) {
	both(t, func(t *testing.T, l *netconn.Loop) {
		c, peer := pair(t, l, 64<<10)
		r := newRecorder()
		c.Start(r, nil)
		const n, size = 40, 17 << 10  // less than the kernel takes for a peer that does not read
		messages := make([][]byte, n) // made before, so that the writes follow each other at once
		for i := range messages {
			messages[i] = bytes.Repeat([]byte{byte(i)}, size)
		}
		for i, message := range messages {
			if err := c.Write(message, netconn.Deferred); err != nil {
				t.Fatalf("write %d of %d: %v", i, n, err)
			}
		}
		got := make([]byte, n*size)
		if _, err := io.ReadFull(peer, got); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if got[i*size] != byte(i) || got[(i+1)*size-1] != byte(i) {
				t.Errorf("message %d is not where it belongs", i)
			}
		}
		if got := l.Stats(); got.Slow != 0 {
			t.Errorf("stats %+v", got)
		}
		c.Close(nil)
		receive(t, r.closed)
	})
}

func TestPauseAndResume(t *testing.T) {
	both(t, func(t *testing.T, l *netconn.Loop) {
		c, peer := pair(t, l, 0)
		r := newRecorder()
		c.Start(r, nil)
		c.Pause()
		if _, err := peer.Write([]byte("held")); err != nil {
			t.Fatal(err)
		}
		other, otherPeer := pair(t, l, 0)
		r2 := newRecorder()
		other.Start(r2, nil)
		for range 100 { // the poller is alive and well meanwhile
			if _, err := otherPeer.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			receive(t, r2.data)
		}
		if len(r.data) > 0 {
			t.Errorf("%q arrived while paused", <-r.data)
		}
		c.Resume()
		c.Resume()
		if got := receive(t, r.data); string(got) != "held" {
			t.Errorf("got %q", got)
		}
		c.Pause()
		c.Close(nil)
		receive(t, r.closed)
	})
}

// TestDescriptorsAreNotMixedUp closes connections while others write to them and new ones take their numbers. A byte of
// one connection that arrives at another would show.
func TestDescriptorsAreNotMixedUp(t *testing.T) {
	both(t, func(t *testing.T, l *netconn.Loop) {
		var wg sync.WaitGroup
		for id := range byte(8) {
			wg.Go(func() {
				for range 50 {
					c, peer := pair(t, l, 0)
					r := newRecorder()
					c.Start(r, nil)
					writer := make(chan struct{})
					go func() {
						defer close(writer)
						for c.Write(bytes.Repeat([]byte{id}, 100), netconn.Deferred) == nil { // until it is closed
						}
					}()
					buf := make([]byte, 4096)
					for range 5 {
						n, err := peer.Read(buf)
						if err != nil {
							t.Errorf("read: %v", err)
							break
						}
						if i := bytes.IndexFunc(buf[:n], func(b rune) bool { return b != rune(id) }); i >= 0 {
							t.Errorf("connection %d received a byte of %d", id, buf[i])
						}
					}
					c.Close(nil)
					receive(t, r.closed)
					<-writer
					_ = peer.Close()
				}
			})
		}
		wg.Wait()
	})
}

func TestTakeover(t *testing.T) {
	both(t, func(t *testing.T, l *netconn.Loop) {
		r := newRecorder()
		ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			c, buffered, err := l.Takeover(w, 0)
			if err != nil {
				t.Error(err)
				return
			}
			_ = c.Write([]byte("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"), 0)
			c.Start(r, buffered)
		}))
		defer ts.Close()
		conn, err := net.Dial("tcp", ts.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\nbehind the request")
		if got := receive(t, r.data); string(got) != "behind the request" {
			t.Errorf("got %q", got)
		}
		_ = conn.Close()
		receive(t, r.closed)
		if _, _, err := l.Takeover(httptest.NewRecorder(), 0); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("a writer that cannot be taken over: %v", err)
		}
	})
}

func BenchmarkWriteNow(b *testing.B) { benchmarkWrite(b, 0) }
func BenchmarkDeferred(b *testing.B) { benchmarkWrite(b, netconn.Deferred) }

func benchmarkWrite(b *testing.B, mode netconn.Mode) {
	var l netconn.Loop
	defer l.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	peer, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer peer.Close()
	nc, err := ln.Accept()
	if err != nil {
		b.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, peer) }()
	c := l.Adopt(nc, 64<<20)
	c.Start(newRecorder(), nil)
	frame := make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		for c.Busy() { // the peer shares the machine
			runtime.Gosched()
		}
		if err := c.Write(frame, mode); err != nil {
			b.Fatal(err)
		}
	}
}
