package origin_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/origin"
)

// request returns a request to host with headers in pairs.
func request(method, host string, header ...string) *http.Request {
	r := httptest.NewRequest(method, "/", nil)
	r.Host = host
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func allowed(t *testing.T, g *origin.Guard, r *http.Request) bool {
	t.Helper()
	err := g.Check(r)
	var refused *origin.RefusedError
	if err != nil && (!errors.As(err, &refused) || refused.Origin == "") {
		t.Errorf("%v is no *RefusedError with an origin", err)
	}
	return err == nil
}

// Pages of the server's own origin get in however Host and Origin are written, and nobody else's do.
func TestOwnPages(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		host, origin string
		want         bool
	}{
		{"app.example", "", true},
		{"app.example", "https://app.example", true},
		{"app.example", "http://app.example", true}, // a proxy may have ended TLS, or not
		{"app.example:443", "https://app.example", true},
		{"app.example:80", "http://app.example", true},
		{"app.example:80", "https://app.example", false},
		{"app.example", "https://app.example:443", true}, // no browser writes it so; native clients do
		{"app.example:443", "https://app.example:443", true},
		{"app.example:", "https://app.example", true},
		{"APP.example", "https://app.EXAMPLE", true},
		{"app.example", "HTTPS://app.example", true},
		{"[::1]:8080", "http://[::1]:8080", true},
		{"[::1]", "http://[::1]", true},
		{"127.0.0.1:8080", "http://127.0.0.1:8080", true},
		{"127.0.0.1:8080", "http://127.0.0.1", false},
		{"127.0.0.1:8080", "http://localhost:8080", false},
		{"app.example:8443", "https://app.example", false},
		{"app.example", "https://app.example:8443", false},
		{"app.example", "https://evil.example", false},
		{"app.example", "https://sub.app.example", false},
		{"app.example", "https://app.example.evil.example", false},
		{"app.example", "https://app.example@evil.example", false},
		{"app.example", "https://evil@app.example", false},
		{"app.example", "https://app.example/", false}, // an origin has no path
		{"app.example", "https://app.example?", false},
		{"app.example", "https://app.example,https://evil.example", false},
		{"app.example", "//app.example", false},
		{"app.example", "file://app.example", false},
		{"app.example", "app.example", false},
		{"app.example", "https://", false},
		{"app.example", "null", false},
		{"null", "null", false},
		{"", "https://", false},
	} {
		for name, policy := range map[string]*origin.Policy{
			"nil": nil, "zero": {}, "of another": {AllowOrigins: []string{"https://other.example"}},
		} {
			if got := allowed(t, policy.Guard(), request("GET", test.host, "Origin", test.origin)); got != test.want {
				t.Errorf("%s policy: Host %s, Origin %s: %v", name, test.host, test.origin, got)
			}
		}
	}
	r := request("GET", "app.example", "Origin", "http://app.example")
	r.TLS = new(tls.ConnectionState)
	if allowed(t, new(origin.Guard), r) {
		t.Error("a page that came without TLS may use a server that has it")
	}
	r.Header.Set("Origin", "https://app.example")
	if !allowed(t, new(origin.Guard), r) {
		t.Error("a page may not use its own server behind TLS")
	}
}

func TestAllowedOrigins(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		allow, origin string
		want          bool
	}{
		{"https://front.example", "https://front.example", true},
		{"https://Front.example", "https://front.example", true},
		{"HTTPS://front.example", "https://front.example", true},
		{"https://front.example:443", "https://front.example", true},
		{"https://front.example", "https://front.example:443", true},
		{"https://front.example", "https://FRONT.example", true},
		{"http://front.example:80", "http://front.example", true},
		{"https://front.example:8443", "https://front.example:8443", true},
		{"https://front.example:8443", "https://front.example", false},
		{"https://front.example", "http://front.example", false},
		{"https://front.example", "https://front.example.evil", false},
		{"https://front.example", "https://evil-front.example", false},
		{"https://front.example", "null", false},
		{"https://*.front.example", "https://a.front.example", true},
		{"https://*.Front.example:443", "https://a.b.front.example", true},
		{"https://*.front.example", "https://front.example", false},
		{"https://*.front.example", "https://.front.example", false},
		{"https://*.front.example", "https://evilfront.example", false},
		{"https://*.front.example", "https://a.front.example:8443", false},
		{"https://*.front.example", "http://a.front.example", false},
		{"https://*.front.example:*", "https://a.front.example:8443", true},
		{"http://localhost:*", "http://localhost:5173", true},
		{"http://localhost:*", "http://localhost", true},
		{"http://localhost:*", "https://localhost", false},
		{"http://localhost:*", "http://localhost.evil.example:5173", false},
		{"http://[::1]:*", "http://[::1]:5173", true},
		{"capacitor://localhost", "capacitor://localhost", true},
		{"capacitor://localhost", "ionic://localhost", false},
		{"null", "null", true},
		{"null", "https://evil.example", false},
		{"*", "https://evil.example", true},
		{"*", "null", true},
	} {
		policy := &origin.Policy{AllowOrigins: []string{"https://other.example", test.allow}}
		if err := policy.Validate(); err != nil {
			t.Errorf("%s: %v", test.allow, err)
			continue
		}
		r := request("GET", "peal.example", "Origin", test.origin)
		if got := allowed(t, policy.Guard(), r); got != test.want {
			t.Errorf("%s allows %s: %v", test.allow, test.origin, got)
		}
		// What the browser is told agrees with what the server does.
		w := httptest.NewRecorder()
		_, _ = policy.Guard("GET").Admit(w, r)
		if got := w.Header().Get("Access-Control-Allow-Origin"); (got != "") != test.want || got != "" && got != test.origin && got != "*" {
			t.Errorf("%s tells %s: %q", test.allow, test.origin, got)
		}
	}
}

