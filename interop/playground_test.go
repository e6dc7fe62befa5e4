package interop_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// fill puts text into a field in place of what it holds.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.run("filling "+selector,
		chromedp.Focus(selector),
		func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
			if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.activeElement.select(), true`)); err != nil {
				return chromedp.Void{}, err
			}
			_, err := cdp.Call(ctx, target, input.InsertText, input.InsertTextParams{Text: text})
			return chromedp.Void{}, err
		})
}

// holds is appears for anything that can be said about the page. Its verb is an expression.
const holds = `new Promise((resolve) => {
	const check = () => (%s) && resolve(true);
	new MutationObserver(check).observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
	check();
})`

// await waits until the expression is true of the page.
func (b *tab) await(expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](fmt.Sprintf(holds, expression), chromedp.EvalAwaitPromise)); err != nil {
		b.t.Fatalf("%s: waiting for %s: %v; the page says:\n%s", b.url, expression, err, b.text())
	}
}

// A node that wants its key: the page asks for it before anything is shown as refused, says when it is the wrong one, and
// works with the right one.
func TestBrowserPlaygroundAsksForTheKey(t *testing.T) {
	t.Parallel()
	node := start(t, built(t, pealBinary), "serve", "--api-key", "right", "--listen", "127.0.0.1:0")
	tab := openTab(t, startBrowser(t), node.url()+"/?lang=en")
	tab.awaitText("#key-why", "wants its API key")
	tab.awaitText("#sse-state", "waiting for the API key")
	tab.await(`document.querySelector("#counters[data-dead]") && document.querySelector("#sse-status").dataset.state === "off"`)

	tab.fill("#key", "wrong")
	tab.run("sending the key", chromedp.Click("#key-form button"))
	tab.awaitText("#key-why", "That is not this node's API key")
	tab.awaitText("#state", "waiting for the API key")

	tab.fill("#key", "right")
	tab.run("sending the key", chromedp.Click("#key-form button"))
	tab.awaitText("#state", "connected")
	tab.awaitText("#sse-state", "connected")
	tab.await(`!document.querySelector("#counters[data-dead]") && document.querySelector("#key-form").hidden`)
	tab.send("let in")
	tab.awaitText("#messages", "let in")
	tab.awaitText("#sse-log", "let in")
	tab.awaitText("#sse-curl", "$PEAL_API_KEY")
	tab.run("publishing", chromedp.Click("#publish-send"))
	tab.awaitText("#publish-result", "Published")
	tab.awaitText("#messages", "Deployed to production")
}

// When the node goes, the page says so in words and its figures look dead; when it is back, all that is gone.
func TestBrowserPlaygroundOutlivesItsNode(t *testing.T) {
	t.Parallel()
	node := start(t, built(t, pealBinary), "serve", "--dev", "--listen", "127.0.0.1:0")
	addr := node.addr
	tab := openTab(t, startBrowser(t), node.url()+"/?lang=en")
	tab.awaitText("#state", "connected")
	tab.await(`document.querySelector("[data-testid=counter-sockets]").textContent === "1"`)

	node.stop(t)
	tab.awaitText("#state", "trying again")
	tab.awaitText("#sse-state", "trying again")
	tab.awaitText("#counters-note", "the node cannot be reached")
	tab.await(`document.querySelector("#counters[data-dead]") && document.querySelector("[data-testid=counter-sockets]").textContent === "–"`)
	tab.send("into the void")
	tab.awaitText("#chat-error", "Not sent: there is no connection")
	tab.run("publishing", chromedp.Click("#publish-send"))
	tab.awaitText("#publish-result", "Not published: the node cannot be reached")

	start(t, built(t, pealBinary), "serve", "--dev", "--listen", addr)
	tab.await(`document.querySelector("#state").textContent === "connected" && document.querySelector("#sse-state").textContent === "connected"`)
	tab.await(`document.querySelector("#chat-error").hidden && document.querySelector("#counters-note").hidden && !document.querySelector("#counters[data-dead]")`)
	tab.run("sending what was kept", chromedp.Click("#send"))
	tab.awaitText("#messages", "into the void")
}

// Both connections can be ended and made again by hand, and the page speaks Chinese.
func TestBrowserPlaygroundByHand(t *testing.T) {
	t.Parallel()
	node := start(t, built(t, pealBinary), "serve", "--dev", "--listen", "127.0.0.1:0")
	tab := openTab(t, startBrowser(t), node.url()+"/?lang=zh&room="+"%E5%A4%A7%E5%8E%85%2C%E4%BA%8C")
	tab.await(`document.documentElement.lang === "zh-CN"`)
	for _, ids := range [][2]string{{"#sio-switch", "#state"}, {"#sse-switch", "#sse-state"}} {
		tab.awaitText(ids[1], "已连接")
		tab.run("disconnecting", chromedp.Click(ids[0]))
		tab.awaitText(ids[1], "已断开")
	}
	tab.await(`document.querySelector("[data-testid=counter-sockets]").textContent === "0" && document.querySelector("[data-testid=counter-streams]").textContent === "0"`)
	for _, ids := range [][2]string{{"#sio-switch", "#state"}, {"#sse-switch", "#sse-state"}} {
		tab.run("connecting", chromedp.Click(ids[0]))
		tab.awaitText(ids[1], "已连接")
	}
	// A room whose name has a comma in it is one room.
	tab.awaitText("#publish-target", `["大厅,二"]`)
	tab.run("publishing", chromedp.Click("#publish-send"))
	tab.awaitText("#publish-result", "已发布")
	tab.awaitText("#messages", "Deployed to production")
	tab.awaitText("#sse-log", "Deployed to production")
}

// The page shows who is in its room, and can send them away.
func TestBrowserPlaygroundShowsWhoIsThere(t *testing.T) {
	t.Parallel()
	node := start(t, built(t, pealBinary), "serve", "--dev", "--listen", "127.0.0.1:0")
	browser := startBrowser(t)
	one, two := openTab(t, browser, node.url()+"/?lang=en&room=den"), openTab(t, browser, node.url()+"/?lang=en&room=hall")
	two.awaitText("#state", "connected")
	one.awaitText("#room-list", "hall")
	one.run("going to the other room", chromedp.Click(`#room-list [title="hall"]`))
	one.await(`document.querySelectorAll("[data-testid=member]").length === 4 && document.querySelector("#member-list b").textContent === "you"`)
	one.run("sending the other away", chromedp.Evaluate[chromedp.Void](`[...document.querySelectorAll("[data-testid=member]")]
		.find((row) => row.textContent.includes("Socket.IO") && !row.querySelector("b")).querySelector("button").click()`))
	two.awaitText("#state", "the node has disconnected this client; trying again")
	two.awaitText("#state", "connected")
}

