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
	var b strings.Builder
	put := func(name, value string) {
		b.WriteString(name)
		b.WriteByte(0) // cannot occur: net/http refuses such headers
		b.WriteString(value)
		b.WriteByte(0)
	}
	put("Host", r.Host)
	for name, values := range r.Header {
		if perConnection[name] {
			continue
		}
		for _, v := range values {
			put(name, v)
		}
	}
	return Handshake{
		url:    r.URL.RequestURI(),
		remote: r.RemoteAddr,
		header: strings.Clone(b.String()), // without the builder's spare room
		at:     time.Now().UnixMilli(),
		secure: r.TLS != nil,
	}
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
