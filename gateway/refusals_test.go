package gateway_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"github.com/peal-dev/peal/gateway"
)

// journal is a log that may be read while it is written.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

// lines returns the lines that contain a text.
func (j *journal) lines(text string) (found []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for line := range strings.Lines(j.buf.String()) {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// Whoever runs a node sees at info why clients cannot get in and what to do: once for each reason, and counted.
func TestOperatorSeesRefusals(t *testing.T) {
	t.Parallel()
	const often = 4
	var log journal
	n := startNode(t, gateway.Config{APIKey: key, MaxPublishRate: 1, AllowHosts: []string{"peal.example"}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	foreign := []string{"Origin", "https://evil.example"}
	for _, test := range []struct {
		provoke              func()
		reason, says, advice string
		metric               string
	}{
		{func() { n.do("GET", "/socket.io/?EIO=4&transport=polling", "", foreign...) },
			`origin_not_allowed`, "Socket.IO clients are refused", "--allow-origin", "engineio_refused_total"},
		{func() { n.do("GET", "/socket.io/?EIO=3&transport=polling", "") },
			`unsupported_protocol_version`, "Socket.IO clients are refused", "Socket.IO 3 or 4", "engineio_refused_total"},
		{func() { n.do("GET", "/socket.io/?EIO=4&transport=polling&j=0", "") },
			`jsonp_disabled`, "Socket.IO clients are refused", "--jsonp", "engineio_refused_total"},
		{func() { n.do("GET", "/socket.io/?EIO=4&transport=polling&sid=x", "") },
			`session_id_unknown`, "Socket.IO clients are refused", "sticky", "engineio_refused_total"},
		{func() { n.connect("/", `{"token":"wrong"}`) },
			`invalid_token`, "socketio: clients are refused", "not this server's API key", "socketio_refused_total"},
		{func() { n.connect("/nowhere", "") },
			`unknown_namespace`, "socketio: clients are refused", "/nowhere", "socketio_refused_total"},
		{func() { n.do("GET", "/v1/events?room=a", "", append(foreign, bearer...)...) },
			`origin_not_allowed`, "event streams are refused", "--allow-origin", "sse_refused_total"},
		{func() { n.do("GET", "/v1/events?room=a", "") },
			`token_required`, "event streams are refused", "--anonymous-subscribe", "sse_refused_total"},
		{func() { n.do("POST", "/v1/publish", "{}", "Authorization", "Bearer wrong") },
			`invalid_token`, "requests are refused", "API key", "http_refused_total"},
		{func() { n.do("POST", "/v1/publish", "{}", foreign...) },
			`origin_not_allowed`, "requests are refused", "--allow-origin", "http_refused_total"},
		{func() { n.do("GET", "/healthz", "", "Host", "evil.example") },
			`host_not_allowed`, "requests are refused", "--allow-host", "http_refused_total"},
		{func() { n.connect("/", "").ask("subscribe", `"a"`) },
			`token_required`, "events of clients are refused", "--anonymous-subscribe", "events_refused_total"},
	} {
		for range often {
			test.provoke()
		}
		var found []string
		for _, line := range log.lines("reason=" + test.reason) {
			if strings.Contains(line, test.says) {
				found = append(found, line)
			}
		}
		if len(found) != 1 || !strings.Contains(found[0], "level=INFO") || !strings.Contains(found[0], test.advice) {
			t.Errorf("%s: %q; want one line with %s", test.reason, found, test.advice)
		}
		series := fmt.Sprintf("peal_%s{reason=%q}", test.metric, strings.Trim(test.reason, `"`))
		if got := n.metric(series, bearer...); got != strconv.Itoa(often) {
			t.Errorf("%s is %s, want %d", series, got, often)
		}
	}
	for _, secret := range []string{key, "wrong"} {
		if found := log.lines(secret); len(found) > 0 {
			t.Errorf("the log has a token: %q", found)
		}
	}
}

// A client with another parser is told nothing, for it would not understand; the operator is.
func TestOperatorSeesOtherParsers(t *testing.T) {
	t.Parallel()
	var log journal
	n := startNode(t, gateway.Config{Dev: true, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for range 3 {
		c := n.connect("/", "")
		if err := c.conn.Write(c.ctx, websocket.MessageBinary, []byte{0x83, 0xa4}); err != nil { // of socket.io-msgpack-parser
			t.Fatal(err)
		}
		if _, _, err := c.conn.Read(c.ctx); err == nil {
			t.Error("the connection is still there")
		}
	}
	if found := log.lines("another parser"); len(found) != 1 || !strings.Contains(found[0], "level=INFO") {
		t.Errorf("the log: %q", found)
	}
	if got := n.metric(`peal_socketio_errors_total{kind="protocol"}`); got != "3" {
		t.Errorf("counted %s", got)
	}
}

// Nobody but a backend may publish as fast as it can.
func TestPublishRate(t *testing.T) {
	t.Parallel()
	const rate, events = 5, 200
	n := startNode(t, gateway.Config{APIKey: key, AnonymousPublish: true, MaxPublishRate: rate})
	publish := func(auth string) (accepted, refused int) {
		c := n.connect("/", auth)
		for range events {
			switch ack := c.ask("publish", `{"rooms":["nobody"],"event":"x"}`); {
			case ack == `{"ok":true}`:
				accepted++
			case strings.Contains(ack, `"`+gateway.CodeRateLimited+`"`) && strings.Contains(ack, "--max-publish-rate"):
				refused++
			default:
				t.Fatalf("publish: %s", ack)
			}
		}
		return accepted, refused
	}
	accepted, refused := publish("")
	if accepted < 2*rate || refused < events/2 {
		t.Errorf("%d of %d in a row were accepted, %d refused", accepted, events, refused)
	}
	if got := n.metric(`peal_events_refused_total{reason="rate_limited"}`, bearer...); got != strconv.Itoa(refused) {
		t.Errorf("counted %s of %d", got, refused)
	}
	if accepted, _ := publish(`{"token":"` + key + `"}`); accepted != events {
		t.Errorf("of a backend %d of %d were accepted", accepted, events)
	}
	if accepted, _ := publish(""); accepted < 2*rate {
		t.Errorf("of another client %d were accepted", accepted)
	}
}
