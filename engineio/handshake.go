package engineio

import (
	"cmp"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/peal-dev/peal/admission"
)

// Handshake is what a session keeps of the request that opened it. It is stored packed, because there is one for each
// connection, and unpacked on demand: every call makes new values.
type Handshake struct {
	url    string
	remote string
	header string // "Name\x00value\x00", repeated
	at     int64  // Unix milliseconds
	secure bool
}

// perConnection are headers that say nothing about the client once the connection stands.
var perConnection = map[string]bool{
	"Connection": true, "Upgrade": true, "Sec-Websocket-Key": true, "Sec-Websocket-Version": true, "Sec-Websocket-Extensions": true,
}

// needed are the headers that handlers ask for most: they are kept before others if there are too many bytes of them.
var needed = []string{
	"Cookie", "Authorization", "Origin", "User-Agent", "Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host",
	"X-Real-Ip", "X-Request-Id", "Accept-Language", "Referer",
}

// newHandshake keeps what is needed of r: at most limit bytes of its headers. It returns the names of those left out.
func newHandshake(r *http.Request, limit int) (h Handshake, leftOut []string) {
	h = Handshake{url: requestURI(r), remote: r.RemoteAddr, at: time.Now().UnixMilli(), secure: r.TLS != nil}
	header := r.Header
	size := packedSize("Host", []string{r.Host})
	for name, values := range header {
		if !perConnection[name] {
			size += packedSize(name, values)
		}
	}
	if size > limit {
		header, leftOut, size = choose(r, limit)
	}
	h.header = packHeader(r.Host, header, size)
	return h, leftOut
}

// choose returns the headers of r that fit into limit bytes, each whole or not at all: those that are needed first, then
// the others, shorter ones before longer.
func choose(r *http.Request, limit int) (kept http.Header, leftOut []string, size int) {
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		if !perConnection[name] {
			names = append(names, name)
		}
	}
	rank := func(name string) int {
		if i := slices.Index(needed, name); i >= 0 {
			return i
		}
		return len(needed) + packedSize(name, r.Header[name])
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(rank(a)-rank(b), strings.Compare(a, b)) })
	kept, size = make(http.Header), packedSize("Host", []string{r.Host})
	for _, name := range names {
		n := packedSize(name, r.Header[name])
		if size+n > limit {
			leftOut = append(leftOut, name)
			continue
		}
		kept[name] = r.Header[name]
		size += n
	}
	return kept, leftOut, size
}

// requestURI returns the path and query of a request. What came over the wire is usually the same text, and is there.
func requestURI(r *http.Request) string {
	u, wire := r.URL, r.RequestURI
	if len(wire) == len(u.Path)+1+len(u.RawQuery) && u.RawPath == "" && u.Path != "" &&
		strings.HasPrefix(wire, u.Path) && wire[len(u.Path)] == '?' && strings.HasSuffix(wire, u.RawQuery) {
		return wire
	}
	return u.RequestURI()
}

// packedSize is what a header takes when it is packed, with two bytes between that cannot occur: net/http refuses such
// headers.
func packedSize(name string, values []string) int {
	size := 0
	for _, v := range values {
		size += len(name) + len(v) + 2
	}
	return size
}

// packHeader packs the host and headers, in a string of that size with no room to spare.
func packHeader(host string, header http.Header, size int) string {
	var b strings.Builder
	b.Grow(size)
	put := func(name, value string) {
		b.WriteString(name)
		b.WriteByte(0)
		b.WriteString(value)
		b.WriteByte(0)
	}
	put("Host", host)
	for name, values := range header {
		if !perConnection[name] {
			for _, v := range values {
				put(name, v)
			}
		}
	}
	return b.String()
}

// Header returns the headers of the handshake request and Host, without those that only concern the connection
// (Connection, Upgrade and the WebSocket key, version and extensions). Of more than Options.HeaderLimit bytes, those are
// there that fit.
func (h *Handshake) Header() http.Header {
	header := make(http.Header)
	for rest := h.header; rest != ""; {
		var name, value string
		name, rest, _ = strings.Cut(rest, "\x00")
		value, rest, _ = strings.Cut(rest, "\x00")
		header[name] = append(header[name], value)
	}
	return header
}

// URL returns the request's path and query.
func (h *Handshake) URL() string { return h.url }

// Query returns the request's query parameters.
func (h *Handshake) Query() url.Values {
	u, err := url.ParseRequestURI(h.url)
	if err != nil {
		return url.Values{} // net/http parsed it before; it cannot fail
	}
	return u.Query()
}

// RemoteAddr returns the network address of the client, as net/http gives it. Behind a proxy it is the proxy's.
func (h *Handshake) RemoteAddr() string { return h.remote }

// ClientAddr returns what the addresses of one client have in common, which is what [admission.Limits] count by.
func (h *Handshake) ClientAddr() netip.Addr { return admission.Address(h.remote) }

// Time returns when the session was opened, to the millisecond.
func (h *Handshake) Time() time.Time { return time.UnixMilli(h.at) }

// Secure reports whether the request came over TLS.
func (h *Handshake) Secure() bool { return h.secure }

// XDomain reports whether the request named an Origin, as browsers do for requests to another site.
func (h *Handshake) XDomain() bool { return h.Header().Get("Origin") != "" }
