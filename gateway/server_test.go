package gateway_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/peal-dev/peal/gateway"
)

const key = "correct-horse"

var bearer = []string{"Authorization", "Bearer " + key}

// A message reaches sockets and streams of its rooms alike, whichever way it was published.
func TestPublishReachesSocketsAndStreams(t *testing.T) {
	t.Parallel()
	n := startNode(t, gateway.Config{Dev: true})
	stream := n.stream("?room=a&room=b")
	everyone := n.stream("")
	alice := n.connect("/", "")
	bob := n.connect("/", "")
	if got := alice.ask("subscribe", `"a"`); got != `{"ok":true,"rooms":["a"]}` {
		t.Errorf("subscribe: %s", got)
	}
	if got := bob.ask("subscribe", `["b","c","b"]`); got != `{"ok":true,"rooms":["b","c"]}` {
		t.Errorf("subscribe: %s", got)
	}

	// Numbers and the order of keys arrive as they were sent.
	n.publish(`{"rooms":["a"],"event":"tick","args":[12345678901234567890, {"z":1.0,"a":"é"}]}`)
	const args = `12345678901234567890, {"z":1.0,"a":"é"}`
	alice.want(`42["tick",` + args + `]`)
	wantEvent(t, stream, "tick", `[`+args+`]`)

	n.publish(`{"namespace":"/","rooms":["a","b"],"except":["c"],"event":"both","args":[]}`)
	alice.want(`42["both"]`)
	wantEvent(t, stream, "both", `[]`)

	n.publish(`{"rooms":[],"event":"all"}`)
	alice.want(`42["all"]`)
	bob.want(`42["all"]`)
	wantEvent(t, stream, "all", `[]`)
	wantEvent(t, everyone, "all", `[]`)

	if got := alice.ask("publish", `{"rooms":["b"],"event":"said","args":["hi",2]}`); got != `{"ok":true}` {
		t.Errorf("publish: %s", got)
	}
	bob.want(`42["said","hi",2]`)
	wantEvent(t, stream, "said", `["hi",2]`)

	if got := bob.ask("unsubscribe", `["b","never"]`); got != `{"ok":true,"rooms":["b","never"]}` {
		t.Errorf("unsubscribe: %s", got)
	}
	n.publish(`{"rooms":["b"],"event":"missed"}`)
	n.publish(`{"rooms":["c"],"event":"still"}`)
	bob.want(`42["still"]`)
	wantEvent(t, stream, "missed", `[]`)
}

func TestClientPublishesBinary(t *testing.T) {
	t.Parallel()
	n := startNode(t, gateway.Config{Dev: true})
	stream := n.stream("?room=a")
	c := n.connect("/", "")
	c.ask("subscribe", `"a"`)
	c.acks++
	c.write(`451-` + strconv.Itoa(c.acks) + `["publish",{"rooms":["a"],"event":"file","args":[9007199254740993,{"_placeholder":true,"num":0}]}]`)
	if err := c.conn.Write(c.ctx, 2, []byte("hi")); err != nil {
		t.Fatal(err)
	}
	c.want(`451-["file",9007199254740993,{"_placeholder":true,"num":0}]`)
	c.want(`binary "hi"`)
	if got := c.ack(); got != `{"ok":true}` {
		t.Errorf("publish: %s", got)
	}
	wantEvent(t, stream, "file", `[9007199254740993,"aGk="]`)
}

func TestNamespacesAreApart(t *testing.T) {
	t.Parallel()
	n := startNode(t, gateway.Config{Dev: true, Namespaces: []string{"/", "/chat"}})
	root, chat := n.connect("/", ""), n.connect("/chat", "")
	rootStream, chatStream := n.stream("?room=a"), n.stream("?namespace=/chat&room=a")
	root.ask("subscribe", `"a"`)
	chat.ask("subscribe", `"a"`)
	n.publish(`{"namespace":"/chat","rooms":["a"],"event":"in chat"}`)
	n.publish(`{"rooms":["a"],"event":"in root"}`)
	chat.want(`42/chat,["in chat"]`)
	root.want(`42["in root"]`)
	wantEvent(t, chatStream, "in chat", `[]`)
	wantEvent(t, rootStream, "in root", `[]`)
	if got := chat.ask("publish", `{"namespace":"/chat","rooms":["nobody"],"event":"x"}`); got != `{"ok":true}` {
		t.Errorf("its own namespace by name: %s", got)
	}
}

