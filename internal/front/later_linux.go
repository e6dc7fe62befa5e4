package front

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
)

// later is the net/http of connections whose first request a front has begun to serve, with the settings of the server
// that the front stands before. It is a net.Listener for its own http.Server.
type later struct {
	server http.Server
	next   func(http.ResponseWriter, *http.Request) // serves what comes after the first request
	addr   net.Addr
	conns  chan *handedOver
	closed chan struct{}
	begin  sync.Once // starts Serve
	end    sync.Once // closes closed
}

// handedOver is a connection on its way to net/http, which asks it for no more than *accepted can do.
type handedOver struct {
	*accepted
	answer *answer // nil once net/http has begun its request
}

type handedOverKey struct{}

func newLater(addr net.Addr, s *http.Server, next func(http.ResponseWriter, *http.Request)) *later {
	l := &later{addr: addr, next: next, conns: make(chan *handedOver), closed: make(chan struct{})}
	l.server = http.Server{
		Handler: http.HandlerFunc(l.handle), ReadTimeout: s.ReadTimeout, ReadHeaderTimeout: s.ReadHeaderTimeout,
		WriteTimeout: s.WriteTimeout, IdleTimeout: s.IdleTimeout, MaxHeaderBytes: s.MaxHeaderBytes, ErrorLog: s.ErrorLog,
		ConnState: s.ConnState, BaseContext: s.BaseContext, DisableGeneralOptionsHandler: s.DisableGeneralOptionsHandler,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(context.WithValue(ctx, http.ServerContextKey, s), handedOverKey{}, c)
		},
	}
	return l
}

// serve has net/http serve a connection, whose first request is a's. The connection belongs to it, also if it fails.
func (l *later) serve(c *accepted, a *answer) error {
	l.begin.Do(func() {
		go func() { _ = l.server.Serve(l) }() // until Shutdown or Close of the http.Server, which wait for it
	})
	select {
	case l.conns <- &handedOver{c, a}:
		return nil
	case <-l.closed:
		_ = c.Close() // there is nobody left to tell
		return net.ErrClosed
	}
}

// handle lets the handler that runs for a connection's first request use what net/http has for it.
func (l *later) handle(w http.ResponseWriter, r *http.Request) {
	c, _ := r.Context().Value(handedOverKey{}).(*handedOver)
	if c.answer == nil {
		l.next(w, r)
		return
	}
	a := c.answer
	c.answer = nil
	a.begun <- begun{w, r.Context()}
	if good := <-a.returned; !good {
		panic(http.ErrAbortHandler)
	}
}

// headOf makes the head of a request that to net/http is r: the connection's, without what only a handler looks at.
func headOf(r *http.Request) []byte {
	var b strings.Builder
	b.WriteString("GET / HTTP/1.1\r\nHost: a\r\n")
	for _, v := range r.Header["Connection"] {
		b.WriteString("Connection: " + v + "\r\n")
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}

// Accept implements net.Listener.
func (l *later) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *later) Close() error {
	l.end.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *later) Addr() net.Addr { return l.addr }
