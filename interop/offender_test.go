package interop_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/internal/redisx"
	"github.com/peal-dev/peal/internal/testredis"
	"github.com/peal-dev/peal/socketio"
)

// TestClientOutlivesOffenders: official clients stay connected while a publisher on their Redis, a polling client of their
// node and its own program say what would have them close with a parse error, or with 1007.
func TestClientOutlivesOffenders(t *testing.T) {
	t.Parallel()
	redis := testredis.Start(t)
	node, url := startGoNode(t, redis.URL())
	node.On("pass on", func(s *socketio.Socket, v json.RawMessage) error {
		return s.Broadcast().Emit(t.Context(), "passed on", v)
	})
	clients := startPeer(t, "client.mjs")
	names := []string{"websocket", "polling"}
	for _, name := range names {
		clients.do("connect", params{"client": name, "url": url,
			"options": params{"transports": []string{name}, "reconnection": false}}, nil)
	}
	publisher, err := redisx.New(redisx.Options{URL: redis.URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(publisher.Close)

	offend(t, publisher)
	polling := openPolling(t, url)
	polling("42[\"pass on\",\"caf\xe9\"]")
	polling("42[\"pass on\",{\"\xff\":[\"\xed\xa0\xbd\"]}]")
	polling(`42["pass on","half \ud83d"]`)
	polling("1")
	raw := json.RawMessage("\"caf\xe9\"")
	if err := node.Emit(t.Context(), "raw", raw, map[string]any{"caf\xe9": raw}); err != nil {
		t.Fatal(err)
	}
	like := params{"_placeholder": true, "num": 7}
	if err := node.Emit(t.Context(), "like", like); err != nil {
		t.Fatal(err)
	}
	if err := node.Emit(t.Context(), "like", like, []byte{1}); err == nil {
		t.Error("what looks like a placeholder was emitted beside binary data")
	}
	publishFence(t, publisher)

	for _, name := range names {
		clients.awaitEvents(name, "fence", 1)
		for _, want := range []struct {
			event string
			args  [][]any
		}{
			{"raw", [][]any{{"caf\uFFFD", params{"caf\uFFFD": "caf\uFFFD"}}}},
			{"like", [][]any{{like}}},
			{"lookalike", [][]any{{params{"_placeholder": true, "num": 0}, params{"_placeholder": true, "num": 0}}}},
		} {
			for i, r := range clients.awaitEvents(name, want.event, len(want.args)) {
				requireJSON(t, want.event+" at "+name, r.Args, want.args[i])
			}
		}
		clients.awaitEvents(name, "passed on", 3)
		for _, r := range clients.of(func(r report) bool { return r.Client == name && r.State == "disconnect" }) {
			t.Errorf("%s was disconnected: %s", name, r.Detail)
		}
	}
}

// startGoNode returns the URL of a Socket.IO server on the public API, in the test's process.
func startGoNode(t *testing.T, redisURL string) (node *socketio.Server, url string) {
	t.Helper()
	driver, err := redispubsub.New(redispubsub.Options{URL: redisURL})
	if err != nil {
		t.Fatal(err)
	}
	node = socketio.NewServer(&socketio.Options{Driver: driver})
	if err := node.Adapter().Ping(t.Context()); err != nil {
		t.Fatalf("joining the cluster: %v", err)
	}
	web := httptest.NewServer(node)
	t.Cleanup(func() {
		// The test's own context is over by now.
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := node.Shutdown(ctx); err != nil {
			t.Errorf("shutting the Go node down: %v", err)
		}
		web.Close()
		if err := driver.Close(ctx); err != nil {
			t.Errorf("closing the Redis driver: %v", err)
		}
	})
	return node, web.URL
}

// offend publishes what no node should.
func offend(t *testing.T, publisher *redisx.Client) {
	t.Helper()
	// Each is MessagePack of [uid, {type, data, nsp}, {rooms, except, flags}]; only data differs.
	bin, like := "\xc4\x01z", "\x82\xac_placeholder\xc3\xa3num\x00"
	for _, data := range []string{
		"\x91\xaadisconnect", "\x91\xa7connect", "\x90", "\x91\xc0", "\x81\xa10\xa1a",
		"\x9c\xa1a" + strings.Repeat(bin, 11),
		"\x93\xa1a" + bin + like,
		"\x93\xa1a" + bin + "\x82\xac_placeholder\xc3\xa3num\x07",
		"\x93\xa1a" + bin + "\x81\xac_placeholder\xc3",
		"\x93\xa9lookalike" + like + like, // data: there is nothing it could be taken for
	} {
		publishRaw(t, publisher, data)
	}
}

// publishFence publishes what arrives behind everything before it.
func publishFence(t *testing.T, publisher *redisx.Client) { publishRaw(t, publisher, "\x91\xa5fence") }

func publishRaw(t *testing.T, publisher *redisx.Client, data string) {
	t.Helper()
	payload := "\x93\xa5other\x83\xa4type\x02\xa4data" + data + "\xa3nsp\xa1/\x83\xa5rooms\x90\xa6except\x90\xa5flags\x80"
	batch := []redisx.Message{{Channel: redispubsub.DefaultKey + "#/#", Payload: []byte(payload)}}
	publisher.Publish(t.Context(), batch)
	if batch[0].Err != nil {
		t.Fatal(batch[0].Err)
	}
}

// openPolling opens a session that joined the root namespace and returns what posts a message to it, byte for byte.
func openPolling(t *testing.T, base string) func(message string) {
	t.Helper()
	path := base + "/socket.io/?EIO=4&transport=polling"
	request := func(method, path, body string) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%s %q: %d %s, %v", method, body, answer.StatusCode, text, err)
		}
		return string(text)
	}
	var open struct{ SID string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(request("GET", path, ""), "0")), &open); err != nil {
		t.Fatal(err)
	}
	post := func(message string) { t.Helper(); request("POST", path+"&sid="+open.SID, message) }
	post("40")
	// What a client says that leaves before it is let in is dropped.
	if answer := request("GET", path+"&sid="+open.SID, ""); !strings.HasPrefix(answer, "40{") {
		t.Fatalf("the namespace was answered %s", answer)
	}
	return post
}
