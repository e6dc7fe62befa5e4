package interop_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"github.com/peal-dev/peal/internal/testredis"
)

// Two nodes, one Redis, one browser with a tab on each node's playground: what is typed in one tab appears in the other.
func TestBrowserPlaygroundAcrossNodes(t *testing.T) {
	t.Parallel()
	redis := testredis.Start(t)
	one, two := startPeal(t, redis.URL()), startPeal(t, redis.URL())

	browser := startBrowser(t)
	first, second := openTab(t, browser, one.url()), openTab(t, browser, two.url())
	for _, tab := range []*tab{first, second} {
		tab.awaitText("#transport", "websocket")
	}

	first.send("from the first node: žluťoučký 🐎 <b>not bold</b>")
	second.awaitText("#messages", "from the first node: žluťoučký 🐎 <b>not bold</b>")
	second.awaitText("#sse-log", "from the first node: žluťoučký 🐎")
	first.awaitText("#messages", "from the first node")
	first.awaitText("#sse-log", "from the first node")

	second.send("from the second node")
	first.awaitText("#messages", "from the second node")
	first.awaitText("#sse-log", "from the second node")
	second.awaitText("#messages", "from the second node")

	// Each shows both nodes, and which of them it is on.
	for _, tab := range []*tab{first, second} {
		tab.await(`document.querySelectorAll("[data-testid=node]").length === 2 && document.querySelectorAll("#node-list b").length === 1`)
	}
	first.screenshot("playground-first-node.png")
	second.screenshot("playground-second-node.png")
}

// startBrowser starts a headless Chromium with a profile of its own and returns the context that owns it.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("Chromium is missing; `make test` says how to install it (package chromium on Debian)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("headless", true),
		chromedp.Flag("no-sandbox", true),
		chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("no-first-run", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.WindowSize(1280, 900),
	)
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	browser, stop := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		// Cancel waits for the browser to be gone, so that its profile can be removed.
		if err := chromedp.Cancel(browser); err != nil {
			t.Errorf("closing Chromium: %v", err)
		}
		stop()
		stopAllocator()
	})
	if err := chromedp.Do(browser); err != nil {
		t.Fatalf("starting Chromium: %v", err)
	}
	return browser
}

// tab is one page of the browser.
type tab struct {
	t   *testing.T
	ctx context.Context
	url string
}

func openTab(t *testing.T, browser context.Context, url string) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	tab := &tab{t: t, ctx: ctx, url: url}
	// The first call binds the tab to its context, which must therefore not be the shorter one of a single step.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("opening a tab: %v", err)
	}
	tab.run("opening the page", chromedp.Navigate(url), chromedp.WaitVisible("#message"))
	return tab
}

func (b *tab) run(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%s: %s: %v; the page says:\n%s", b.url, what, err, b.text())
	}
}

// text is all the page shows, for a failure's message.
func (b *tab) text() string {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`))
	if err != nil {
		return err.Error()
	}
	return text
}

// appears is a script that ends when an element's text contains something. Its two verbs are quoted strings.
const appears = `new Promise((resolve) => {
	const check = () => document.querySelector(%q)?.textContent.includes(%q) && resolve(true);
	new MutationObserver(check).observe(document, { subtree: true, childList: true, characterData: true });
	check();
})`

// awaitText waits until the element's text contains want.
func (b *tab) awaitText(selector, want string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	// The page's policy forbids eval, which chromedp's own polling needs; a watcher written out as a script is allowed.
	contains := chromedp.Evaluate[bool](fmt.Sprintf(appears, selector, want), chromedp.EvalAwaitPromise)
	if _, err := chromedp.Run(ctx, contains); err != nil {
		b.t.Fatalf("%s: waiting for %q in %s: %v; the page says:\n%s", b.url, want, selector, err, b.text())
	}
}

// send enters a message as an input method does, since not every character has a key, and presses the button.
func (b *tab) send(message string) {
	b.t.Helper()
	b.run("sending "+message,
		chromedp.Focus("#message"),
		func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
			_, err := cdp.Call(ctx, target, input.InsertText, input.InsertTextParams{Text: message})
			return chromedp.Void{}, err
		},
		chromedp.Click("#send"))
}

// screenshot saves what the tab shows, if the environment says where.
func (b *tab) screenshot(name string) {
	b.t.Helper()
	dir := os.Getenv("PEAL_SCREENSHOTS")
	if dir == "" {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	image, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatalf("%s: screenshot: %v", b.url, err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), image, 0o644); err != nil {
		b.t.Error(err)
	}
}
