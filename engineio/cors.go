package engineio

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CORS says which web sites may use the server. One policy holds for polling (where browsers enforce it by the headers
// of the answer) and for WebSocket (where only the server can, by refusing the handshake). Requests without an Origin
// do not come from a web page and always pass.
type CORS struct {
	AllowOrigins     []string      // such as "https://example.com"; "*" allows any; none allows the server's own only
	AllowCredentials bool          // lets browsers send cookies; the answer then names the origin instead of "*"
	AllowHeaders     []string      // none allows what the browser asks for
	MaxAge           time.Duration // how long a browser may keep the answer; zero leaves that to the browser
}

// allows reports whether a page of the given origin may connect to host.
func (c *CORS) allows(origin, host string) bool {
	if origin == "" {
		return true
	}
	if c != nil && (slices.Contains(c.AllowOrigins, "*") || slices.Contains(c.AllowOrigins, origin)) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, host)
}

// headers sets the answer's CORS headers and reports whether the request was a preflight, which needs nothing more.
func (c *CORS) headers(w http.ResponseWriter, r *http.Request) (preflight bool) {
	if c == nil {
		return false
	}
	h := w.Header()
	origin := r.Header.Get("Origin")
	anyOrigin := slices.Contains(c.AllowOrigins, "*") && !c.AllowCredentials
	if !anyOrigin {
		h.Add("Vary", "Origin")
	}
	switch {
	case anyOrigin:
		h.Set("Access-Control-Allow-Origin", "*")
	case origin != "" && c.allows(origin, r.Host):
		h.Set("Access-Control-Allow-Origin", origin)
		if c.AllowCredentials {
			h.Set("Access-Control-Allow-Credentials", "true")
		}
	}
	if r.Method != http.MethodOptions {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET,HEAD,PUT,PATCH,POST,DELETE")
	if len(c.AllowHeaders) > 0 {
		h.Set("Access-Control-Allow-Headers", strings.Join(c.AllowHeaders, ","))
	} else if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Add("Vary", "Access-Control-Request-Headers")
		h.Set("Access-Control-Allow-Headers", asked)
	}
	if c.MaxAge > 0 {
		h.Set("Access-Control-Max-Age", strconv.Itoa(int(c.MaxAge.Seconds())))
	}
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusNoContent)
	return true
}