// What a page sends without an Origin is known by what the browser says about its site.
func TestWithoutOrigin(t *testing.T) {
	t.Parallel()
	guard := (&origin.Policy{AllowOrigins: []string{"https://front.example"}}).Guard()
	for _, test := range []struct {
		site, referer string
		want          bool
	}{
		{"", "", true},
		{"", "https://evil.example/", true}, // no page in a browser of today, or over plain HTTP
		{"none", "", true},
		{"same-origin", "https://peal.example/page", true},
		{"cross-site", "", false},
		{"same-site", "", false},
		{"cross-site", "https://evil.example/https://front.example", false},
		{"cross-site", "https://front.example@evil.example/", false},
		{"cross-site", "nonsense", false},
		{"something new", "", false},
		{"cross-site", "https://front.example/page?x=y", true},
		{"cross-site", "https://peal.example/page", true},
	} {
		if got := allowed(t, guard, request("GET", "peal.example", "Sec-Fetch-Site", test.site, "Referer", test.referer)); got != test.want {
			t.Errorf("Sec-Fetch-Site %q, Referer %q: %v", test.site, test.referer, got)
		}
	}
	if !allowed(t, guard, request("POST", "inside:8080", "Sec-Fetch-Site", "same-origin", "Origin", "https://outside.example")) {
		t.Error("the browser's word does not count behind a proxy that changes Host")
	}
	if allowed(t, guard, request("POST", "peal.example", "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example", "Referer", "https://front.example/")) {
		t.Error("a Referer counts beside an Origin")
	}
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	preflight := func(p *origin.Policy, page, method, headers string, methods ...string) (*http.Response, bool) {
		w := httptest.NewRecorder()
		r := request("OPTIONS", "peal.example", "Origin", page, "Access-Control-Request-Method", method)
		if headers != "" {
			r.Header.Set("Access-Control-Request-Headers", headers)
		}
		passed, refused := false, false
		p.Guard(methods...).Handler(
			http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed = true }),
			func(http.ResponseWriter, *http.Request, error) { refused = true }).ServeHTTP(w, r)
		if passed {
			t.Errorf("%s %s from %s was handed on", method, headers, page)
		}
		return w.Result(), refused
	}
	p := &origin.Policy{AllowOrigins: []string{"https://front.example"}, AllowCredentials: true, MaxAge: time.Hour, AllowHeaders: []string{"X-Tenant"}}
	res, _ := preflight(p, "https://front.example", "POST", "authorization,x-tenant", "GET", "POST")
	for header, want := range map[string]string{
		"Access-Control-Allow-Origin":      "https://front.example",
		"Access-Control-Allow-Methods":     "POST",
		"Access-Control-Allow-Headers":     "authorization,x-tenant",
		"Access-Control-Allow-Credentials": "true",
		"Access-Control-Max-Age":           "3600",
	} {
		if got := res.Header.Get(header); res.StatusCode != 204 || got != want {
			t.Errorf("%d, %s: %q, want %q", res.StatusCode, header, got, want)
		}
	}
	if vary := strings.Join(res.Header.Values("Vary"), ","); !strings.Contains(vary, "Origin") {
		t.Errorf("Vary %q", vary)
	}
	// A method the path does not take, and a header that is not listed, are not allowed.
	for _, test := range [][2]string{{"DELETE", ""}, {"PUT", ""}, {"POST", "x-other"}} {
		if res, refused := preflight(p, "https://front.example", test[0], test[1], "GET", "POST"); res.Header.Get("Access-Control-Allow-Origin") != "" || refused {
			t.Errorf("%q: %v", test, res.Header)
		}
	}
	if res, _ := preflight(&origin.Policy{AllowOrigins: []string{"*"}}, "https://any.example", "GET", "x-anything", "GET"); res.Header.Get("Access-Control-Allow-Headers") != "x-anything" {
		t.Errorf("any header: %v", res.Header)
	}
	for _, p := range []*origin.Policy{nil, p} {
		if res, refused := preflight(p, "https://evil.example", "GET", "", "GET"); !refused || res.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%+v: another origin: refused %v, %v", p, refused, res.Header)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		policy origin.Policy
		advice string
	}{
		{origin.Policy{AllowOrigins: []string{""}}, "is no origin"},
		{origin.Policy{AllowOrigins: []string{"app.example"}}, "https://app.example.org"},
		{origin.Policy{AllowOrigins: []string{"https://"}}, "is no origin"},
		{origin.Policy{AllowOrigins: []string{"https://u@app.example"}}, "is no origin"},
		{origin.Policy{AllowOrigins: []string{"https://app.example:x"}}, "is no origin"},
		{origin.Policy{AllowOrigins: []string{"https://app.example/"}}, "write https://app.example"},
		{origin.Policy{AllowOrigins: []string{"https://app.example?x"}}, "write https://app.example"},
		{origin.Policy{AllowOrigins: []string{"https://a.*.example"}}, "a star"},
		{origin.Policy{AllowOrigins: []string{"https://*"}}, "a star"},
		{origin.Policy{AllowOrigins: []string{"https://app.example:80:*"}}, "a star"},
		{origin.Policy{AllowOrigins: []string{"https://bücher.example"}}, "xn--"},
		{origin.Policy{AllowOrigins: []string{"*"}, AllowCredentials: true}, "name the origins"},
	} {
		if err := test.policy.Validate(); err == nil || !strings.Contains(err.Error(), test.advice) {
			t.Errorf("%+v: %v", test.policy, err)
		}
	}
	err := (&origin.Policy{AllowOrigins: []string{"a", "https://fine.example", "b"}}).Validate()
	if err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("not every problem: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a policy that is not valid was used")
		}
	}()
	(&origin.Policy{AllowOrigins: []string{"a"}}).Guard()
}

