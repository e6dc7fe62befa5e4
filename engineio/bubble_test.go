package engineio_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/peal-dev/peal/engineio"
)

// pipes is a network of its own, for tests in which time is not the machine's.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80} }

// dial connects. Nothing is buffered on the way: what one side does not read, the other cannot write.
func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

// bubble runs a test on a server whose time passes only when all wait. The http.Server is as given.
func bubble(t *testing.T, opts engineio.Options, hs *http.Server, test func(t *testing.T, f *fixture, network *pipes)) {
	t.Helper()
	bubbleWith(t, nil, opts, hs, test)
}

// bubbleWith is bubble with a handler of the test's own, if there is one.
func bubbleWith(t *testing.T, h engineio.Handler, opts engineio.Options, hs *http.Server, test func(t *testing.T, f *fixture, network *pipes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := newEcho()
		if h == nil {
			h = e
		}
		opts.Goroutines = true // a poller waits for the machine, which a bubble does not understand
		server := engineio.NewServer(h, &opts)
		network := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		hs.Handler = server
		served, secured := make(chan error, 1), hs.TLSConfig
		go func() {
			if secured != nil {
				served <- hs.ServeTLS(network, "", "")
				return
			}
			served <- hs.Serve(network)
		}()
		transport := &http.Transport{DisableCompression: true, Protocols: hs.Protocols,
			DialContext: func(context.Context, string, string) (net.Conn, error) { return network.dial(), nil }}
		f := &fixture{T: t, echo: e, server: server, url: "http://192.0.2.1/engine.io/", client: &http.Client{Transport: transport}}
		if secured != nil {
			f.url = "https://192.0.2.1/engine.io/"
			transport.TLSClientConfig = &tls.Config{RootCAs: secured.RootCAs, ServerName: certified}
		}
		test(t, f, network)
		if err := server.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		transport.CloseIdleConnections()
		_ = hs.Close()
		<-served
	})
}

// answers reads from a connection until it ends.
func answers(c net.Conn) <-chan string {
	got := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(c)
		got <- string(b)
	}()
	return got
}

// certified is the name that the certificate is for.
const certified = "example.com"

// secure returns the settings of a server with a certificate, and the root that clients are to trust.
func secure() *tls.Config {
	ts := httptest.NewTLSServer(nil)
	defer ts.Close()
	roots := x509.NewCertPool()
	roots.AddCert(ts.Certificate())
	return &tls.Config{Certificates: ts.TLS.Certificates, RootCAs: roots}
}
