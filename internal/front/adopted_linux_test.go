package front_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/peal-dev/peal/internal/front"
	"github.com/peal-dev/peal/internal/netconn"
)

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
