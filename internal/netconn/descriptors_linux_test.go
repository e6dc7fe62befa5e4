package netconn_test

import (
	"io"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/peal-dev/peal/internal/netconn"
)

// A process that is out of descriptors when its first connection comes reads it all the same, says so, and has pollers as
// soon as it can.
func TestPollersComeWhenThereAreDescriptors(t *testing.T) { // not parallel: the limit is the process's
	var log syncBuffer
	l := netconn.Loop{Pollers: new(netconn.Pollers), Logger: slog.New(slog.NewTextHandler(&log, nil))}
	defer l.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var peers, accepted [3]net.Conn
	for i := range peers {
		if peers[i], err = net.Dial("tcp", ln.Addr().String()); err != nil {
			t.Fatal(err)
		}
		defer peers[i].Close() // a few
		if accepted[i], err = ln.Accept(); err != nil {
			t.Fatal(err)
		}
	}
	talk := func(i int) {
		r := newRecorder()
		c := l.Adopt(accepted[i], 0)
		c.Start(r, nil)
		if _, err := peers[i].Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		receive(t, r.data)
		if err := c.Write([]byte("hello"), 0); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(peers[i], make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
	}
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 3, Max: old.Max}); err != nil { // those there are stay
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old) // it was so before
	talk(0)
	talk(1)
	if got := l.Stats(); got.Conns != 2 || got.Polled != 0 || got.Unpolled != 2 {
		t.Errorf("without descriptors: %+v", got)
	}
	if n := strings.Count(log.String(), "a poller cannot be made"); n != 1 {
		t.Errorf("%d complaints in the log, want 1: %s", n, log.String())
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	talk(2)
	if got := l.Stats(); got.Conns != 3 || got.Polled != 1 {
		t.Errorf("with descriptors again: %+v", got)
	}
	if !strings.Contains(log.String(), "all pollers are there") {
		t.Errorf("logged %q", log.String())
	}
}
