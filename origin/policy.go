// Package origin decides which web pages may use a server, and tells browsers so.
//
// A browser lets any page send requests to any server and only keeps the answers from it; of a WebSocket it keeps
// nothing. A page of another site is therefore not let in unless a [Policy] allows its origin: it gets no answer it could
// use, on no path and by no transport. One Policy serves a whole program: packages engineio and sse take one, and
// [Guard.Handler] holds any other handler to it.
package origin

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rs/cors"
)

// Policy says pages of which other origins may use a server. The zero value, like a nil pointer, lets in pages of the
// server's own origin only. Requests that do not come from a page always pass.
type Policy struct {
	// AllowOrigins are the other origins. One is "https://app.example", "https://*.app.example" for all below a domain,
	// "http://localhost:*" for every port, "null" for pages without an origin (files, sandboxed frames of any site) or
	// "*" for any. Case and the port a scheme has anyway do not matter.
	AllowOrigins []string
	// AllowCredentials lets browsers send cookies and read the answer. It cannot be combined with "*": any page could
	// then act in the name of who visits it.
	AllowCredentials bool
	// AllowHeaders are the request headers a page may set besides Authorization, Cache-Control, Content-Type and
	// Last-Event-ID. None allows any.
	AllowHeaders []string
	// MaxAge is for how long a browser may remember the answer to a preflight, in whole seconds; 0 leaves that to it.
	MaxAge time.Duration
}

// Validate returns what is wrong with the policy: every problem, joined. A nil policy is valid.
func (p *Policy) Validate() error {
	if p == nil {
		return nil
	}
	var errs []error
	for _, o := range p.AllowOrigins {
		if _, err := parsePattern(o); err != nil {
			errs = append(errs, err)
		} else if o == "*" && p.AllowCredentials {
			errs = append(errs, errors.New(`"*" cannot be combined with credentials, for any page could then act in the name of who visits it; name the origins`))
		}
	}
	return errors.Join(errs...)
}

// alwaysAllowed are the request headers that clients of this project's protocols set.
var alwaysAllowed = []string{"Authorization", "Cache-Control", "Content-Type", "Last-Event-ID"}

// Guard returns what holds requests to the policy, for a path that takes the given methods. It panics if Validate
// returns an error.
func (p *Policy) Guard(methods ...string) *Guard {
	if err := p.Validate(); err != nil {
		panic("origin: " + err.Error())
	}
	g := new(Guard)
	if p == nil || len(p.AllowOrigins) == 0 {
		return g
	}
	opts := cors.Options{AllowedMethods: methods, AllowedHeaders: []string{"*"}, AllowCredentials: p.AllowCredentials, MaxAge: int(p.MaxAge / time.Second)}
	if len(p.AllowHeaders) > 0 {
		opts.AllowedHeaders = append(slices.Clone(alwaysAllowed), p.AllowHeaders...)
	}
	if slices.Contains(p.AllowOrigins, "*") {
		g.any, opts.AllowedOrigins = true, []string{"*"}
	} else {
		for _, o := range p.AllowOrigins {
			allowed, _ := parsePattern(o) // Validate has seen it
			g.allowed = append(g.allowed, allowed)
		}
		opts.AllowOriginVaryRequestFunc = func(_ *http.Request, origin string) (bool, []string) { return g.Lists(origin), nil }
	}
	g.cors = cors.New(opts)
	return g
}

// place is an origin in one of the ways to write it: lower case, and the port always there if the scheme has one.
type place struct{ scheme, host, port string }

// defaultPorts are those a browser leaves out.
var defaultPorts = map[string]string{"http": "80", "https": "443", "ws": "80", "wss": "443"}

// null is how browsers write the origin of a page that has none.
const null = "null"

// parse reads an Origin header.
func parse(origin string) (p place, ok bool) {
	u, err := url.Parse(origin)
	if err != nil || !isPlace(u) || u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return place{}, false
	}
	return placeOf(u), true
}

// isPlace reports whether a URL says where it is.
func isPlace(u *url.URL) bool { return u.Scheme != "" && u.Host != "" && u.User == nil }

func placeOf(u *url.URL) place {
	p := place{u.Scheme, strings.ToLower(u.Hostname()), u.Port()}
	if p.port == "" {
		p.port = defaultPorts[p.scheme]
	}
	return p
}

// pattern is an element of AllowOrigins.
type pattern struct {
	place
	null, below, anyPort bool
}

const anyPort = ":*"

// parsePattern reads an element of AllowOrigins.
func parsePattern(text string) (pattern, error) {
	switch text {
	case "*":
		return pattern{}, nil // Guard knows it
	case null:
		return pattern{null: true}, nil
	}
	o := pattern{}
	rest, ports := strings.CutSuffix(text, anyPort)
	o.anyPort = ports
	scheme, host, _ := strings.Cut(rest, "://")
	host, o.below = strings.CutPrefix(host, "*.")
	u, err := url.Parse(scheme + "://" + host)
	switch {
	case err != nil || !isPlace(u):
		return o, fmt.Errorf("%q is no origin; write for instance https://app.example.org, or * for any", text)
	case u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return o, fmt.Errorf("%q is more than an origin, which has no path; write %s", text, u.Scheme+"://"+u.Host)
	case strings.Contains(u.Host, "*") || ports && u.Port() != "":
		return o, fmt.Errorf(`%q: a star stands for the whole start of a name, as in https://*.example.org, or for a port, as in http://localhost:*`, text)
	case strings.ContainsFunc(u.Host, func(r rune) bool { return r > '~' }):
		return o, fmt.Errorf("%q: write the name as browsers do, in its ASCII form (xn--…)", text)
	}
	o.place = placeOf(u)
	return o, nil
}

// matches reports whether a page's origin is one of the pattern's.
func (o *pattern) matches(p place) bool {
	if o.scheme != p.scheme || !o.anyPort && o.port != p.port {
		return false
	}
	if !o.below {
		return o.host == p.host
	}
	sub, found := strings.CutSuffix(p.host, o.host)
	return found && len(sub) > 1 && strings.HasSuffix(sub, ".")
}