// Every code of an HTTP answer, with what provokes it.
func TestHTTPErrors(t *testing.T) {
	t.Parallel()
	n := startNode(t, gateway.Config{APIKey: key, MaxBody: 2000, MaxRooms: 3})
	long := strings.Repeat("x", 256)
	for _, test := range []struct {
		method, path, body string
		header             []string
		status             int
		code, says         string
	}{
		{"POST", "/v1/publish", `{}`, nil, 401, gateway.CodeTokenRequired, "Authorization: Bearer"},
		{"POST", "/v1/publish", `{}`, []string{"Authorization", "Basic abc"}, 401, gateway.CodeTokenRequired, "Authorization: Bearer"},
		{"POST", "/v1/publish", `{}`, []string{"Authorization", "Bearer wrong"}, 401, gateway.CodeInvalidToken, "not this server's"},
		{"GET", "/v1/publish", ``, bearer, 405, gateway.CodeMethodNotAllowed, "POST"},
		{"POST", "/v1/publish", `{"event":"a"`, bearer, 400, gateway.CodeInvalidJSON, "no valid JSON"},
		{"POST", "/v1/publish", `{"event":"a"}{}`, bearer, 400, gateway.CodeInvalidJSON, "no valid JSON"},
		{"POST", "/v1/publish", `{"event":"a","event":"b"}`, bearer, 400, gateway.CodeInvalidJSON, "duplicate"},
		{"POST", "/v1/publish", ``, bearer, 400, gateway.CodeInvalidJSON, ""},
		{"POST", "/v1/publish", `[]`, bearer, 400, gateway.CodeInvalidRequest, "must be an object"},
		{"POST", "/v1/publish", `{"event":"a","room":["a"]}`, bearer, 400, gateway.CodeInvalidRequest, `unknown field "room"; there are`},
		{"POST", "/v1/publish", `{"event":1}`, bearer, 400, gateway.CodeInvalidRequest, "/event has the wrong type"},
		{"POST", "/v1/publish", `{"event":"a","rooms":[1]}`, bearer, 400, gateway.CodeInvalidRequest, "/rooms"},
		{"POST", "/v1/publish", `{"rooms":["a"]}`, bearer, 400, gateway.CodeInvalidEvent, `no "event"`},
		{"POST", "/v1/publish", `{"event":"disconnect"}`, bearer, 400, gateway.CodeInvalidEvent, "choose another name"},
		{"POST", "/v1/publish", `{"event":"a","args":{}}`, bearer, 400, gateway.CodeInvalidArgs, "array"},
		{"POST", "/v1/publish", `{"event":"a","args":` + strings.Repeat("[", 600) + strings.Repeat("]", 600) + `}`, bearer, 400, gateway.CodeInvalidArgs, "nested"},
		{"POST", "/v1/publish", `{"event":"a","rooms":[""]}`, bearer, 400, gateway.CodeInvalidRoom, "empty"},
		{"POST", "/v1/publish", `{"event":"a","except":["` + long + `"]}`, bearer, 400, gateway.CodeInvalidRoom, "255"},
		{"POST", "/v1/publish", `{"event":"a","rooms":["a","b","c","d"]}`, bearer, 400, gateway.CodeTooManyRooms, "--max-rooms"},
		{"POST", "/v1/publish", `{"event":"a","namespace":"/nope"}`, bearer, 404, gateway.CodeUnknownNamespace, "--namespace"},
		{"POST", "/v1/publish", `{"event":"a","args":["` + strings.Repeat("x", 2000) + `"]}`, bearer, 413, gateway.CodeBodyTooLarge, "--max-body"},
		{"POST", "/v1/publish", `{"event":"a"}`, append([]string{"Origin", "https://evil.example"}, bearer...), 403, gateway.CodeOriginNotAllowed, "--allow-origin"},
		{"GET", "/v1/events?room=a", ``, nil, 401, gateway.CodeTokenRequired, "--anonymous-subscribe"},
		{"GET", "/v1/events?room=a", ``, []string{"Authorization", "Bearer wrong"}, 401, gateway.CodeInvalidToken, ""},
		{"GET", "/v1/events?room=", ``, bearer, 400, gateway.CodeInvalidRoom, "empty"},
		{"GET", "/v1/events?room=" + long, ``, bearer, 400, gateway.CodeInvalidRoom, "255"},
		{"GET", "/v1/events?room=a&room=b&room=c&room=d", ``, bearer, 400, gateway.CodeTooManyRooms, "--max-rooms"},
		{"GET", "/v1/events?namespace=/nope", ``, bearer, 404, gateway.CodeUnknownNamespace, "--namespace"},
		{"GET", "/v1/events", ``, append([]string{"Origin", "https://evil.example"}, bearer...), 403, gateway.CodeOriginNotAllowed, ""},
		{"POST", "/v1/events", ``, bearer, 405, gateway.CodeMethodNotAllowed, "GET"},
		{"GET", "/v1/stats", ``, nil, 401, gateway.CodeTokenRequired, ""},
		{"POST", "/v1/stats", ``, bearer, 405, gateway.CodeMethodNotAllowed, "GET"},
		{"POST", "/readyz", ``, nil, 405, gateway.CodeMethodNotAllowed, "GET"},
		{"GET", "/v1/nope", ``, nil, 404, gateway.CodeNotFound, "/v1/publish"},
	} {
		res, body := n.do(test.method, test.path, test.body, test.header...)
		code, message := errorOf(t, body)
		if res.StatusCode != test.status || code != test.code || message == "" || !strings.Contains(message, test.says) {
			t.Errorf("%s %s %.60s: got %d %s %q; want %d %s … %s …", test.method, test.path, test.body,
				res.StatusCode, code, message, test.status, test.code, test.says)
		}
		if (res.StatusCode == 401) != (res.Header.Get("WWW-Authenticate") == "Bearer") && test.path != "/v1/events?room=a" {
			t.Errorf("%s: WWW-Authenticate %q", test.path, res.Header.Get("WWW-Authenticate"))
		}
	}
}

