package front

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// New returns a listener for an [http.Server] with the handler h. Requests for a WebSocket that have arrived whole
// when their connection is accepted are served by h there and then, with a ResponseWriter whose TakeDescriptor gives the
// connection away as it is;
// every other connection goes to the http.Server. Such a request passes h and all that is in it, but none of the
// http.Server's own settings. keepAlive is that of [net.ListenConfig]. A listener that is not of TCP, or not on Linux, is
// returned as it is.
func New(l net.Listener, h http.Handler, keepAlive time.Duration) net.Listener {
	return newFront(l, h, keepAlive)
}

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

// answerTimeout bounds writing an answer that is not an upgrade.
const answerTimeout = 10 * time.Second

// answer is the ResponseWriter of a request that a front serves.
type answer struct {
	front   *front
	request *http.Request
	header  http.Header
	peer    netip.AddrPort
	local   netip.AddrPort // not valid until it is needed, unless clients reach the front by several addresses
	fd      int            // -1 once it should have become conn
	conn    net.Conn       // nil until it is needed
	body    *bufio.Writer  // not nil once the status was written
	taken   bool           // belongs to somebody else
}

// Run serves the request; it is the task of a worker.
func (a *answer) Run() {
	local := a.front.Addr()
	if a.local.IsValid() {
		local = net.TCPAddrFromAddrPort(a.local)
	}
	// As in net/http: the request's life hangs on nobody else's context.
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), http.LocalAddrContextKey, local))
	defer cancel()
	defer a.end()
	a.front.handler.ServeHTTP(a, a.request.WithContext(ctx))
}

// end closes the connection unless it was taken over. What is wrong with a handler is wrong with its request only.
func (a *answer) end() {
	if v := recover(); v != nil {
		if v != http.ErrAbortHandler {
			slog.Error("front: panic in a handler", "client", a.request.RemoteAddr, "panic", v, "stack", string(debug.Stack()))
		}
	} else if !a.taken {
		a.WriteHeader(http.StatusOK)
		a.Flush()
	}
	switch {
	case a.taken:
	case a.conn != nil:
		_ = a.conn.Close() // there is nobody left to tell
	case a.fd >= 0:
		closeFD(a.fd)
	}
}

// TakeDescriptor gives the connection away as a descriptor, for a poller.
func (a *answer) TakeDescriptor() (fd int, ok bool) {
	if a.taken || a.fd < 0 {
		return 0, false
	}
	a.taken = true
	return a.fd, true
}

// establish makes a net.Conn of the descriptor.
func (a *answer) establish() error {
	if a.taken {
		return http.ErrHijacked
	}
	if a.conn != nil {
		return nil
	}
	if a.fd < 0 {
		return net.ErrClosed
	}
	fd := a.fd
	a.fd = -1
	conn, err := newAccepted(fd, localOf(fd), a.peer, nil)
	if err == nil {
		a.conn = conn
	}
	return err
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header {
	if a.header == nil {
		a.header = make(http.Header)
	}
	return a.header
}

// WriteHeader implements http.ResponseWriter. The connection ends with the answer.
func (a *answer) WriteHeader(status int) {
	if a.body != nil || status < 200 || a.establish() != nil {
		return
	}
	_ = a.conn.SetWriteDeadline(time.Now().Add(answerTimeout)) // fails only on a closed connection, as writing will
	a.body = bufio.NewWriter(a.conn)
	h := a.Header()
	h.Set("Connection", "close")
	if h.Get("Date") == "" {
		h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	fmt.Fprintf(a.body, "HTTP/1.1 %03d %s\r\n", status, http.StatusText(status))
	_ = h.Write(a.body) // the error comes again with every write
	_, _ = a.body.WriteString("\r\n")
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.body == nil {
		return 0, http.ErrHijacked
	}
	return a.body.Write(p)
}

// Flush implements http.Flusher.
func (a *answer) Flush() {
	if a.body != nil {
		_ = a.body.Flush() // as in WriteHeader
	}
}

// Hijack implements http.Hijacker.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if a.body != nil {
		return nil, nil, errors.New("front: the request has been answered")
	}
	if err := a.establish(); err != nil {
		return nil, nil, err
	}
	a.taken = true
	return a.conn, bufio.NewReadWriter(bufio.NewReader(a.conn), bufio.NewWriter(a.conn)), nil
}
