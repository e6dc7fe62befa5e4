package gateway_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/peal-dev/peal/gateway"
)

func TestShutdownIsClean(t *testing.T) {
	t.Parallel()
	n := startNode(t, gateway.Config{Dev: true})
	stream := n.stream("?room=a")
	c := n.connect("/", "")
	// A request in the middle of its body is answered before the node goes: nothing was accepted yet.
	publish := n.begin("POST /v1/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: 13\r\nExpect: 100-continue\r\n\r\n")
	n.publish(`{"event":"last"}`)

	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		done <- n.Shutdown(ctx)
	}()
	wantEvent(t, stream, "last", "[]")
	if e, err := stream.Next(); err != io.EOF {
		t.Errorf("after the shutdown the stream got %+v, %v", e, err)
	}
	c.want(`42["last"]`)
	if _, data, err := c.conn.Read(c.ctx); err == nil {
		t.Errorf("after the shutdown the socket got %s", data)
	} else if c.ctx.Err() != nil {
		t.Error("the socket's connection stayed open")
	} else if status := websocket.CloseStatus(err); status == websocket.StatusInternalError {
		t.Errorf("the socket was closed with %v", status)
	}
	res, body := publish.finish(`{"event":"x"}`)
	if code, _ := errorOf(t, body); res.StatusCode != 503 || code != gateway.CodeShuttingDown {
		t.Errorf("publish that began before the shutdown: %d %s", res.StatusCode, body)
	}
	if err := <-done; err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if err := n.Wait(t.Context()); err != nil {
		t.Errorf("wait: %v", err)
	}
	if conn, err := net.Dial("tcp", n.Addr()); err == nil {
		_ = conn.Close()
		t.Error("the port is still open")
	}
}

func TestWhileDraining(t *testing.T) {
	t.Parallel()
	n := startNode(t, gateway.Config{Dev: true})
	n.SetDraining(true)
	defer n.SetDraining(false)
	if res, body := n.do("GET", "/readyz", ""); res.StatusCode != 503 || !strings.Contains(body, `"ready":false,"draining":true`) {
		t.Errorf("readyz: %d %s", res.StatusCode, body)
	}
	for _, path := range []string{"/healthz", "/metrics", "/v1/stats"} {
		if res, body := n.do("GET", path, ""); res.StatusCode != 200 {
			t.Errorf("%s: %d %s", path, res.StatusCode, body)
		}
	}
	if got := n.metric("peal_draining"); got != "1" {
		t.Errorf("peal_draining %s", got)
	}
	for _, path := range []string{"/v1/publish", "/v1/events", "/socket.io/?EIO=4&transport=polling"} {
		res, body := n.do("POST", path, `{"event":"x"}`)
		if code, _ := errorOf(t, body); res.StatusCode != 503 || code != gateway.CodeShuttingDown || res.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", path, res.StatusCode, body)
		}
	}
}

// A request that never ends is cut when the time is up.
func TestShutdownIsBounded(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	cfg := gateway.Config{Dev: true, Listen: "127.0.0.1:0", ShutdownTimeout: 300 * time.Millisecond}
	started := make(chan *gateway.Server, 1)
	result := make(chan error, 1)
	go func() { result <- gateway.Run(ctx, cfg, func(s *gateway.Server) { started <- s }) }()
	n := &node{Server: <-started, t: t}
	n.begin("POST /v1/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n")
	stop()
	select {
	case err := <-result:
		if err == nil || !strings.Contains(err.Error(), context.DeadlineExceeded.Error()) {
			t.Errorf("run: %v", err)
		}
	case <-time.After(patience):
		t.Error("run did not return")
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	cfg := gateway.Config{Dev: true, Listen: "127.0.0.1:0"}
	if err := gateway.Run(ctx, cfg, func(*gateway.Server) { stop() }); err != nil {
		t.Errorf("run: %v", err)
	}
}

// half is a request of which the end was not sent yet.
type half struct {
	t    *testing.T
	conn net.Conn
}

// begin sends the head of a request that expects "100 Continue", and returns when its handler has begun to read.
func (n *node) begin(head string) *half {
	n.t.Helper()
	conn, err := net.Dial("tcp", n.Addr())
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, head); err != nil {
		n.t.Fatal(err)
	}
	const proceed = "HTTP/1.1 100 Continue\r\n\r\n"
	got := make([]byte, len(proceed))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != proceed {
		n.t.Fatalf("got %q, %v", got, err)
	}
	return &half{n.t, conn}
}

// finish sends the rest and returns the answer.
func (h *half) finish(rest string) (*http.Response, string) {
	h.t.Helper()
	if err := h.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		h.t.Fatal(err)
	}
	if _, err := io.WriteString(h.conn, rest); err != nil {
		h.t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(h.conn), nil)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return res, string(body)
}