// Every code of an acknowledgement, with what provokes it.
func TestSocketErrors(t *testing.T) {
	t.Parallel()
	n := startNode(t, gateway.Config{APIKey: key, MaxRooms: 3, Namespaces: []string{"/", "/chat"}})
	anonymous := n.connect("/", "")
	backend := n.connect("/", `{"token":"`+key+`"}`)
	long := `"` + strings.Repeat("x", 256) + `"`
	for _, test := range []struct {
		client      *client
		event, args string
		code, says  string
	}{
		{anonymous, "subscribe", `"a"`, gateway.CodeTokenRequired, "--anonymous-subscribe"},
		{anonymous, "publish", `{"event":"a"}`, gateway.CodeTokenRequired, "--anonymous-publish"},
		{backend, "subscribe", `[]`, gateway.CodeInvalidRoom, "say which"},
		{backend, "subscribe", `""`, gateway.CodeInvalidRoom, "empty"},
		{backend, "subscribe", long, gateway.CodeInvalidRoom, "255"},
		{backend, "subscribe", `7`, gateway.CodeInvalidRoom, "argument 0: rooms are a string or a list of strings"},
		{backend, "unsubscribe", `[7]`, gateway.CodeInvalidRoom, "argument 0: rooms are a string or a list of strings"},
		{backend, "subscribe", `["a","b","c","d"]`, gateway.CodeTooManyRooms, "--max-rooms"},
		{backend, "unsubscribe", `[]`, gateway.CodeInvalidRoom, "say which"},
		{backend, "publish", `{"event":"connect"}`, gateway.CodeInvalidEvent, ""},
		{backend, "publish", `{"event":"a","args":"x"}`, gateway.CodeInvalidArgs, "array"},
		{backend, "publish", `"a","b"`, gateway.CodeInvalidRequest, "one argument"},
		{backend, "publish", `{"event":"a","to":"b"}`, gateway.CodeInvalidRequest, "unknown field"},
		{backend, "publish", `{"event":"a","rooms":[""]}`, gateway.CodeInvalidRoom, "empty"},
		{backend, "publish", `{"event":"a","namespace":"/chat"}`, gateway.CodeWrongNamespace, "leave the field out"},
	} {
		code, message := errorOf(t, test.client.ask(test.event, test.args))
		if code != test.code || message == "" || !strings.Contains(message, test.says) {
			t.Errorf("%s %.40s: got %s %q, want %s … %s …", test.event, test.args, code, message, test.code, test.says)
		}
	}

	// The limit counts the rooms the client is in, and what was refused has changed nothing.
	backend.ask("subscribe", `["a","b"]`)
	if code, _ := errorOf(t, backend.ask("subscribe", `["c","d"]`)); code != gateway.CodeTooManyRooms {
		t.Errorf("a fourth room: %s", code)
	}
	if got := backend.ask("subscribe", `["a","c"]`); got != `{"ok":true,"rooms":["a","c"]}` {
		t.Errorf("a third room: %s", got)
	}
	backend.ask("unsubscribe", `"b"`)
	if got := backend.ask("subscribe", `"d"`); got != `{"ok":true,"rooms":["d"]}` {
		t.Errorf("after leaving one: %s", got)
	}
}

