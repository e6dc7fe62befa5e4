package gateway_test

import (
	"testing"

	"github.com/peal-dev/peal/gateway"
)

// TestConnectionsAreBoundedTogether fills a node through both doors.
func TestConnectionsAreBoundedTogether(t *testing.T) {
	t.Parallel()
	n := startNode(t, gateway.Config{Dev: true, MaxConnections: 2})
	joined := n.connect("/", "")
	n.stream("?room=a")
	res, body := n.do("GET", "/v1/events?room=a", "")
	if code, _ := errorOf(t, body); res.StatusCode != 503 || code != gateway.CodeTooManyClients {
		t.Errorf("a stream got %d %s", res.StatusCode, body)
	}
	if res, body := n.do("GET", "/socket.io/?EIO=4&transport=polling", ""); res.StatusCode != 503 || body != `{"code":6,"message":"Too many connections"}` {
		t.Errorf("a session got %d %s", res.StatusCode, body)
	}
	for series, want := range map[string]string{"peal_connections": "2", "peal_connections_pending": "0", "peal_connections_limit": "2",
		`peal_engineio_refused_total{reason="too_many_clients"}`: "1", `peal_sse_refused_total{reason="too_many_clients"}`: "1"} {
		if got := n.metric(series); got != want {
			t.Errorf("%s is %s, want %s", series, got, want)
		}
	}
	if got := joined.ask("subscribe", `["a"]`); got == "" {
		t.Error("who is inside is not served")
	}
}

func TestPendingConnectionsAreBoundedApart(t *testing.T) {
	t.Parallel()
	n := startNode(t, gateway.Config{Dev: true, MaxConnections: 4})
	n.do("GET", "/socket.io/?EIO=4&transport=polling", "") // joins nothing
	if res, body := n.do("GET", "/socket.io/?EIO=4&transport=polling", ""); res.StatusCode != 503 {
		t.Errorf("a second one that joins nothing got %d %s", res.StatusCode, body)
	}
	n.stream("?room=a") // has said what for
}

func TestConnectionsOfOneAddress(t *testing.T) {
	t.Parallel()
	n := startNode(t, gateway.Config{Dev: true, MaxPerAddress: 1})
	n.stream("?room=a")
	if res, body := n.do("GET", "/v1/events?room=a", ""); res.StatusCode != 429 {
		t.Errorf("a stream got %d %s", res.StatusCode, body)
	}
}
