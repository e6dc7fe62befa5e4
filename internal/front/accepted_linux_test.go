package front_test

import (
	"bytes"
	"context"
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
	"github.com/peal-dev/peal/internal/netconn"
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

// A connection of which something is still to be read is not watched by a poller, which would not see it.
func TestAdoptAccepted(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener := front.New(l, &http.Server{Handler: http.NotFoundHandler()}, 0)
	defer listener.Close()
	loop := new(netconn.Loop)
	defer loop.Close()
	for _, read := range []bool{false, true} {
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		_ = client.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = io.WriteString(client, "a")
		server, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		var buffered []byte
		if read {
			buffered = make([]byte, 1)
			_, _ = server.Read(buffered)
		}
		loop.Adopt(server, 0).Start(echoing{}, buffered)
		p := make([]byte, 2)
		_, err = io.ReadFull(client, p[:1])
		_, _ = io.WriteString(client, "b")
		_, err2 := io.ReadFull(client, p[1:])
		if err := errors.Join(err, err2); err != nil || string(p) != "ab" {
			t.Errorf("read before %v: got %q, %v", read, p, err)
		}
		if got := loop.Stats().Polled == 1; got != read {
			t.Errorf("read before %v: polled %v", read, got)
		}
	}
}

// Addresses are those that a plain listener reports, whoever serves the request.
func TestFrontAddresses(t *testing.T) {
	t.Parallel()
	for _, test := range [][]string{
		{"127.0.0.1:0", "127.0.0.1"}, {"[::1]:0", "::1"}, {":0", "127.0.0.1", "::1"}, {"0.0.0.0:0", "127.0.0.1"},
	} {
		l, err := net.Listen("tcp", test[0])
		if err != nil {
			t.Fatal(err)
		}
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			local := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
			fmt.Fprintf(w, "%v %s %v", front.Direct(w), r.RemoteAddr, local)
		})
		server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
		served := make(chan error, 1)
		listener := front.New(l, server, 0) // before anybody connects: it decides when a connection is accepted
		go func() { served <- server.Serve(listener) }()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		for _, host := range test[1:] {
			for direct, head := range map[bool]string{
				true: fmt.Sprintf(upgradeHead, "/"), false: "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
			} {
				f := &frontFixture{addr: net.JoinHostPort(host, port)}
				nc, r := f.dial(t, head)
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				got := make([]byte, 200)
				n, _ := io.ReadFull(resp.Body, got)
				_ = resp.Body.Close()
				if want := fmt.Sprintf("%v %v %v", direct, nc.LocalAddr(), nc.RemoteAddr()); string(got[:n]) != want {
					t.Errorf("%s by %s: %q, want %q", test[0], host, got[:n], want)
				}
				_ = nc.Close()
			}
		}
		_ = server.Close()
		<-served
	}
	loopback, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	for scope, want := range map[uint32]string{0: "[fe80::1]:443", uint32(loopback.Index): "[fe80::1%lo]:443", 9999: "[fe80::1%9999]:443"} {
		if got := front.AddrPort([16]byte{0: 0xfe, 1: 0x80, 15: 1}, 443, scope); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// What net/http does with a connection works behind a front: requests one after the other and ahead of their answers,
// noticing that a client has gone, hijacking, and shutting down.
func TestFrontServesHTTP(t *testing.T) {
	t.Parallel()
	gone, entered := make(chan struct{}), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/wait", func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		close(gone)
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s\n", r.URL.RawQuery, body)
	})
	mux.HandleFunc("/hijack", func(w http.ResponseWriter, _ *http.Request) {
		nc, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Errorf("hijack: %v", err)
			return
		}
		defer nc.Close()
		line, err := rw.ReadString('\n')
		_, _ = io.WriteString(nc, "got "+line)
		if err != nil {
			t.Errorf("after a hijack: %v", err)
		}
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 20 * time.Second}
	served := make(chan error, 1)
	listener := front.New(l, server, 0)
	go func() { served <- server.Serve(listener) }()
	f := &frontFixture{addr: l.Addr().String()}
	answer := func(r io.Reader, want string) {
		t.Helper()
		p := make([]byte, len(want))
		if _, err := io.ReadFull(r, p); err != nil || string(p) != want {
			t.Errorf("got %q, %v; want %q", p, err, want)
		}
	}
	const get, post = "GET /echo?%d HTTP/1.1\r\nHost: a\r\n\r\n", "POST /echo?%d HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"

	// Pipelined, so that net/http gets all with the first read, and then one by one.
	nc, r := f.dial(t, fmt.Sprintf(get, 1)+fmt.Sprintf(post, 2)+"body"+fmt.Sprintf(get, 3))
	for i, body := range []string{"", "body", "", "", "late"} {
		switch i {
		case 3:
			_, _ = fmt.Fprintf(nc, get, 4)
		case 4:
			_, _ = fmt.Fprintf(nc, post, 5)
			_, _ = io.WriteString(nc, body)
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer(resp.Body, fmt.Sprintf("%d %s\n", i+1, body))
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	// One byte after the other, and what is not HTTP.
	slow, r := f.dial(t, "")
	for _, c := range []byte(fmt.Sprintf(get, 6)) {
		_, _ = slow.Write([]byte{c})
	}
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("a slow request: %v, %v", resp, err)
	}
	_, r = f.dial(t, "\x16\x03\x01nonsense\r\n\r\n")
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != http.StatusBadRequest {
		t.Errorf("nonsense: %v, %v", resp, err)
	}
	for _, rest := range []string{"early\n", ""} { // with the request, and while net/http is reading in the background
		nc, r := f.dial(t, "GET /hijack HTTP/1.1\r\nHost: a\r\n\r\n"+rest)
		if rest == "" {
			rest = "late\n"
			_, _ = io.WriteString(nc, rest)
		}
		answer(r, "got "+rest)
		if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("after the end: %d, %v", n, err)
		}
	}
	waiting, _ := f.dial(t, "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
	<-entered
	_ = waiting.Close()
	<-gone
	// nc and slow are idle.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if err := <-served; err != http.ErrServerClosed {
		t.Errorf("serve ended with %v", err)
	}
	if n, err := nc.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("an idle connection after shutdown: %d, %v", n, err)
	}
}