func TestWhoMay(t *testing.T) {
	t.Parallel()
	const (
		yes     = "ok"
		refused = "connection refused"
	)
	for _, test := range []struct {
		name               string
		config             gateway.Config
		auth               string
		subscribe, publish string
	}{
		{"dev", gateway.Config{Dev: true}, "", yes, yes},
		{"dev without a key takes any token", gateway.Config{Dev: true}, `{"token":"x"}`, yes, yes},
		{"dev with a key", gateway.Config{Dev: true, APIKey: key}, "", yes, yes},
		{"dev with a key and a wrong token", gateway.Config{Dev: true, APIKey: key}, `{"token":"x"}`, refused, refused},
		{"key, none presented", gateway.Config{APIKey: key}, "", gateway.CodeTokenRequired, gateway.CodeTokenRequired},
		{"key, empty token", gateway.Config{APIKey: key}, `{"token":""}`, gateway.CodeTokenRequired, gateway.CodeTokenRequired},
		{"key presented", gateway.Config{APIKey: key}, `{"token":"` + key + `"}`, yes, yes},
		{"wrong key", gateway.Config{APIKey: key}, `{"token":"` + key + `!"}`, refused, refused},
		{"token that is no string", gateway.Config{APIKey: key}, `{"token":1}`, refused, refused},
		{"anonymous subscribe", gateway.Config{AnonymousSubscribe: true}, "", yes, gateway.CodeTokenRequired},
		{"anonymous publish", gateway.Config{AnonymousPublish: true}, "", gateway.CodeTokenRequired, yes},
		{"token without a key", gateway.Config{AnonymousSubscribe: true}, `{"token":"x"}`, refused, refused},
		{"key beside anonymous", gateway.Config{AnonymousSubscribe: true, APIKey: key}, `{"token":"` + key + `"}`, yes, yes},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := startNode(t, test.config).connect("/", test.auth)
			if strings.HasPrefix(c.connected, "44") {
				var answer struct {
					Message string
					Data    struct{ Code string }
				}
				if err := json.Unmarshal([]byte(c.connected[2:]), &answer); err != nil || answer.Data.Code != gateway.CodeInvalidToken || answer.Message == "" {
					t.Errorf("refused with %s", c.connected)
				}
				if test.subscribe != refused {
					t.Errorf("refused with %s", c.connected)
				}
				return
			}
			outcome := func(ack string) string {
				if strings.Contains(ack, `"ok":true`) {
					return yes
				}
				code, _ := errorOf(t, ack)
				return code
			}
			if got := outcome(c.ask("subscribe", `"a"`)); got != test.subscribe {
				t.Errorf("subscribe: %s, want %s", got, test.subscribe)
			}
			if got := outcome(c.ask("publish", `{"rooms":["nobody"],"event":"x"}`)); got != test.publish {
				t.Errorf("publish: %s, want %s", got, test.publish)
			}
		})
	}
}

