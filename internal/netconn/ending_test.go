package netconn_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/peal-dev/peal/internal/netconn"
)

func TestFinishFlushesAndWaitsForThePeer(t *testing.T) {
	both(t, func(t *testing.T, l *netconn.Loop) {
		c, peer := pair(t, l, 64<<20)
		r := newRecorder()
		c.Start(r, nil)
		const size = 8 << 20 // more than the kernel takes at once
		if err := c.Write(make([]byte, size), 0); err != nil {
			t.Fatal(err)
		}
		c.Finish([]byte("bye"))
		if err := c.Write([]byte("x"), 0); !errors.Is(err, netconn.ErrClosed) {
			t.Errorf("a write after Finish: %v", err)
		}
		got, err := io.ReadAll(peer)
		if err != nil || len(got) != size+3 || !bytes.HasSuffix(got, []byte("bye")) {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
		if _, err := peer.Write([]byte("answer")); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, r.data); string(got) != "answer" {
			t.Errorf("got %q", got)
		}
		_ = peer.CloseWrite()
		if cause := receive(t, r.closed); !errors.Is(cause, io.EOF) {
			t.Errorf("closed for %v", cause)
		}
	})
}

func TestHangUpFlushesAndDoesNotWait(t *testing.T) {
	both(t, func(t *testing.T, l *netconn.Loop) {
		c, peer := pair(t, l, 64<<20)
		r := newRecorder()
		c.Start(r, nil)
		const size = 8 << 20
		if err := c.Write(make([]byte, size), 0); err != nil {
			t.Fatal(err)
		}
		c.HangUp()
		if got, err := io.ReadAll(peer); err != nil || len(got) != size {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
		receive(t, r.closed) // though the peer has not closed its side
	})
}

func TestCloseTellsTheFirstCause(t *testing.T) {
	both(t, func(t *testing.T, l *netconn.Loop) {
		c, peer := pair(t, l, 0)
		r := newRecorder()
		c.Start(r, nil)
		boom := errors.New("boom")
		c.Close(boom)
		c.Close(errors.New("later"))
		if cause := receive(t, r.closed); !errors.Is(cause, boom) {
			t.Errorf("closed for %v", cause)
		}
		if _, err := peer.Read(make([]byte, 1)); err == nil {
			t.Error("the peer is still connected")
		}
	})
}

func TestHandlerErrorCloses(t *testing.T) {
	both(t, func(t *testing.T, l *netconn.Loop) {
		c, peer := pair(t, l, 0)
		r := newRecorder()
		r.refuse = errors.New("bad bytes")
		c.Start(r, nil)
		if _, err := peer.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if cause := receive(t, r.closed); !errors.Is(cause, r.refuse) {
			t.Errorf("closed for %v", cause)
		}
		other, _ := pair(t, l, 0)
		r2 := newRecorder()
		r2.refuse = r.refuse
		other.Start(r2, []byte("bad from the start"))
		if cause := receive(t, r2.closed); !errors.Is(cause, r.refuse) {
			t.Errorf("closed for %v", cause)
		}
	})
}

func TestCloseBeforeStart(t *testing.T) {
	both(t, func(t *testing.T, l *netconn.Loop) {
		c, peer := pair(t, l, 0)
		boom := errors.New("boom")
		c.Close(boom)
		r := newRecorder()
		c.Start(r, nil)
		if cause := receive(t, r.closed); !errors.Is(cause, boom) {
			t.Errorf("closed for %v", cause)
		}
		if _, err := peer.Read(make([]byte, 1)); err == nil {
			t.Error("the peer is still connected")
		}
	})
}

func TestLoopCloseEndsEverything(t *testing.T) {
	both(t, func(t *testing.T, l *netconn.Loop) {
		recorders := make([]*recorder, 20)
		for i := range recorders {
			c, _ := pair(t, l, 0)
			recorders[i] = newRecorder()
			c.Start(recorders[i], nil)
		}
		l.Close()
		l.Close()
		for _, r := range recorders {
			if cause := receive(t, r.closed); !errors.Is(cause, netconn.ErrLoopClosed) {
				t.Errorf("closed for %v", cause)
			}
		}
		c, peer := pair(t, l, 0)
		r := newRecorder()
		c.Start(r, nil)
		if cause := receive(t, r.closed); !errors.Is(cause, netconn.ErrLoopClosed) {
			t.Errorf("adopted late, closed for %v", cause)
		}
		if _, err := peer.Read(make([]byte, 1)); err == nil {
			t.Error("the peer is still connected")
		}
	})
}
