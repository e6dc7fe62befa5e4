package origin

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/rs/cors"
)

// Guard holds requests to a [Policy]. It is safe for concurrent use. Make one with [Policy.Guard]; the zero value lets in
// pages of the server's own origin only.
type Guard struct {
	any     bool
	allowed []pattern
	cors    *cors.Cors // nil where no other origin is allowed, and browsers need to be told nothing
}

// RefusedError says that a page may not use the server.
type RefusedError struct {
	Origin string // of the page, as the browser tells it; "null" if it does not
}

// Error returns the origin and what to do.
func (e *RefusedError) Error() string {
	return "origin: pages of " + e.Origin + " may not use this server; if they should, add that to its allowed origins"
}

// Admit lets a request in, or says why not: the error is a *[RefusedError], and answering is left to the caller. Before
// that it answers a CORS preflight, which is then done, and sets the headers by which a browser lets a page have an
// answer. A WebSocket handshake needs none.
func (g *Guard) Admit(w http.ResponseWriter, r *http.Request) (done bool, err error) {
	if err := g.Check(r); err != nil {
		if g.cors != nil {
			w.Header().Add("Vary", "Origin")
		}
		return false, err
	}
	if g.cors == nil || r.Header.Get("Upgrade") != "" {
		return false, nil
	}
	preflight := r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
	g.cors.HandlerFunc(w, r)
	return preflight, nil
}

// Handler returns a handler that lets requests through to next as Admit does, and has refuse answer the others.
func (g *Guard) Handler(next http.Handler, refuse func(http.ResponseWriter, *http.Request, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		done, err := g.Admit(w, r)
		switch {
		case err != nil:
			refuse(w, r, err)
		case !done:
			next.ServeHTTP(w, r)
		}
	})
}

// Check returns a *[RefusedError] for a request of a page that may not use the server. What a page of another site sends
// without an Origin header (a script or an image it names, a link that is followed) is known by Sec-Fetch-Site and
// judged by its Referer. Both are the browser's; no page can write them.
func (g *Guard) Check(r *http.Request) error {
	if g.any {
		return nil
	}
	site := r.Header.Get("Sec-Fetch-Site")
	page := r.Header.Get("Origin")
	if page == "" {
		if site == "" || site == "same-origin" || site == "none" { // none: the user, not a page
			return nil
		}
		page = referer(r)
	}
	if site == "same-origin" || g.Lists(page) || sameOrigin(page, r) {
		return nil
	}
	return &RefusedError{Origin: page}
}

// Lists reports whether the policy allows a page's origin, as an Origin header has it, wherever its request goes: not for
// being the server's own.
func (g *Guard) Lists(page string) bool {
	if g.any || len(g.allowed) == 0 {
		return g.any
	}
	p, ok := parse(page)
	for i := range g.allowed {
		switch o := &g.allowed[i]; {
		case o.null:
			if page == null {
				return true
			}
		case ok && o.matches(p):
			return true
		}
	}
	return false
}

// referer returns the origin of the page a request was sent from.
func referer(r *http.Request) string {
	u, err := url.Parse(r.Referer())
	if err != nil || !isPlace(u) {
		return null
	}
	return u.Scheme + "://" + u.Host
}

// sameOrigin reports whether a page comes from where its request goes. Without TLS the scheme is not known, for a proxy
// may end it, so that a Host without a port stands for the port of the page's scheme.
func sameOrigin(page string, r *http.Request) bool {
	p, ok := parse(page)
	if !ok || p.scheme != "http" && p.scheme != "https" || r.TLS != nil && p.scheme != "https" {
		return false
	}
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		host, port = strings.Trim(r.Host, "[]"), ""
	}
	if port == "" {
		port = defaultPorts[p.scheme]
	}
	return strings.EqualFold(host, p.host) && port == p.port
}