// What anonymous clients may is not for the API of backends; a key is never optional where there is one.
func TestBackendsNeedTheKey(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		config gateway.Config
		status int
	}{
		{gateway.Config{Dev: true}, 200},
		{gateway.Config{Dev: true, APIKey: key}, 401},
		{gateway.Config{AnonymousPublish: true}, 401},
	} {
		n := startNode(t, test.config)
		if res, body := n.do("POST", "/v1/publish", `{"event":"a"}`); res.StatusCode != test.status {
			t.Errorf("%+v: %d %s", test.config, res.StatusCode, body)
		}
	}
	n := startNode(t, gateway.Config{APIKey: key})
	n.publish(`{"event":"a"}`, bearer...)
}

func TestStatsAndMetrics(t *testing.T) {
	t.Parallel()
	n := startNode(t, gateway.Config{Dev: true, Namespaces: []string{"/", "/chat"}})
	stream := n.stream("?room=a")
	c := n.connect("/chat", "")
	c.ask("subscribe", `["a","b"]`)
	n.publish(`{"rooms":["a"],"event":"x"}`)
	wantEvent(t, stream, "x", "[]")
	res, body := n.do("GET", "/v1/stats", "")
	var stats struct {
		Node                                                        string
		Connections, Sockets, Streams, Rooms, Broadcasts, Delivered int
		Cluster                                                     string
		Uptime                                                      float64 `json:"uptime_seconds"`
	}
	if err := json.Unmarshal([]byte(body), &stats); err != nil || res.StatusCode != 200 {
		t.Fatalf("%d %s: %v", res.StatusCode, body, err)
	}
	if stats.Node != n.Node() || stats.Connections != 1 || stats.Sockets != 1 || stats.Streams != 1 || stats.Rooms != 3 ||
		stats.Broadcasts != 1 || stats.Delivered != 1 || stats.Cluster != "none" || stats.Uptime <= 0 {
		t.Errorf("stats %s", body)
	}
	for series, want := range map[string]string{
		`peal_socketio_connections`:                               "1",
		`peal_socketio_sockets`:                                   "1",
		`peal_sse_streams`:                                        "1",
		`peal_rooms{namespace="/chat"}`:                           "2",
		`peal_members{namespace="/"}`:                             "1",
		`peal_broadcasts_total{namespace="/"}`:                    "1",
		`peal_sse_closed_total{reason="slow consumer"}`:           "0",
		`peal_draining`:                                           "0",
		`peal_socketio_disconnected_total{reason="ping timeout"}`: "0",
	} {
		if got := n.metric(series); got != want {
			t.Errorf("%s is %s, want %s", series, got, want)
		}
	}
	for _, series := range []string{"go_goroutines", "process_open_fds"} {
		if n.metric(series) == "missing" {
			t.Errorf("no %s", series)
		}
	}
	keyed := startNode(t, gateway.Config{APIKey: key})
	if res, _ := keyed.do("GET", "/v1/stats", "", bearer...); res.StatusCode != 200 {
		t.Errorf("stats with the key: %d", res.StatusCode)
	}
}

func TestHealthAndPage(t *testing.T) {
	t.Parallel()
	n := startNode(t, gateway.Config{Dev: true})
	if res, body := n.do("GET", "/healthz", ""); res.StatusCode != 200 || body != "{\"ok\":true}\n" {
		t.Errorf("healthz: %d %s", res.StatusCode, body)
	}
	if res, body := n.do("GET", "/readyz", ""); res.StatusCode != 200 || body != "{\"ready\":true,\"namespaces\":{\"/\":{\"ok\":true}}}\n" {
		t.Errorf("readyz: %d %s", res.StatusCode, body)
	}
	res, body := n.do("GET", "/", "")
	if res.StatusCode != 200 || !strings.Contains(body, "<html") {
		t.Errorf("the page: %d %.80s", res.StatusCode, body)
	}
}
