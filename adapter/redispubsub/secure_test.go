package redispubsub_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/internal/testredis"
)

// secured puts TLS before a Redis and returns the address and the authorities by which it is known. Only clients with
// that certificate are let in.
func secured(t *testing.T, server *testredis.Server) (addr string, certificate tls.Certificate, authorities *x509.CertPool) {
	t.Helper()
	web := httptest.NewUnstartedServer(nil)
	web.StartTLS() // for its certificate
	certificate = web.TLS.Certificates[0]
	authorities = x509.NewCertPool()
	authorities.AddCert(web.Certificate())
	web.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequireAnyClientCert})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { pass(client, server.Addr()) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return l.Addr().String(), certificate, authorities
}

// pass connects a client with a server until one of them ends.
func pass(client net.Conn, addr string) {
	defer client.Close()
	server, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer server.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(server, client)
		_ = server.Close()
	}()
	_, _ = io.Copy(client, server)
	_ = client.Close()
	<-done
}

func TestContradictions(t *testing.T) {
	t.Parallel()
	if err := (&redispubsub.Options{URL: "redis://host", Username: "x", Credentials: func(context.Context) (string, string, error) { return "", "", nil }}).Validate(); err == nil || !strings.Contains(err.Error(), "Credentials") {
		t.Errorf("who the node is is said twice: %v", err)
	}
	if err := (&redispubsub.Options{URL: "redis://host", TLS: new(tls.Config)}).Validate(); err == nil || !strings.Contains(err.Error(), "rediss://") {
		t.Errorf("TLS without rediss: %v", err)
	}
}

// TestOwnConnections has the program make the connections and say who it is, each time anew: Redis is behind an address that
// only the program can reach, over TLS, and the password changes.
func TestOwnConnections(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	addr, certificate, authorities := secured(t, server)
	password := make(chan string, 1)
	password <- "wrong"
	var dialed atomic.Int64
	type state struct {
		connected bool
		err       error
	}
	states := make(chan state, 64)
	d, err := redispubsub.New(redispubsub.Options{
		URL:     "rediss://redis.invalid",
		TLS:     &tls.Config{RootCAs: authorities, Certificates: []tls.Certificate{certificate}, ServerName: "example.com"},
		Timeout: 5 * time.Second,
		Dial: func(ctx context.Context, network, to string) (net.Conn, error) {
			if _, bounded := ctx.Deadline(); !bounded || network != "tcp" || to != "redis.invalid:6379" {
				t.Errorf("dials %s %s, bounded: %v", network, to, bounded)
			}
			dialed.Add(1)
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		},
		Credentials: func(ctx context.Context) (string, string, error) {
			if _, bounded := ctx.Deadline(); !bounded {
				t.Error("who the node is is asked without a deadline")
			}
			p := <-password
			password <- p
			return "node", p, nil
		},
		OnState: func(connected bool, err error) { states <- state{connected, err} },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(t.Context())
	next := func() state {
		t.Helper()
		select {
		case s := <-states:
			return s
		case <-time.After(time.Minute):
			t.Fatal("no change")
			panic("unreachable")
		}
	}
	if s := next(); s.connected || !strings.Contains(s.err.Error(), "WRONGPASS") {
		t.Errorf("with a wrong password: %+v", s)
	}
	server.Do("ACL", "SETUSER", "node", "on", ">first", "allchannels", "+@all")
	<-password
	password <- "first"
	for s := next(); !s.connected; s = next() {
		t.Log(s.err)
	}
	// The next connection has the next password.
	<-password
	password <- "second"
	server.Do("ACL", "SETUSER", "node", ">second", "<first")
	before := dialed.Load()
	server.Do("CLIENT", "KILL", "USER", "node")
	for s := next(); !s.connected; s = next() {
		t.Log(s.err)
	}
	if dialed.Load() == before {
		t.Error("not dialed again")
	}
}

// TestNoCredentials has the program not know who it is.
func TestNoCredentials(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	cause := errors.New("the vault is closed")
	states := make(chan error, 64)
	d, err := redispubsub.New(redispubsub.Options{
		URL:         server.URL(),
		Credentials: func(context.Context) (string, string, error) { return "", "", cause },
		OnState:     func(_ bool, err error) { states <- err },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(t.Context())
	if err := <-states; !errors.Is(err, cause) {
		t.Errorf("told %v", err)
	}
}
