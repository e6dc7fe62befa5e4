package gateway_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/peal-dev/peal/gateway"
)

// Who asks for no address and no key gets this machine only.
func TestDevIsForThisMachine(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		config gateway.Config
		want   string
	}{
		{gateway.Config{Dev: true}, "127.0.0.1:8080"},
		{gateway.Config{Dev: true, APIKey: key}, "127.0.0.1:8080"},
		{gateway.Config{Dev: true, Listen: ":9"}, ":9"},
		{gateway.Config{APIKey: key}, ":8080"},
	} {
		if got := gateway.Defaults(test.config).Listen; got != test.want {
			t.Errorf("%+v listens on %s, want %s", test.config, got, test.want)
		}
	}
	for _, test := range []struct {
		config gateway.Config
		warns  bool
	}{
		{gateway.Config{Dev: true, Listen: "0.0.0.0:0"}, true},
		{gateway.Config{Dev: true, Listen: "127.0.0.1:0"}, false},
		{gateway.Config{APIKey: key, Listen: "0.0.0.0:0"}, false},
	} {
		var log bytes.Buffer
		test.config.Logger = slog.New(slog.NewTextHandler(&log, nil))
		startNode(t, test.config)
		if got := strings.Contains(log.String(), "everybody who reaches this address"); got != test.warns {
			t.Errorf("%+v: the log: %s", test.config, log.String())
		}
	}
}

