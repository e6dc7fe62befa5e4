package interop_test

import (
	"encoding/json"
	"testing"

	"github.com/peal-dev/peal/internal/testredis"
)

// Load generators rely on these two events, on one node and on several.
func TestServerBenchProfile(t *testing.T) {
	t.Parallel()
	redis := testredis.Start(t)
	args := []string{"--listen", "127.0.0.1:0", "--cluster", redis.URL()}
	one, two := start(t, built(t, serverBinary), args...), start(t, built(t, serverBinary), args...)
	clients := startPeer(t, "client.mjs")
	for name, server := range map[string]*program{"a": one, "b": one, "c": two} {
		clients.do("connect", params{"client": name, "url": server.url()}, nil)
	}
	data := params{"n": 1, "list": []any{"x", nil, 1.5}, "deep": params{"ключ": "🐎"}}

	var answer json.RawMessage
	clients.do("ask", params{"client": "c", "event": "echo", "args": []any{data}}, &answer)
	requireJSON(t, "the echo", answer, []any{data})
	for i, sender := range []string{"a", "c"} {
		clients.do("emit", params{"client": sender, "event": "broadcast", "args": []any{data}}, nil)
		for _, name := range []string{"a", "b", "c"} {
			got := clients.awaitEvents(name, "broadcast", i+1)
			requireJSON(t, "the broadcast at "+name, got[i].Args, []any{data})
		}
	}
}
