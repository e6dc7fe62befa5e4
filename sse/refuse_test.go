package sse_test

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/peal-dev/peal/sse"
)

// A request that gets no stream ends, also if its body never comes or its answer is never taken.
func TestRefusedRequestsEnd(t *testing.T) {
	t.Parallel()
	for _, request := range []string{
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
		"GET /?refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
		"GET /?refuse HTTP/1.1\r\nHost: a\r\n\r\n",
		"OPTIONS / HTTP/1.1\r\nHost: a\r\nAccess-Control-Request-Method: GET\r\nOrigin: http://b\r\nContent-Length: 9\r\n\r\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			h := sse.NewHandler(func(*http.Request) (sse.Subscription, error) {
				return sse.Subscription{}, &sse.Error{Code: "no", Message: "not you"}
			}, &sse.Options{Logger: slog.New(slog.DiscardHandler)})
			ended := make(chan struct{}, 1)
			server := &http.Server{Handler: h, ConnState: func(_ net.Conn, s http.ConnState) {
				if s == http.StateClosed {
					ended <- struct{}{}
				}
			}}
			client, conn := net.Pipe() // nothing is taken on the way
			l := make(oneConn, 1)
			l <- conn
			served := make(chan error, 1)
			go func() { served <- server.Serve(l) }()
			if _, err := io.WriteString(client, request); err != nil {
				t.Error(err)
			}
			<-ended
			_ = client.Close()
			close(l)
			<-served
			_ = server.Close()
		})
	}
}

// oneConn is a listener of connections that are sent on it.
type oneConn chan net.Conn

func (c oneConn) Accept() (net.Conn, error) {
	if nc, ok := <-c; ok {
		return nc, nil
	}
	return nil, net.ErrClosed
}
func (oneConn) Close() error   { return nil }
func (oneConn) Addr() net.Addr { return &net.TCPAddr{} }
