package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peal-dev/peal/gateway"
)

// stalled are requests whose body never comes, to every path and with every right, and how they are answered.
var stalled = map[string]int{
	"POST /v1/publish": 401,
	"GET /v1/publish":  405,
	"POST /v1/events":  405,
	"POST /v1/stats":   405,
	"POST /v1/nothing": 404,
	"POST /healthz":    405,
	"GET /healthz":     200,
	"PUT /readyz":      405,
	"POST /metrics":    401,
	"GET /":            200,
	"POST /":           405,
	"POST /nothing":    405,
	"POST /socket.io/": 400,
	"POST /socket.io/?EIO=4&transport=polling&sid=none": 400,
	"PUT /socket.io/?EIO=4&transport=polling":           400,
}

func (n *node) dial(request string) net.Conn {
	n.t.Helper()
	conn, err := net.Dial("tcp", n.Addr())
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, request); err != nil {
		n.t.Fatal(err)
	}
	return conn
}

// A body that does not come keeps no connection, whatever it is for and before it is known from whom it is.
func TestBodiesThatDoNotCome(t *testing.T) {
	t.Parallel()
	n := startNode(t, gateway.Config{APIKey: "k", AnonymousSubscribe: true})
	var wg sync.WaitGroup // not subtests, of which only as many run at once as there are cores
	for request, status := range stalled {
		for _, body := range []string{"Content-Length: 5000", "Transfer-Encoding: chunked"} {
			conn := n.dial(request + " HTTP/1.1\r\nHost: localhost\r\n" + body + "\r\n\r\n")
			wg.Go(func() {
				r := bufio.NewReader(conn)
				res, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Errorf("%s: %v", request, err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				if res.StatusCode != status {
					t.Errorf("%s: answered %d, want %d", request, res.StatusCode, status)
				}
				if _, err := r.ReadByte(); err != io.EOF {
					t.Errorf("%s: the connection did not end: %v", request, err)
				}
			})
		}
	}
	wg.Wait()
}

// A shutdown does not wait for requests that do not arrive, nor for answers that nobody takes, and does well without them.
func TestShutdownWithStalledRequests(t *testing.T) {
	t.Parallel()
	n := startNode(t, gateway.Config{APIKey: "k", AnonymousSubscribe: true})
	n.begin("POST /v1/publish HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer k\r\nContent-Length: 13\r\nExpect: 100-continue\r\n\r\n")
	for request := range stalled {
		n.dial(request + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
	}
	n.dial("GET /hea")
	n.dial("POST /v1/publish HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer k\r\nContent-Length: 99\r\n\r\n{")
	unread := n.dial("")
	_ = unread.(*net.TCPConn).SetReadBuffer(4 << 10)
	go func() { // until the node closes it
		_, _ = io.WriteString(unread, strings.Repeat("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 20_000))
	}()
	if got := n.metric("peal_http_requests"); got == "0" {
		t.Errorf("%s requests are being served", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	begin := time.Now()
	if err := n.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if took := time.Since(begin); took > patience/2 {
		t.Errorf("shutdown took %v", took)
	}
}

// pipes is a listener of net.Pipes.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// What a client sends and takes has its time, request by request; a handler may take its own.
func TestDeadlinesOfRequests(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		requests string
		within   time.Duration
		answer   string
	}{
		"publish": {"POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{", 31 * time.Second, "HTTP/1.1 400 "},
		"body":    {"POST /short HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", 3 * time.Second, "HTTP/1.1 200 "},
		"chunks":  {"POST /short HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n", 3 * time.Second, "HTTP/1.1 200 "},
		"unread":  {"GET /long HTTP/1.1\r\nHost: a\r\n\r\n", 31 * time.Second, ""},
		"many":    {strings.Repeat("GET /short HTTP/1.1\r\nHost: a\r\n\r\n", 20), 31 * time.Second, ""},
		"read":    {"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", 3 * time.Second, "HTTP/1.1 200 "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				mux := http.NewServeMux()
				mux.HandleFunc("/short", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "short") })
				mux.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) })
				mux.HandleFunc("/read", func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body) })
				server, serving := gateway.NewHTTP(mux)
				l := make(pipes, 1)
				served := make(chan error, 1)
				go func() { served <- server.Serve(l) }()
				client, conn := net.Pipe()
				defer client.Close()
				l <- conn
				answered := make(chan string, 1)
				go func() { _, _ = io.WriteString(client, test.requests) }()
				if strings.HasPrefix(test.requests, "POST") {
					go func() {
						got, _ := io.ReadAll(client)
						answered <- string(got)
					}()
				} else {
					answered <- ""
				}
				synctest.Wait()
				if serving() != 1 {
					t.Errorf("%d requests are being served, want 1", serving())
				}
				time.Sleep(test.within)
				synctest.Wait()
				if serving() != 0 {
					t.Errorf("%d requests are still being served after %v", serving(), test.within)
				}
				if got := <-answered; !strings.HasPrefix(got, test.answer) {
					t.Errorf("answered %q, want %q", got, test.answer)
				}
				close(l)
				<-served
				_ = server.Close()
			})
		})
	}
}
