package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/peal-dev/peal/sse"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestChatReachesSocketsAndStreams(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	sockets, lobby, handler := chat()
	server := httptest.NewServer(handler)
	defer server.Close()
	defer func() {
		if err := lobby.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := sockets.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	}()

	stream := get(ctx, t, server.URL+"/events")
	ann, bob := connect(ctx, t, server.URL), connect(ctx, t, server.URL)
	ann.send(`42["chat","Ann","hello 🐎"]`)
	for _, client := range []*client{ann, bob} {
		client.expect(`42["chat","Ann","hello 🐎"]`)
	}
	event, err := sse.NewReader(stream.Body).Next()
	if err != nil {
		t.Fatal(err)
	}
	if event.Name != "chat" || event.Data != `["Ann","hello 🐎"]` {
		t.Errorf("the stream has %s %s", event.Name, event.Data)
	}
}

func TestChatServesItsPage(t *testing.T) {
	t.Parallel()
	sockets, _, handler := chat()
	server := httptest.NewServer(handler)
	defer server.Close()
	defer sockets.Shutdown(context.Background())
	body, err := io.ReadAll(get(t.Context(), t, server.URL).Body)
	if err != nil || !strings.Contains(string(body), "<h1>Chat</h1>") {
		t.Errorf("the page is %q, %v", body, err)
	}
}

func get(ctx context.Context, t *testing.T, url string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	if response.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s", url, response.Status)
	}
	return response
}

// client speaks Socket.IO by hand, so that the example's test needs nothing but a WebSocket.
type client struct {
	ctx  context.Context
	t    *testing.T
	conn *websocket.Conn
}

// connect returns a client that is connected to the root namespace.
func connect(ctx context.Context, t *testing.T, url string) *client {
	t.Helper()
	conn, _, err := websocket.Dial(ctx, url+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	c := &client{ctx: ctx, t: t, conn: conn}
	c.expect("0{")
	c.send("40")
	c.expect("40{")
	return c
}

func (c *client) send(packet string) {
	c.t.Helper()
	if err := c.conn.Write(c.ctx, websocket.MessageText, []byte(packet)); err != nil {
		c.t.Fatalf("sending %s: %v", packet, err)
	}
}

// expect reads a packet that begins as given.
func (c *client) expect(prefix string) {
	c.t.Helper()
	_, packet, err := c.conn.Read(c.ctx)
	if err != nil || !strings.HasPrefix(string(packet), prefix) {
		c.t.Fatalf("received %q, %v; want %s", packet, err, prefix)
	}
}
