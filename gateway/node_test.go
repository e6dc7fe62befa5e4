package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/peal-dev/peal/gateway"
	"github.com/peal-dev/peal/sse"
)

const (
	// patience bounds how long a test waits for what must come.
	patience = 20 * time.Second
	// lifetime bounds how long a client of a test reads and writes. It is longer, for a test may do much with many clients,
	// on a machine that does other things too.
	lifetime = 2 * time.Minute
)

// node is a running server and an HTTP client of it.
type node struct {
	*gateway.Server
	t      *testing.T
	client *http.Client
	base   string // of its URLs; empty is the public one
}

// URL returns the base URL that requests go to.
func (n *node) URL() string {
	if n.base != "" {
		return n.base
	}
	return n.Server.URL()
}

// startNode starts a node on a free port that is shut down, cleanly, at the end of the test.
func startNode(t *testing.T, cfg gateway.Config) *node {
	t.Helper()
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	s, err := gateway.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{Server: s, t: t, client: &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}}
	t.Cleanup(func() {
		n.client.CloseIdleConnections()
		// The test's own context is over by now.
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	return n
}

// do sends a request and returns the answer with its body read.
func (n *node) do(method, path, body string, header ...string) (*http.Response, string) {
	n.t.Helper()
	req, err := http.NewRequestWithContext(n.t.Context(), method, n.URL()+path, strings.NewReader(body))
	if err != nil {
		n.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	res, err := n.client.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return res, string(text)
}

// publish posts to /v1/publish and wants it to succeed.
func (n *node) publish(body string, header ...string) {
	n.t.Helper()
	if res, text := n.do("POST", "/v1/publish", body, header...); res.StatusCode != 200 || text != "{\"ok\":true}\n" {
		n.t.Fatalf("publish %s: %d %s", body, res.StatusCode, text)
	}
}

// errorOf is the error in the body of an answer.
func errorOf(t *testing.T, body string) (code, message string) {
	t.Helper()
	var reply struct {
		Error struct{ Code, Message string }
	}
	if err := json.Unmarshal([]byte(body), &reply); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	return reply.Error.Code, reply.Error.Message
}

// stream opens an event stream.
func (n *node) stream(query string, header ...string) *sse.Reader {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), lifetime)
	n.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", n.URL()+"/v1/events"+query, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := n.client.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = res.Body.Close() })
	if res.StatusCode != 200 {
		body, _ := io.ReadAll(res.Body)
		n.t.Fatalf("stream %s: %d %s", query, res.StatusCode, body)
	}
	return sse.NewReader(res.Body)
}

func wantEvent(t *testing.T, r *sse.Reader, name, data string) {
	t.Helper()
	got, err := r.Next()
	if err != nil || got.Name != name || got.Data != data {
		t.Errorf("the stream got %+v, %v; want %s %s", got, err, name, data)
	}
}

// client is a Socket.IO client that shows the packets as they are.
type client struct {
	t         *testing.T
	ctx       context.Context
	conn      *websocket.Conn
	namespace string // "" for the root
	acks      int
	connected string // the answer to CONNECT
}

// connect opens a WebSocket and joins a namespace with that auth payload.
func (n *node) connect(namespace, auth string, header ...string) *client {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), lifetime)
	n.t.Cleanup(cancel)
	options := &websocket.DialOptions{HTTPHeader: http.Header{}, HTTPClient: n.client}
	for i := 0; i < len(header); i += 2 {
		options.HTTPHeader.Set(header[i], header[i+1])
	}
	conn, _, err := websocket.Dial(ctx, n.URL()+"/socket.io/?EIO=4&transport=websocket", options)
	if err != nil {
		n.t.Fatal(err)
	}
	conn.SetReadLimit(1 << 24)
	n.t.Cleanup(func() { _ = conn.CloseNow() })
	c := &client{t: n.t, ctx: ctx, conn: conn}
	if namespace != "/" {
		c.namespace = namespace + ","
	}
	if open := c.read(); !strings.HasPrefix(open, "0{") {
		n.t.Fatalf("open packet %q", open)
	}
	c.write("40" + c.namespace + auth)
	c.connected = c.read()
	return c
}

func (c *client) write(text string) {
	c.t.Helper()
	if err := c.conn.Write(c.ctx, websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) writeBinary(b []byte) {
	c.t.Helper()
	if err := c.conn.Write(c.ctx, websocket.MessageBinary, b); err != nil {
		c.t.Fatal(err)
	}
}

// wantClosed waits for the end of the connection.
func (c *client) wantClosed() {
	c.t.Helper()
	for {
		if _, _, err := c.conn.Read(c.ctx); err != nil {
			if c.ctx.Err() != nil {
				c.t.Error("the connection is open still")
			}
			return
		}
	}
}

// poll opens a session over polling, joins the root namespace, and returns what posts a message there, byte for byte.
func (n *node) poll() func(message string) {
	n.t.Helper()
	const path = "/socket.io/?EIO=4&transport=polling"
	_, text := n.do("GET", path, "")
	var open struct{ SID string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(text, "0")), &open); err != nil {
		n.t.Fatalf("%q: %v", text, err)
	}
	post := func(message string) {
		n.t.Helper()
		if res, text := n.do("POST", path+"&sid="+open.SID, message); res.StatusCode != 200 {
			n.t.Fatalf("POST %q: %d %s", message, res.StatusCode, text)
		}
	}
	post("40")
	return post
}

// read returns the next message; a binary one is quoted and marked.
func (c *client) read() string {
	c.t.Helper()
	kind, data, err := c.conn.Read(c.ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	if kind == websocket.MessageBinary {
		return "binary " + strconv.Quote(string(data))
	}
	return string(data)
}

// ask emits an event and returns the JSON of the acknowledgement's argument.
func (c *client) ask(event string, args ...string) string {
	c.t.Helper()
	c.acks++
	c.write(fmt.Sprintf("42%s%d[%s]", c.namespace, c.acks, strings.Join(append([]string{strconv.Quote(event)}, args...), ",")))
	return c.ack()
}

func (c *client) ack() string {
	c.t.Helper()
	prefix := fmt.Sprintf("43%s%d[", c.namespace, c.acks)
	got := c.read()
	if !strings.HasPrefix(got, prefix) {
		c.t.Fatalf("got %s, want the acknowledgement %s…", got, prefix)
	}
	return strings.TrimSuffix(strings.TrimPrefix(got, prefix), "]")
}

func (c *client) want(packet string) {
	c.t.Helper()
	if got := c.read(); got != packet {
		c.t.Errorf("the socket got %s, want %s", got, packet)
	}
}

// metric returns the value of a series of /metrics.
func (n *node) metric(series string, header ...string) string {
	n.t.Helper()
	_, text := n.do("GET", "/metrics", "", header...)
	for lines := bufio.NewScanner(bytes.NewBufferString(text)); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), series+" "); ok {
			return value
		}
	}
	return "missing"
}
