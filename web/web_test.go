package web_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/peal-dev/peal/web"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func get(h http.Handler, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestEveryFileHasItsType(t *testing.T) {
	t.Parallel()
	h := web.Handler()
	for path, want := range map[string]string{
		"/":            "text/html; charset=utf-8",
		"/base.css":    "text/css; charset=utf-8",
		"/js/main.js":  "text/javascript; charset=utf-8",
		"/favicon.svg": "image/svg+xml",
	} {
		w := get(h, path)
		if w.Code != http.StatusOK || w.Body.Len() == 0 {
			t.Errorf("GET %s: status %d with %d bytes", path, w.Code, w.Body.Len())
		}
		if got := w.Header().Get("Content-Type"); got != want {
			t.Errorf("GET %s: Content-Type %q, want %q", path, got, want)
		}
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	t.Parallel()
	h := web.Handler()
	for _, path := range []string{"/nope", "/index.html", "/dist/.gitkeep", "/dist/socket.io.js", "/js/", "/../web.go"} {
		if w := get(h, path); w.Code != http.StatusNotFound {
			t.Errorf("GET %s: status %d, want 404", path, w.Code)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader("x")))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST /: status %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestHeadHasNoBody(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	web.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodHead, "/", nil))
	if w.Code != http.StatusOK || w.Body.Len() != 0 || w.Header().Get("Content-Length") == "" {
		t.Errorf("HEAD /: status %d, %d bytes, Content-Length %q", w.Code, w.Body.Len(), w.Header().Get("Content-Length"))
	}
}

func TestRevalidation(t *testing.T) {
	t.Parallel()
	h := web.Handler()
	first := get(h, "/base.css")
	tag := first.Header().Get("ETag")
	if tag == "" || first.Header().Get("Cache-Control") != "no-cache" {
		t.Fatalf("ETag %q, Cache-Control %q", tag, first.Header().Get("Cache-Control"))
	}
	if w := get(h, "/base.css", "If-None-Match", tag); w.Code != http.StatusNotModified || w.Body.Len() != 0 {
		t.Errorf("with the same ETag: status %d and %d bytes, want 304 and none", w.Code, w.Body.Len())
	}
	if w := get(h, "/base.css", "If-None-Match", `W/"other"`); w.Code != http.StatusOK {
		t.Errorf("with another ETag: status %d, want 200", w.Code)
	}
}

func TestPolicyForbidsWhatThePageDoesNotUse(t *testing.T) {
	t.Parallel()
	policy := get(web.Handler(), "/").Header().Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none';") {
		t.Errorf("the policy must start from nothing: %q", policy)
	}
	for _, weak := range []string{"unsafe", "*", "http:", "https:", "data:"} {
		if strings.Contains(policy, weak) {
			t.Errorf("the policy allows %q: %q", weak, policy)
		}
	}
}

