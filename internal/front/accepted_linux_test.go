package front_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"
	"golang.org/x/sys/unix"

	"github.com/peal-dev/peal/internal/front"
)

// acceptedPair returns both ends of a connection that a front leaves to net/http.
func acceptedPair(t *testing.T, keepAlive time.Duration) (server net.Conn, client *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener := front.New(l, &http.Server{Handler: http.NotFoundHandler()}, keepAlive)
	defer listener.Close()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	if _, err := io.WriteString(nc, "ab"); err != nil { // it is not accepted sooner
		t.Fatal(err)
	}
	server, err = listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	p := make([]byte, 1)
	for _, want := range "ab" {
		if n, err := server.Read(p); n != 1 || err != nil || rune(p[0]) != want {
			t.Fatalf("read %q, %v; want %c", p[:n], err, want)
		}
	}
	return server, nc.(*net.TCPConn)
}

func TestAcceptedIsAConn(t *testing.T) {
	t.Parallel()
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		c1, c2 = acceptedPair(t, 0)
		return c1, c2, func() { _ = c1.Close(); _ = c2.Close() }, nil
	})
}

func TestAcceptedHalfClose(t *testing.T) {
	t.Parallel()
	server, client := acceptedPair(t, 0)
	_ = client.SetDeadline(time.Now().Add(20 * time.Second))
	half := server.(interface {
		CloseRead() error
		CloseWrite() error
	})
	if err := half.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if n, err := client.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("the client read %d, %v", n, err)
	}
	if _, err := server.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("write after CloseWrite: %v", err)
	}
	_, _ = client.Write([]byte("c"))
	if n, err := server.Read(make([]byte, 2)); n != 1 || err != nil {
		t.Errorf("read after CloseWrite: %d, %v", n, err)
	}
	if err := half.CloseRead(); err != nil {
		t.Error(err)
	}
	if n, err := server.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("read after CloseRead: %d, %v", n, err)
	}
}

// The errors say the same as those of a *net.TCPConn.
func TestAcceptedErrors(t *testing.T) {
	t.Parallel()
	server, client := acceptedPair(t, 0)
	_ = server.SetReadDeadline(time.Unix(1, 0))
	_, err := server.Read(make([]byte, 1))
	want := fmt.Sprintf("read tcp %v->%v: i/o timeout", client.RemoteAddr(), client.LocalAddr())
	var ne net.Error
	if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() || err.Error() != want {
		t.Errorf("after a deadline: %v, want %s", err, want)
	}
	_ = server.SetReadDeadline(time.Now().Add(20 * time.Second))
	_ = client.SetLinger(0)
	_ = client.Close()
	_, err = server.Read(make([]byte, 1))
	want = fmt.Sprintf("read tcp %v->%v: read: connection reset by peer", client.RemoteAddr(), client.LocalAddr())
	if !errors.Is(err, syscall.ECONNRESET) || err.Error() != want {
		t.Errorf("after a reset: %v, want %s", err, want)
	}
	if err := server.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	half := server.(interface {
		CloseRead() error
		CloseWrite() error
	})
	_, readErr := server.Read(make([]byte, 1))
	_, writeErr := server.Write([]byte("x"))
	file, err := os.Open("accepted_linux_test.go")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	_, sendErr := server.(io.ReaderFrom).ReadFrom(file)
	for what, err := range map[string]error{
		"read": readErr, "write": writeErr, "sendfile": sendErr, "second close": server.Close(), "CloseRead": half.CloseRead(),
		"CloseWrite": half.CloseWrite(), "deadline": server.SetDeadline(time.Time{}),
	} {
		if op := new(net.OpError); !errors.Is(err, net.ErrClosed) || !errors.As(err, &op) {
			t.Errorf("%s of a closed connection: %v", what, err)
		}
	}
}

// The options of a connection are those that package net sets.
func TestAcceptedOptions(t *testing.T) {
	t.Parallel()
	for _, keepAlive := range []time.Duration{0, -1, 1500 * time.Millisecond} {
		l, err := (&net.ListenConfig{KeepAlive: keepAlive}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		usual, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer usual.Close()
		server, _ := acceptedPair(t, keepAlive)
		if got, want := optionsOf(t, server), optionsOf(t, usual); got != want {
			t.Errorf("KeepAlive %v: %+v, want %+v", keepAlive, got, want)
		}
	}
}

type options struct{ noDelay, alive, idle, interval, count, flags, fdFlags int }

func optionsOf(t *testing.T, nc net.Conn) (o options) {
	t.Helper()
	rc, err := nc.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = rc.Control(func(fd uintptr) {
		o.noDelay, _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY)
		o.alive, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE)
		o.idle, _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE)
		o.interval, _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPINTVL)
		o.count, _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPCNT)
		o.flags, _ = unix.FcntlInt(fd, unix.F_GETFL, 0)
		o.fdFlags, _ = unix.FcntlInt(fd, unix.F_GETFD, 0)
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestAcceptedSendsFiles(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("0123456789abcdef"), 9<<16) // more than one system call sends, and than buffers hold
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	received := func(client net.Conn, count int) chan []byte {
		got := make(chan []byte, 1)
		go func() {
			p := make([]byte, count)
			n, _ := io.ReadFull(client, p)
			got <- p[:n]
		}()
		return got
	}
	server, client := acceptedPair(t, 0)
	_ = client.SetDeadline(time.Now().Add(20 * time.Second))
	for _, limit := range []int64{-1, 0, 5, 5 << 20} {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = file.Seek(3, io.SeekStart)
		var source io.Reader = file
		want := content[3:]
		if limit >= 0 {
			source, want = io.LimitReader(file, limit), want[:limit]
		}
		got := received(client, len(want))
		if n, err := server.(io.ReaderFrom).ReadFrom(source); n != int64(len(want)) || err != nil {
			t.Errorf("limit %d: sent %d, %v", limit, n, err)
		}
		if !bytes.Equal(<-got, want) {
			t.Errorf("limit %d: something else arrived", limit)
		}
		_ = file.Close()
		if n, err := server.(io.ReaderFrom).ReadFrom(file); n != 0 || !errors.Is(err, os.ErrClosed) {
			t.Errorf("of a closed file: %d, %v", n, err)
		}
	}
	got := received(client, 6)
	if n, err := server.(io.ReaderFrom).ReadFrom(bytes.NewReader([]byte("memory"))); n != 6 || err != nil || string(<-got) != "memory" {
		t.Errorf("of memory: %d, %v", n, err)
	}
	// Nobody reads: a deadline ends it.
	_ = server.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	for {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		_, err = server.(io.ReaderFrom).ReadFrom(file)
		_ = file.Close()
		if err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("after a deadline: %v", err)
			}
			return
		}
	}
}
