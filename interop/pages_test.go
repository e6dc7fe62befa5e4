package interop_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/peal-dev/peal/sse"
)

// attempts is a page's script that tries every way into a node and says which led in. What a request without an answer
// that the page may read has done is for the test to see. The verbs are the node's URL and the ids of a session on plain
// polling that is somebody else's.
const attempts = `(async () => {
	const node = %q, sid = %q;
	const soon = (f) => Promise.race([new Promise(f), new Promise((resolve) => setTimeout(resolve, 15000, "no answer"))]);
	const fetched = (path, options) => fetch(node + path, { credentials: "include", ...options }).then(
		async (r) => r.ok ? "in" : "refused: " + r.status, (e) => "unreadable");
	const posted = (path, name, value, enctype) => soon((resolve) => {
		const frame = document.createElement("iframe");
		frame.name = "answer" + document.querySelectorAll("iframe").length;
		document.body.append(frame); // and is loaded, for the first time
		frame.onload = () => resolve("sent");
		const form = document.body.appendChild(document.createElement("form"));
		Object.assign(form, { method: "POST", action: node + path, target: frame.name, enctype });
		const input = form.appendChild(document.createElement("input"));
		Object.assign(input, { type: "hidden", name, value });
		form.submit();
	});
	const out = {};
	out.polling = await fetched("/socket.io/?EIO=4&transport=polling");
	out.jsonp = await soon((resolve) => {
		window.___eio = [() => resolve("in")];
		const script = document.createElement("script");
		script.src = node + "/socket.io/?EIO=4&transport=polling&j=0";
		script.onload = () => resolve("loaded"), script.onerror = () => resolve("refused");
		document.head.append(script);
	});
	out.webSocket = await soon((resolve) => {
		const socket = new WebSocket(node.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket");
		socket.onmessage = () => { resolve("in"); socket.close(); };
		socket.onerror = () => resolve("refused");
	});
	out.events = await soon((resolve) => {
		const source = new EventSource(node + "/v1/events?room=a", { withCredentials: true });
		source.onopen = () => { resolve("in"); source.close(); };
		source.onerror = () => { resolve("refused"); source.close(); };
	});
	out.publish = await fetched("/v1/publish", { method: "POST", body: '{"rooms":["a"],"event":"by fetch"}',
		headers: { "Content-Type": "application/json", "Authorization": "Bearer x" } });
	out.poll = await fetched("/socket.io/?EIO=4&transport=polling&sid=" + sid, { method: "POST", body: '42["publish",{"rooms":["a"],"event":"by poll"}]' });
	out.blind = await fetch(node + "/v1/publish", { method: "POST", mode: "no-cors", body: '{"rooms":["a"],"event":"by no-cors"}' }).then(() => "sent", () => "failed");
	out.formOfSession = await posted("/socket.io/?EIO=4&transport=polling&sid=" + sid,
		'42["publish",{"rooms":["a"],"event":"by form","args":["', '"]}]', "text/plain");
	out.formOfAPI = await posted("/v1/publish", '{"rooms":["a"],"event":"by form of the API","args":["', '"]}', "text/plain");
	return out;
})()`

// A page of another site gets nothing from a node, and can do nothing to it, in a real browser. One that is allowed can
// use all of it, cookies included.
func TestBrowserKeepsForeignPagesOut(t *testing.T) {
	t.Parallel()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>a site</title><input id=message>")
	}))
	defer site.Close()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(site.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	page := "http://localhost:" + port // another site than 127.0.0.1
	browser := startBrowser(t)

	for name, test := range map[string]struct {
		flags []string
		want  map[string]string
		heard []string // what reached a member of the room
	}{
		"foreign": {[]string{"--jsonp"}, map[string]string{"polling": "unreadable", "jsonp": "refused", "webSocket": "refused", "events": "refused",
			"publish": "unreadable", "poll": "unreadable", "blind": "sent", "formOfSession": "sent", "formOfAPI": "sent"}, nil},
		"allowed": {[]string{"--allow-origin", page, "--allow-credentials", "--jsonp"}, map[string]string{"polling": "in", "jsonp": "in", "webSocket": "in",
			"events": "in", "publish": "in", "poll": "in", "blind": "sent", "formOfSession": "sent", "formOfAPI": "sent"},
			[]string{"by fetch", "by poll", "by no-cors", "by form", "by form of the API"}},
	} {
		t.Run(name, func(t *testing.T) {
			node := start(t, built(t, pealBinary), append([]string{"serve", "--dev", "--listen", "127.0.0.1:0"}, test.flags...)...)
			room := node.listen(t, "a")
			tab := openTab(t, browser, page)
			ctx, cancel := context.WithTimeout(tab.ctx, 2*patience)
			defer cancel()
			script := fmt.Sprintf(attempts, node.url(), node.session(t))
			got, err := chromedp.Run(ctx, chromedp.Evaluate[map[string]string](script, chromedp.EvalAwaitPromise))
			if err != nil {
				t.Fatal(err)
			}
			for way, want := range test.want {
				if got[way] != want {
					t.Errorf("%s: %s, want %s", way, got[way], want)
				}
			}
			node.publish(t, publication{Event: "last", Rooms: []string{"a"}, Args: []any{}})
			var heard []string
			for {
				event, err := room.Next()
				if err != nil {
					t.Fatal(err)
				}
				if event.Name == "last" {
					break
				}
				heard = append(heard, event.Name)
			}
			if fmt.Sprint(heard) != fmt.Sprint(test.heard) {
				t.Errorf("the room heard %q, want %q", heard, test.heard)
			}
		})
	}
}

// session opens a session on polling, connected to the root namespace, and returns its id.
func (p *program) session(t *testing.T) string {
	t.Helper()
	body := p.exchange(t, http.MethodGet, "/socket.io/?EIO=4&transport=polling", "")
	_, rest, _ := strings.Cut(body, `"sid":"`)
	sid, _, found := strings.Cut(rest, `"`)
	if !found {
		t.Fatalf("no session: %s", body)
	}
	p.exchange(t, http.MethodPost, "/socket.io/?EIO=4&transport=polling&sid="+sid, "40")
	return sid
}

func (p *program) exchange(t *testing.T, method, path, body string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, p.url()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %d %s, %v", method, path, response.StatusCode, text, err)
	}
	return string(text)
}

// listen opens an event stream of a room.
func (p *program) listen(t *testing.T, room string) *sse.Reader {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url()+"/v1/events?room="+room, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return sse.NewReader(response.Body)
}