// A page of somebody else loads the official client from the node, and connects with polling first.
func TestBrowserLoadsTheClientFromTheNode(t *testing.T) {
	t.Parallel()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		node := r.URL.Query().Get("node")
		load := fmt.Sprintf(`<script src="%s"></script><script>`, r.URL.Query().Get("file"))
		if strings.Contains(r.URL.Query().Get("file"), "esm") {
			load = fmt.Sprintf(`<script type="module">import { io } from %q;`, r.URL.Query().Get("file"))
		}
		fmt.Fprintf(w, `<!doctype html><p id="message">a page</p><p id="transport"></p><p id="reply"></p>
%[2]s
const socket = io(%[1]q);
socket.io.on("open", () => {
	document.querySelector("#transport").textContent += socket.io.engine.transport.name + " ";
	socket.io.engine.once("upgrade", (transport) => { document.querySelector("#transport").textContent += transport.name; });
});
socket.on("connect", async () => {
	document.querySelector("#reply").textContent = JSON.stringify(await socket.emitWithAck("subscribe", "a"));
});
</script>`, node, load)
	}))
	t.Cleanup(site.Close)
	node := start(t, built(t, pealBinary), "serve", "--dev", "--allow-origin", site.URL, "--listen", "127.0.0.1:0")
	browser := startBrowser(t)
	for _, file := range []string{"socket.io.js", "socket.io.min.js", "socket.io.esm.min.js"} {
		tab := openTab(t, browser, site.URL+"/?node="+node.url()+"&file="+node.url()+"/socket.io/"+file)
		tab.awaitText("#transport", "polling websocket")
		tab.awaitText("#reply", `{"ok":true,"rooms":["a"]}`)
	}
}
