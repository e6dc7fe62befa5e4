package gateway_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/peal-dev/peal/gateway"
)

// One setting, one comparison, for everything a node answers.
func TestOrigins(t *testing.T) {
	t.Parallel()
	const app = "https://app.example"
	for _, test := range []struct {
		allow   []string
		host    string // empty is the node's own
		origin  string
		allowed bool
		told    string // Access-Control-Allow-Origin
	}{
		{nil, "", app, false, ""},
		{nil, "", "null", false, ""},
		{nil, "app.example", app, true, ""},
		{nil, "app.example:443", app, true, ""},
		{nil, "app.example:8443", app, false, ""},
		{[]string{app}, "", app, true, app},
		{[]string{"https://App.example"}, "", app, true, app},
		{[]string{"https://app.example:443"}, "", app, true, app},
		{[]string{app}, "", "https://other.example", false, ""},
		{[]string{"https://*.example"}, "", app, true, app},
		{[]string{"*"}, "", "https://other.example", true, "*"},
	} {
		n := startNode(t, gateway.Config{APIKey: key, AnonymousSubscribe: true, AllowOrigins: test.allow})
		header := []string{"Origin", test.origin}
		if test.host != "" {
			header = append(header, "Host", test.host)
		}
		upgrade := append([]string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "x"}, header...)
		for _, request := range []struct {
			method, path, body string
			header             []string
		}{
			{"GET", "/socket.io/?EIO=4&transport=polling", "", header},
			{"GET", "/socket.io?EIO=4&transport=polling", "", header},
			{"GET", "/socket.io/?EIO=4&transport=websocket", "", upgrade},
			{"POST", "/v1/publish", `{"event":"a"}`, append(header, bearer...)},
			{"GET", "/v1/stats", "", append(header, bearer...)},
			{"GET", "/v1/events?room=", "", header}, // refused for its room, once it got so far
			{"GET", "/v1/nothing", "", header},
		} {
			res, body := n.do(request.method, request.path, request.body, request.header...)
			if got := res.StatusCode != http.StatusForbidden; got != test.allowed {
				t.Errorf("%v: %s %s from %s on %q: %d %s", test.allow, request.method, request.path, test.origin, test.host, res.StatusCode, body)
			}
			if got := res.Header.Get("Access-Control-Allow-Origin"); got != test.told && res.Header.Get("Sec-WebSocket-Version") == "" {
				t.Errorf("%v: %s %s from %s on %q may be read by %q", test.allow, request.method, request.path, test.origin, test.host, got)
			}
		}
		// Links lead there from anywhere; only allowed pages may read the answers.
		for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
			res, _ := n.do("GET", path, "", append(header, bearer...)...)
			if got := res.Header.Get("Access-Control-Allow-Origin"); res.StatusCode != 200 || got != test.told {
				t.Errorf("%v: %s from %s: %d, may be read by %q", test.allow, path, test.origin, res.StatusCode, got)
			}
		}
	}
}

// A browser asks before it sends a token: each path takes its own methods, and the page's headers.
func TestPreflight(t *testing.T) {
	t.Parallel()
	n := startNode(t, gateway.Config{APIKey: key, AllowOrigins: []string{"https://app.example"}, AllowCredentials: true})
	for path, methods := range map[string][]string{
		"/socket.io/": {"GET", "POST"}, "/socket.io": {"GET", "POST"}, "/v1/events": {"GET"}, "/v1/publish": {"POST"}, "/v1/stats": {"GET"},
		"/healthz": {"GET"}, "/readyz": {"GET"}, "/metrics": {"GET"},
	} {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
			res, body := n.do("OPTIONS", path, "", "Origin", "https://app.example",
				"Access-Control-Request-Method", method, "Access-Control-Request-Headers", "authorization,content-type")
			h, taken := res.Header, false
			for _, m := range methods {
				taken = taken || m == method
			}
			if res.StatusCode != http.StatusNoContent || (h.Get("Access-Control-Allow-Origin") != "") != taken {
				t.Errorf("%s %s: %d %s %v", method, path, res.StatusCode, body, h)
			} else if taken && (h.Get("Access-Control-Allow-Credentials") != "true" || h.Get("Access-Control-Allow-Methods") != method ||
				h.Get("Access-Control-Allow-Headers") != "authorization,content-type") {
				t.Errorf("%s %s: %v", method, path, h)
			}
		}
	}
}

// A page of an allowed origin can read that a node is going, as it can read anything else.
func TestDrainingIsReadable(t *testing.T) {
	t.Parallel()
	n := startNode(t, gateway.Config{Dev: true, AllowOrigins: []string{"https://app.example"}})
	n.SetDraining(true)
	defer n.SetDraining(false)
	for path, method := range map[string]string{"/socket.io/?EIO=4&transport=polling": "GET", "/v1/events": "GET", "/v1/publish": "POST"} {
		res, body := n.do(method, path, "", "Origin", "https://app.example")
		if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Access-Control-Allow-Origin") == "" {
			t.Errorf("%s: %d %s %v", path, res.StatusCode, body, res.Header)
		}
	}
}

func TestJSONP(t *testing.T) {
	t.Parallel()
	for on, status := range map[bool]int{false: 403, true: 200} {
		n := startNode(t, gateway.Config{Dev: true, JSONP: on, PingInterval: time.Second})
		if res, body := n.do("GET", "/socket.io/?EIO=4&transport=polling&j=0", ""); res.StatusCode != status {
			t.Errorf("JSONP %v: %d %s", on, res.StatusCode, body)
		}
	}
}