// A strict policy makes the browser ignore inline scripts, styles and handlers without a word, so they must not be
// written in the first place; and the page must work on a machine that reaches nothing but its node.
func TestPageObeysItsPolicy(t *testing.T) {
	t.Parallel()
	forbidden := map[string]*regexp.Regexp{
		"an inline style":          regexp.MustCompile(`(?i)\sstyle\s*=|<style`),
		"an inline script":         regexp.MustCompile(`(?i)<script(?:\s[^>]*)?>[^<]`),
		"an inline handler":        regexp.MustCompile(`(?i)<[^>]*\son[a-z]+\s*=`),
		"an outside address":       regexp.MustCompile(`(?i)(?:src|href|url|from|import)\s*[=(]?\s*["'(]?(?:https?:)?//`),
		"markup made from strings": regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write`),
	}
	page := web.PageForTest()
	err := fs.WalkDir(page, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := fs.ReadFile(page, name)
		for what, pattern := range forbidden {
			if hit := pattern.Find(body); hit != nil {
				t.Errorf("%s contains %s: %q", name, what, hit)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Every file that the page or a module names must exist, or the browser alone would find out.
func TestReferencesResolve(t *testing.T) {
	t.Parallel()
	h := web.Handler()
	reference := regexp.MustCompile(`(?:\bsrc|\bhref|\bfrom|\bimport)\s*=?\s*"([./][^"#]*)"`)
	checked := 0
	follow := func(base, body string) {
		for _, match := range reference.FindAllStringSubmatch(body, -1) {
			target := match[1]
			if !strings.HasPrefix(target, "/") {
				target = path.Join(path.Dir(base), target)
			}
			checked++
			if w := get(h, target); w.Code != http.StatusOK && !strings.HasPrefix(target, "/v1/") && target != "/metrics" {
				t.Errorf("%s names %s: status %d", base, match[1], w.Code)
			}
		}
	}
	follow("/", get(h, "/").Body.String())
	modules, err := fs.Glob(web.PageForTest(), "js/*.js")
	if err != nil || len(modules) == 0 {
		t.Fatalf("modules %v, %v", modules, err)
	}
	for _, name := range modules {
		follow("/"+name, get(h, "/"+name).Body.String())
	}
	if checked < len(modules) {
		t.Errorf("only %d references found: the pattern no longer matches how the page is written", checked)
	}
}

// The page is what the browser test and people's own scripts hold on to.
func TestStableHandles(t *testing.T) {
	t.Parallel()
	page := get(web.Handler(), "/").Body.String()
	for _, id := range []string{"name", "room", "message", "send", "messages", "transport", "sse-log", "state", "publish-form", "key"} {
		if strings.Count(page, ` id="`+id+`"`) != 1 {
			t.Errorf("the page must have exactly one element with id %q", id)
		}
	}
}

// What compresses must not be what is compressed twice, nor what no longer revalidates.
func TestCompression(t *testing.T) {
	t.Parallel()
	h := web.Handler()
	plain := get(h, "/parts.css")
	zipped := get(h, "/parts.css", "Accept-Encoding", "gzip")
	if plain.Header().Get("Content-Encoding") != "" || zipped.Header().Get("Content-Encoding") != "gzip" || zipped.Body.Len() >= plain.Body.Len() {
		t.Fatalf("plain: %q, %d bytes; compressed: %q, %d bytes", plain.Header().Get("Content-Encoding"), plain.Body.Len(),
			zipped.Header().Get("Content-Encoding"), zipped.Body.Len())
	}
	for _, refusal := range []string{"gzip;q=0", "gzip;q=0.000", "identity", "br"} {
		if w := get(h, "/parts.css", "Accept-Encoding", refusal); w.Header().Get("Content-Encoding") != "" {
			t.Errorf("Accept-Encoding: %s is answered with %q", refusal, w.Header().Get("Content-Encoding"))
		}
	}
	reader, err := gzip.NewReader(zipped.Body)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(reader); err != nil || !bytes.Equal(text, plain.Body.Bytes()) {
		t.Errorf("the compressed file is another one: %d bytes, %v", len(text), err)
	}
	tag := zipped.Header().Get("ETag")
	if !strings.HasPrefix(tag, "W/") || tag != plain.Header().Get("ETag") {
		t.Errorf("the ETags are %s and %s: one for both must be weak", tag, plain.Header().Get("ETag"))
	}
	if w := get(h, "/parts.css", "Accept-Encoding", "gzip", "If-None-Match", tag); w.Code != http.StatusNotModified {
		t.Errorf("with the ETag of the compressed file: status %d, want 304", w.Code)
	}
	if vary := zipped.Header().Values("Vary"); !slices.Contains(vary, "Accept-Encoding") {
		t.Errorf("Vary: %q", vary)
	}
}

func TestClientIsThereOrNot(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(web.ClientFiles(), "socket.io*.js")
	if err != nil || (len(files) > 0) != web.HasClient() {
		t.Errorf("HasClient() = %v, and there are %q, %v", web.HasClient(), files, err)
	}
	if web.HasClient() && len(files) != 4 {
		t.Errorf("`make web` leaves %q; four builds belong there", files)
	}
}