// A page whose own name leads to the node would be of the node's origin, whatever the policy about origins.
func TestKnownHosts(t *testing.T) {
	t.Parallel()
	const evil = "evil.example"
	for _, test := range []struct {
		config     gateway.Config
		known, not []string
	}{
		{gateway.Config{Dev: true},
			[]string{"localhost", "LOCALHOST:8080", "localhost.", "a.localhost", "127.0.0.1", "127.0.0.1:1", "[::1]:8080", "[::1]", "192.0.2.7"},
			[]string{evil, evil + ":8080", "localhost." + evil, "127.0.0.1." + evil, "xlocalhost", "[evil.example]"}},
		{gateway.Config{Dev: true, Listen: "localhost:0", AllowHosts: []string{"Box.example"}}, []string{"box.example:8080", "BOX.example."}, []string{evil, "a.box.example"}},
		{gateway.Config{Dev: true, AllowHosts: []string{"*"}}, []string{evil}, nil},
		{gateway.Config{APIKey: key}, []string{evil, "localhost"}, nil},
		{gateway.Config{APIKey: key, AllowHosts: []string{"box.example"}}, []string{"box.example", "127.0.0.1"}, []string{evil}},
	} {
		n := startNode(t, test.config)
		for _, host := range slices.Concat(test.known, test.not) {
			for _, path := range []string{"/socket.io/?EIO=4&transport=polling", "/v1/events?room=", "/v1/stats", "/metrics", "/healthz", "/"} {
				// Its pages are of the same origin.
				res, body := n.do("GET", path, "", append([]string{"Host", host, "Origin", "http://" + host}, bearer...)...)
				refused := res.StatusCode == http.StatusForbidden && strings.Contains(body, gateway.CodeHostNotAllowed) && strings.Contains(body, "--allow-host")
				if refused != slices.Contains(test.not, host) {
					t.Errorf("%+v: %s asked as %s: %d %s", test.config, path, host, res.StatusCode, body)
				}
			}
			upgrade := []string{"Host", host, "Origin", "http://" + host, "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "x"}
			if res, _ := n.do("GET", "/socket.io/?EIO=4&transport=websocket", "", upgrade...); (res.StatusCode == http.StatusForbidden) != slices.Contains(test.not, host) {
				t.Errorf("%+v: a WebSocket asked as %s: %d", test.config, host, res.StatusCode)
			}
		}
	}
}

// A page that the policy lists may come by any name: it is not let in for being of the node's origin.
func TestListedPagesUseAnyHost(t *testing.T) {
	t.Parallel()
	n := startNode(t, gateway.Config{Dev: true, AllowOrigins: []string{"https://front.example"}})
	for page, status := range map[string]int{"https://front.example": 200, "https://app.example": 403, "": 403} {
		if res, body := n.do("POST", "/v1/publish", `{"event":"a"}`, "Host", "app.example", "Origin", page); res.StatusCode != status {
			t.Errorf("a page of %q: %d %s", page, res.StatusCode, body)
		}
	}
	n = startNode(t, gateway.Config{Dev: true, AllowOrigins: []string{"*"}})
	if res, body := n.do("POST", "/v1/publish", `{"event":"a"}`, "Host", "app.example", "Origin", "https://any.example"); res.StatusCode != 200 {
		t.Errorf("any page: %d %s", res.StatusCode, body)
	}
}

// What tells of a node is not for everybody who reaches its public address.
func TestOperatorsPaths(t *testing.T) {
	t.Parallel()
	const brief, full = "brief", "full"
	for _, test := range []struct {
		name           string
		config         gateway.Config
		header         []string
		metrics, stats int
		page           int
		ready          string
	}{
		{"dev", gateway.Config{Dev: true}, nil, 200, 200, 200, full},
		{"dev with a key", gateway.Config{Dev: true, APIKey: key}, nil, 200, 200, 200, full},
		{"key, presented", gateway.Config{APIKey: key}, bearer, 200, 200, 200, full},
		{"key, none presented", gateway.Config{APIKey: key}, nil, 401, 401, 200, brief},
		{"key, a wrong one", gateway.Config{APIKey: key}, []string{"Authorization", "Bearer x"}, 401, 401, 200, brief},
		{"no key", gateway.Config{AnonymousSubscribe: true}, nil, 401, 401, 200, brief},
		{"two addresses", gateway.Config{APIKey: key, InternalListen: "127.0.0.1:0"}, bearer, 404, 404, 404, brief},
		{"two addresses, dev", gateway.Config{Dev: true, InternalListen: "127.0.0.1:0"}, nil, 404, 404, 404, brief},
	} {
		n := startNode(t, test.config)
		for path, want := range map[string]int{"/metrics": test.metrics, "/v1/stats": test.stats, "/": test.page, "/healthz": 200, "/readyz": 200} {
			if res, body := n.do("GET", path, "", test.header...); res.StatusCode != want {
				t.Errorf("%s: %s: %d %s", test.name, path, res.StatusCode, body)
			}
		}
		if _, body := n.do("GET", "/readyz", "", test.header...); strings.Contains(body, "namespaces") != (test.ready == full) || !strings.Contains(body, `"ready":true`) {
			t.Errorf("%s: readyz: %s", test.name, body)
		}
		if (n.InternalURL() != "") != (test.config.InternalListen != "") {
			t.Errorf("%s: %q", test.name, n.InternalURL())
		}
		if n.InternalURL() == "" {
			continue
		}
		// The second address has everything, so that the playground there is a client like any other.
		inside := &node{Server: n.Server, t: t, client: n.client, base: n.InternalURL()}
		for path, want := range map[string]int{"/metrics": 200, "/v1/stats": 200, "/": 200, "/healthz": 200, "/readyz": 200} {
			if res, body := inside.do("GET", path, "", test.header...); res.StatusCode != want {
				t.Errorf("%s, inside: %s: %d %s", test.name, path, res.StatusCode, body)
			}
		}
		if _, body := inside.do("GET", "/readyz", ""); !strings.Contains(body, "namespaces") {
			t.Errorf("%s, inside: readyz: %s", test.name, body)
		}
		sock, stream := inside.connect("/", `{"token":"`+key+`"}`), n.stream("?room=a", bearer...)
		if got := sock.ask("publish", `{"rooms":["a"],"event":"x"}`); got != `{"ok":true}` {
			t.Errorf("%s, inside: publish: %s", test.name, got)
		}
		wantEvent(t, stream, "x", "[]")
	}
}
