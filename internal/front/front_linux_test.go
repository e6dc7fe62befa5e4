package front_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/internal/front"
	"github.com/peal-dev/peal/internal/netconn"
)

const upgradeHead = "GET %s HTTP/1.1\r\nHost: example.org:80\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Mark: a\r\n\r\n"

// frontFixture is an http.Server behind a front. Its handler says on direct whether a request came from the front.
type frontFixture struct {
	addr   string
	direct chan bool
}

// startFront serves mux behind a front; "/taken" echoes on a connection that the Loop has taken over.
func startFront(t *testing.T) *frontFixture {
	t.Helper()
	f := &frontFixture{direct: make(chan bool, 16)}
	loop := new(netconn.Loop)
	mux := http.NewServeMux()
	mux.HandleFunc("/taken", func(w http.ResponseWriter, r *http.Request) {
		c, buffered, err := loop.Takeover(w, 0)
		if err != nil {
			t.Errorf("takeover: %v", err)
			return
		}
		_ = c.Write([]byte(r.Host+" "+r.Header.Get("X-Mark")+" "+r.RemoteAddr+"\n"), 0)
		c.Start(echoing{}, buffered)
	})
	mux.HandleFunc("/hijacked", func(w http.ResponseWriter, _ *http.Request) {
		nc, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Errorf("hijack: %v", err)
			return
		}
		_, _ = nc.Write([]byte("ready\n"))
		line, _ := rw.ReadString('\n')
		_, _ = nc.Write([]byte("got " + line))
		_ = nc.Close()
	})
	mux.HandleFunc("/refused", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "no: "+r.URL.RawQuery, http.StatusForbidden)
	})
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/nothing", func(http.ResponseWriter, *http.Request) {})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.direct <- front.Direct(w)
		mux.ServeHTTP(wrapped{w}, r)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.addr = l.Addr().String()
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	listener := front.New(l, server, 0)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := <-served; err != http.ErrServerClosed {
			t.Errorf("serve ended with %v", err)
		}
		loop.Close()
	})
	return f
}

// wrapped is what a middleware makes of a ResponseWriter.
type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type echoing struct{}

func (echoing) Data(c *netconn.Conn, p []byte, _ *netconn.Turn) ([]byte, error) {
	_ = c.Write(append([]byte(nil), p...), 0)
	return nil, nil
}
func (echoing) Closed(*netconn.Conn, error) {}

func (f *frontFixture) dial(t *testing.T, head string) (net.Conn, *bufio.Reader) {
	t.Helper()
	nc, err := net.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(nc, head); err != nil {
		t.Fatal(err)
	}
	return nc, bufio.NewReader(nc)
}

func line(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	s, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFrontTakeover(t *testing.T) {
	t.Parallel()
	f := startFront(t)
	for range 50 { // descriptors are used again
		nc, r := f.dial(t, fmt.Sprintf(upgradeHead, "/taken"))
		if !<-f.direct {
			t.Error("the request went through net/http")
		}
		if got, want := line(t, r), "example.org:80 a "+nc.LocalAddr().String()+"\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		_, _ = io.WriteString(nc, "hello\n")
		if got := line(t, r); got != "hello\n" {
			t.Errorf("got %q back", got)
		}
		_ = nc.Close()
	}
}

func TestFrontHijack(t *testing.T) {
	t.Parallel()
	f := startFront(t)
	nc, r := f.dial(t, fmt.Sprintf(upgradeHead, "/hijacked"))
	if got := line(t, r); got != "ready\n" {
		t.Errorf("got %q", got)
	}
	_, _ = io.WriteString(nc, "hello\n")
	if got := line(t, r); got != "got hello\n" || !<-f.direct {
		t.Errorf("got %q", got)
	}
}

func TestFrontAnswers(t *testing.T) {
	t.Parallel()
	f := startFront(t)
	for path, want := range map[string]string{"/refused?q": "403 no: q\n", "/nothing": "200 ", "/none": "404 404 page not found\n"} {
		_, r := f.dial(t, fmt.Sprintf(upgradeHead, path))
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if got := fmt.Sprintf("%d %s", resp.StatusCode, body); err != nil || got != want || resp.Close || !<-f.direct {
			t.Errorf("%s: %q, %v, close %v", path, got, err, resp.Close)
		}
	}
	_, r := f.dial(t, fmt.Sprintf(upgradeHead, "/panic"))
	if n, err := r.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("after a panic came %d bytes, %v", n, err)
	}
}

// What is not a usual request for a WebSocket is for net/http, which has all its bytes.
func TestFrontLeaves(t *testing.T) {
	t.Parallel()
	f := startFront(t)
	usual := fmt.Sprintf(upgradeHead, "/refused")
	for name, head := range map[string]string{
		"plain":     "GET /refused HTTP/1.1\r\nHost: a\r\n\r\n",
		"HTTP/1.0":  strings.Replace(usual, "HTTP/1.1", "HTTP/1.0", 1),
		"post":      strings.Replace(usual, "GET", "POST", 1),
		"body":      strings.Replace(usual, "X-Mark: a", "Content-Length: 2", 1) + "ab",
		"more":      usual + "\x81",
		"not ASCII": strings.Replace(usual, "X-Mark: a", "X-Mark: \u00e9", 1),
	} {
		_, r := f.dial(t, head)
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != http.StatusForbidden || <-f.direct {
			t.Errorf("%s: %v, %v", name, resp, err)
		}
	}
	for name, head := range map[string]string{
		"no host":     strings.Replace(usual, "Host: example.org:80\r\n", "", 1),
		"host":        strings.Replace(usual, "example.org:80", "a b\"", 1),
		"name":        strings.Replace(usual, "X-Mark:", "X Mark:", 1),
		"bare CR":     strings.Replace(usual, "X-Mark: a", "X-Mark: a\rb", 1),
		"not a token": strings.Replace(usual, "X-Mark", "X(Mark", 1),
	} {
		_, r := f.dial(t, head)
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %v, %v", name, resp, err)
		}
	}
	// A request that comes in two parts, and is answered by a Loop that takes over what net/http had.
	head := fmt.Sprintf(upgradeHead, "/taken")
	nc, r := f.dial(t, head[:20])
	_, _ = io.WriteString(nc, head[20:]+"early\n")
	if got := line(t, r); !strings.HasPrefix(got, "example.org:80 a ") || <-f.direct {
		t.Errorf("got %q", got)
	}
	if got := line(t, r); got != "early\n" {
		t.Errorf("got %q back", got)
	}
}

func TestFrontClose(t *testing.T) {
	t.Parallel()
	for range 50 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listener := front.New(l, &http.Server{Handler: http.NotFoundHandler()}, 0)
		second := make(chan error, 1)
		go func() {
			if _, err := listener.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("accept ended with %v", err)
			}
			second <- listener.Close()
		}()
		if err := listener.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := <-second; !errors.Is(err, net.ErrClosed) {
			t.Errorf("the second close: %v", err)
		}
	}
}

func TestFrontOfAnother(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("unix", t.TempDir()+"/s")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if front.New(l, &http.Server{Handler: http.NotFoundHandler()}, 0) != l {
		t.Error("a front for a socket that is not of TCP")
	}
}
