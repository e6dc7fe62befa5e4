package engineio

import (
	"net/http"
	"net/url"
	"strings"
	"time"
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

func newHandshake(r *http.Request) Handshake {
	return Handshake{
		url:    requestURI(r),
		remote: r.RemoteAddr,
		header: packHeader(r),
		at:     time.Now().UnixMilli(),
		secure: r.TLS != nil,
	}
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

// packHeader packs the Host and the headers of a request, in a string with no room to spare.
func packHeader(r *http.Request) string {
	const zero = 2 // bytes between; they cannot occur: net/http refuses such headers
	size := len("Host") + len(r.Host) + zero
	for name, values := range r.Header {
		if !perConnection[name] {
			for _, v := range values {
				size += len(name) + len(v) + zero
			}
		}
	}
	var b strings.Builder
	b.Grow(size)
	put := func(name, value string) {
		b.WriteString(name)
		b.WriteByte(0)
		b.WriteString(value)
		b.WriteByte(0)
	}
	put("Host", r.Host)
	for name, values := range r.Header {
		if !perConnection[name] {
			for _, v := range values {
				put(name, v)
			}
		}
	}
	return b.String()
}

// Header returns the headers of the handshake request and Host, without those that only concern the connection
// (Connection, Upgrade and the WebSocket key, version and extensions).
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

// Time returns when the session was opened, to the millisecond.
func (h *Handshake) Time() time.Time { return time.UnixMilli(h.at) }

// Secure reports whether the request came over TLS.
func (h *Handshake) Secure() bool { return h.secure }

// XDomain reports whether the request named an Origin, as browsers do for requests to another site.
func (h *Handshake) XDomain() bool { return h.Header().Get("Origin") != "" }