// Whatever is written into Origin, only pages of the named places get in.
func FuzzOrigin(f *testing.F) {
	for _, seed := range []string{"https://app.example", "https://x.app.example:443", "null", "https://app.example@evil", "https://evil/.app.example", "HTTPS://APP.example%2eevil"} {
		f.Add(seed)
	}
	guard := (&origin.Policy{AllowOrigins: []string{"https://app.example", "https://*.app.example"}}).Guard()
	f.Fuzz(func(t *testing.T, page string) {
		if page == "" || guard.Check(request("GET", "peal.example", "Origin", page)) != nil {
			return
		}
		u, err := url.Parse(page)
		if err != nil {
			t.Fatal(err)
		}
		host := strings.ToLower(u.Hostname())
		own := host == "peal.example"
		if u.User != nil || u.Path != "" || !own && (u.Scheme != "https" || host != "app.example" && !strings.HasSuffix(host, ".app.example")) {
			t.Errorf("%q was let in", page)
		}
	})
}

// Whatever is configured, a valid policy can be used, and allows itself.
func FuzzPolicy(f *testing.F) {
	for _, seed := range []string{"*", "null", "https://app.example", "https://*.a:*", "x://[::1]:*", "https://a:443"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, allow string) {
		p := &origin.Policy{AllowOrigins: []string{allow}}
		if p.Validate() != nil {
			return
		}
		guard := p.Guard("GET")
		if !strings.Contains(allow, "*") && allow != "" && guard.Check(request("GET", "peal.example", "Origin", allow)) != nil {
			t.Errorf("%q does not allow itself", allow)
		}
	})
}

func ExamplePolicy() {
	policy := &origin.Policy{AllowOrigins: []string{"https://app.example", "https://*.app.example"}, AllowCredentials: true}
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })
	handler := policy.Guard(http.MethodGet).Handler(hello, func(w http.ResponseWriter, _ *http.Request, err error) {
		http.Error(w, err.Error(), http.StatusForbidden)
	})
	for _, page := range []string{"https://beta.app.example", "https://evil.example"} {
		r := httptest.NewRequest("GET", "http://api.example/", nil)
		r.Header.Set("Origin", page)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code, slices.Clone(w.Header()["Access-Control-Allow-Origin"]))
	}
	// Output:
	// 200 [https://beta.app.example]
	// 403 []
}
