package sse

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CORS says which pages of other origins may open a stream. It has the fields of engineio's policy of the same name, so
// that one setting can feed both. The zero value, like a nil pointer, allows pages of the same origin only. Requests
// without an Origin header, which do not come from a page of another origin, are always allowed.
type CORS struct {
	// AllowOrigins lists origins such as "https://app.example.org"; "*" allows any.
	AllowOrigins []string
	// AllowCredentials lets the browser send cookies and Authorization along.
	AllowCredentials bool
	// AllowHeaders lists request headers a page may set besides Authorization, Cache-Control and Last-Event-ID, which
	// always are.
	AllowHeaders []string
	// MaxAge is how long a browser may remember the answer to a preflight; 0 leaves that to the browser.
	MaxAge time.Duration
}

// alwaysAllowed are the headers an EventSource, or a fetch-based one with a token, sends.
var alwaysAllowed = []string{"Authorization", "Cache-Control", "Last-Event-ID"}

// apply sets the response headers of the policy and reports whether the request's origin may read the stream.
func (c *CORS) apply(header http.Header, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if c != nil && len(c.AllowOrigins) > 0 {
		// Also on answers without Origin: a cache must not serve them to a page that sends one.
		header.Add("Vary", "Origin")
	}
	if origin == "" || sameOrigin(origin, r.Host) {
		return true
	}
	if c == nil {
		return false
	}
	wildcard := slices.Contains(c.AllowOrigins, "*")
	if !wildcard && !slices.ContainsFunc(c.AllowOrigins, func(o string) bool { return strings.EqualFold(o, origin) }) {
		return false
	}
	if wildcard && !c.AllowCredentials {
		origin = "*"
	}
	header.Set("Access-Control-Allow-Origin", origin)
	if c.AllowCredentials {
		header.Set("Access-Control-Allow-Credentials", "true")
	}
	return true
}

// preflight answers the OPTIONS request a browser sends before a GET with headers of its own. apply has allowed it.
func (c *CORS) preflight(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Access-Control-Allow-Methods", http.MethodGet)
	allow := alwaysAllowed
	if c != nil {
		allow = append(slices.Clone(alwaysAllowed), c.AllowHeaders...)
		if c.MaxAge > 0 {
			header.Set("Access-Control-Max-Age", strconv.Itoa(int(c.MaxAge/time.Second)))
		}
	}
	header.Set("Access-Control-Allow-Headers", strings.Join(allow, ", "))
	w.WriteHeader(http.StatusNoContent)
}

// sameOrigin compares only host and port: behind a proxy that ends TLS the scheme is not known.
func sameOrigin(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, host)
}
