package front_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/internal/front"
)

// pair is the same handler behind a front and behind net/http alone.
type pair struct{ addrs [2]string }

func startPair(t *testing.T, handler http.Handler) *pair {
	t.Helper()
	p := new(pair)
	for i := range p.addrs {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p.addrs[i] = l.Addr().String()
		server := &http.Server{Handler: handler, ReadHeaderTimeout: 20 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
		if i == 0 {
			l = front.New(l, server, 0)
		}
		served := make(chan error, 1)
		go func() { served <- server.Serve(l) }()
		t.Cleanup(func() {
			_ = server.Close()
			<-served
		})
	}
	return p
}

var date = regexp.MustCompile(`Date: [^\r]*\r\n`)

// exchange sends the parts, each when the last one has been seen by a handler, and returns all that comes back.
func exchange(t *testing.T, addr string, seen <-chan string, parts ...string) string {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	var said string
	for i, part := range parts {
		if i > 0 {
			said += <-seen
		}
		if _, err := io.WriteString(nc, part); err != nil {
			t.Fatal(err)
		}
	}
	_ = nc.(*net.TCPConn).CloseWrite()
	got, err := io.ReadAll(nc)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("no end of the connection after %q", got)
	}
	return said + string(date.ReplaceAll(got, nil))
}

// script is a handler that does what the number in its query decides, and says on seen whether a front began it, and in
// the end what its calls returned.
type script struct{ seen, did chan string }

func (s script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/last" {
		_, _ = io.WriteString(w, "the last")
		return
	}
	seed, _ := strconv.ParseUint(r.URL.RawQuery, 10, 64)
	random := rand.New(rand.NewPCG(seed, 1))
	s.seen <- ""
	var did bytes.Buffer
	defer func() { s.did <- did.String() }()
	say := func(op string, results ...any) { fmt.Fprint(&did, op, results, "\n") }
	rc := http.NewResponseController(w)
	h := w.Header()
	bodies := []string{"", "x", "<html><body>", "plain text", "\x00\x01\x02binary", strings.Repeat("0123456789", 60), strings.Repeat("abcdef", 1000)}
	for range random.IntN(7) {
		body := bodies[random.IntN(len(bodies))]
		switch op := random.IntN(15); op {
		case 0:
			h.Set("Content-Type", "text/x-mine")
		case 1:
			h.Set("Content-Length", strconv.Itoa(random.IntN(20)))
		case 2:
			w.Header().Add("X-Mine", body[:min(1, len(body))])
		case 3:
			h.Set("Trailer", "X-End")
			defer h.Set("X-End", "of it")
		case 4:
			h.Set("Connection", "close")
		case 5, 6:
			status := []int{100, 102, 103, 200, 201, 204, 299, 304, 404, 500}[random.IntN(10)]
			w.WriteHeader(status)
		case 7, 8:
			n, err := w.Write([]byte(body))
			say("write", n, err)
		case 9:
			n, err := io.WriteString(w, body)
			say("string", n, err)
		case 10:
			n, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader(body))
			say("from", n, err)
		case 11:
			say("flush", rc.Flush())
		case 12:
			say("done", r.Context().Done() == nil, r.Context().Err())
		case 13:
			say("deadlines", rc.SetWriteDeadline(time.Now().Add(time.Minute)), rc.SetReadDeadline(time.Now().Add(time.Minute)))
		case 14:
			if random.IntN(4) == 0 {
				say("abort")
				panic(http.ErrAbortHandler)
			}
			h.Del("Content-Length")
		}
	}
}

// What a handler does with a request that a front serves comes out as behind net/http, byte for byte, and the connection
// serves the next request.
func TestFrontAnswersAsNetHTTP(t *testing.T) {
	t.Parallel()
	s := script{make(chan string, 1), make(chan string, 1)}
	p := startPair(t, s)
	for seed := range 800 {
		head := fmt.Sprintf(upgradeHead, "/?"+strconv.Itoa(seed))
		if seed%5 == 0 {
			head = strings.Replace(head, "Connection: Upgrade", "Connection: close, Upgrade", 1)
		}
		var got [2]string
		for i, addr := range p.addrs {
			// The next request comes while the first is served, so it is there when net/http looks for it.
			got[i] = exchange(t, addr, s.seen, head, "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			got[i] += "\n-- the handler:\n" + <-s.did
		}
		if strings.Contains(got[1], "abort") { // the connection is reset, with what was on its way
			for i := range got {
				_, got[i], _ = strings.Cut(got[i], "-- the handler:")
			}
		}
		if got[0] != got[1] {
			t.Fatalf("seed %d: behind a front\n%q\nbehind net/http\n%q", seed, got[0], got[1])
		}
	}
}

// Requests in all shapes reach the handler as by net/http, or are refused as there.
func TestFrontUnderstandsAsNetHTTP(t *testing.T) {
	t.Parallel()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		server, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
		fmt.Fprintf(w, "%s %q %s %q %q %d %v %q", r.Method, r.RequestURI, r.Proto, r.Host, r.Header, r.ContentLength, server != nil, r.URL.Path)
	})
	p := startPair(t, handler)
	seeds := []string{
		fmt.Sprintf(upgradeHead, "/a?b=c&d"),
		"GET /%41/x HTTP/1.1\r\nHost: [::1]:80\r\nupgrade: WebSocket\r\nconnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nCookie: a=b; c=\"d\"\r\nX-Empty:\r\n\r\n",
	}
	pieces := []string{"\r\n", "\n", " ", "\t", ":", "\r", "\x00", "é", "Host: b\r\n", "Upgrade: websocket\r\n", "Content-Length: 0\r\n",
		"Transfer-Encoding: chunked\r\n", "Expect: 100-continue\r\n", "Connection: close\r\n", "HTTP/1.0", "//", "?", "#", "%zz", "*", "X: \"y\"\r\n", "\r\n "}
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 1500 {
		head := seeds[n%len(seeds)]
		for range random.IntN(3) {
			at := random.IntN(len(head) - 4) // the end stays, or both would wait for it
			switch piece := pieces[random.IntN(len(pieces))]; random.IntN(3) {
			case 0:
				head = head[:at] + piece + head[at:]
			case 1:
				head = head[:at] + head[min(at+1+random.IntN(3), len(head)-4):]
			case 2:
				lines := strings.SplitAfter(head, "\r\n")
				i := random.IntN(max(len(lines)-2, 1))
				lines[i] += piece
				head = strings.Join(lines, "")
			}
		}
		var got [2]string
		for i, addr := range p.addrs {
			got[i] = exchange(t, addr, nil, strings.TrimRight(head, "\r\n")+"\r\n\r\n")
			if status, _, _ := strings.Cut(got[i], "\r\n"); !strings.HasPrefix(status, "HTTP/1.1 200") {
				got[i] = status
			}
		}
		if got[0] != got[1] {
			t.Fatalf("%q:\nbehind a front   %q\nbehind net/http %q", head, got[0], got[1])
		}
	}
}

