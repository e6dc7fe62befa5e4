package front

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"sync"
)

// headReader parses requests that are in memory.
type headReader struct {
	src bytes.Reader
	buf *bufio.Reader
}

var headReaders = sync.Pool{New: func() any {
	r := new(headReader)
	r.buf = bufio.NewReader(&r.src)
	return r
}}

// parseUpgrade reads the request for a WebSocket that p is, or returns nil: whatever is not whole, not usual or not right
// is for net/http to judge. The request's bytes are copied.
func parseUpgrade(p []byte) *http.Request {
	if !bytes.HasPrefix(p, []byte("GET /")) || !bytes.HasSuffix(p, []byte("\r\n\r\n")) || !upgrades(p) || bytes.ContainsFunc(p, unusual) {
		return nil
	}
	reader := headReaders.Get().(*headReader)
	defer headReaders.Put(reader)
	reader.src.Reset(p)
	reader.buf.Reset(&reader.src)
	r, err := http.ReadRequest(reader.buf)
	if err != nil || reader.src.Len() > 0 || reader.buf.Buffered() > 0 {
		return nil
	}
	if r.Proto != "HTTP/1.1" || r.Host == "" || strings.ContainsFunc(r.Host, notOfHost) || r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
		return nil
	}
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || r.Header.Get("Expect") != "" {
		return nil
	}
	for name, values := range r.Header { // net/http's server looks at them, which ReadRequest does not
		if strings.ContainsFunc(name, notOfToken) {
			return nil
		}
		for _, v := range values {
			if strings.ContainsAny(v, "\r\n") {
				return nil
			}
		}
	}
	return r
}

// upgrades reports whether p has a line for the header Upgrade. It spares other requests being parsed twice.
func upgrades(p []byte) bool {
	const name = "upgrade:"
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 || len(p) < i+1+len(name) {
			return false
		}
		if p = p[i+1:]; p[0]|0x20 == 'u' && strings.EqualFold(string(p[:len(name)]), name) {
			return true
		}
	}
}

// unusual reports what the head of an ordinary request does not have.
func unusual(c rune) bool { return (c < ' ' && c != '\r' && c != '\n') || c > '~' }

func notOfHost(c rune) bool { return !alphanumeric(c) && !strings.ContainsRune("-._:[]", c) }

func notOfToken(c rune) bool { return !alphanumeric(c) && c != '-' && c != '_' }

func alphanumeric(c rune) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}