// A request that fills the front's buffer to the last byte may have another one behind it.
func TestFrontFullBuffer(t *testing.T) {
	t.Parallel()
	p := startPair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) }))
	head := fmt.Sprintf(upgradeHead, "/first")
	mark := "X-Mark: a"
	for _, size := range []int{4095, 4096, 4097} {
		full := strings.Replace(head, mark, mark+strings.Repeat("a", size-len(head)), 1)
		for _, addr := range p.addrs {
			got := exchange(t, addr, nil, full+"GET /second HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			if !strings.Contains(got, "\r\n\r\n/first") || !strings.HasSuffix(got, "\r\n\r\n/second") {
				t.Errorf("%d bytes: got %q", size, got)
			}
		}
	}
}

// The context of a request ends when its client leaves, however it is watched, and with the handler; not because the
// client says something.
func TestFrontContext(t *testing.T) {
	t.Parallel()
	type key struct{}
	watches := map[string]func(context.Context) <-chan struct{}{
		"done":  func(ctx context.Context) <-chan struct{} { return ctx.Done() },
		"value": func(ctx context.Context) <-chan struct{} { return context.WithValue(ctx, key{}, 1).Done() },
		"derived": func(ctx context.Context) <-chan struct{} {
			derived, cancel := context.WithTimeout(ctx, time.Minute)
			context.AfterFunc(ctx, cancel)
			return derived.Done()
		},
		"after": func(ctx context.Context) <-chan struct{} {
			c := make(chan struct{})
			context.AfterFunc(ctx, func() { close(c) })
			return c
		},
		"err": func(ctx context.Context) <-chan struct{} { _ = ctx.Err(); return ctx.Done() },
		"two": func(ctx context.Context) <-chan struct{} { go ctx.Done(); return ctx.Done() },
	}
	for name, watch := range watches {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			entered, ended := make(chan (<-chan struct{}), 1), make(chan error, 1)
			var after context.Context
			p := startPair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/wait" {
					done := watch(r.Context())
					entered <- done
					<-done
					ended <- r.Context().Err()
					return
				}
				after = r.Context()
				_, _ = io.WriteString(w, "ok")
				ended <- r.Context().Err()
			}))
			for _, addr := range p.addrs {
				nc, err := net.Dial("tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = fmt.Fprintf(nc, upgradeHead, "/wait")
				<-entered
				_ = nc.Close()
				if err := <-ended; !errors.Is(err, context.Canceled) {
					t.Errorf("after the client left: %v", err)
				}
				nc, err = net.Dial("tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = fmt.Fprintf(nc, upgradeHead, "/short")
				if err := <-ended; err != nil {
					t.Errorf("while the handler runs: %v", err)
				}
				resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				<-after.Done()
				_ = nc.Close()
			}
		})
	}
}

// Shutdown waits for handlers that a front runs, ends the contexts of those that go on, and gives up on those that do not
// care.
func TestFrontShutdown(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		wait     func(ctx context.Context, release <-chan struct{})
		released bool // as soon as Shutdown begins
		answered bool
	}{
		"short":       {func(_ context.Context, release <-chan struct{}) { <-release }, true, true},
		"watched":     {func(ctx context.Context, _ <-chan struct{}) { <-ctx.Done() }, false, false},
		"looks late":  {func(ctx context.Context, release <-chan struct{}) { <-release; <-ctx.Done() }, false, false},
		"never looks": {func(_ context.Context, release <-chan struct{}) { <-release }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			entered, release, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
			server := &http.Server{ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
			server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(over)
				close(entered)
				test.wait(r.Context(), release)
				_, _ = io.WriteString(w, "done")
			})
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			l = front.New(l, server, 0)
			served := make(chan error, 1)
			go func() { served <- server.Serve(l) }()
			nc, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			_, _ = fmt.Fprintf(nc, upgradeHead, "/")
			<-entered
			server.RegisterOnShutdown(func() {
				if test.released {
					close(release)
				}
			})
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			if err := server.Shutdown(ctx); err != nil {
				t.Errorf("shutdown: %v", err)
			}
			<-served
			if name == "watched" || test.released {
				<-over // Shutdown has waited for it
			}
			if !test.released {
				close(release)
			}
			<-over
			_ = nc.SetReadDeadline(time.Now().Add(20 * time.Second))
			if got, _ := io.ReadAll(nc); bytes.HasSuffix(got, []byte("done")) != test.answered {
				t.Errorf("got %q", got)
			}
		})
	}
}
