package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// validatePeers checks the settings of the address for other nodes.
func (c *Config) validatePeers(bad func(setting, format string, args ...any)) {
	if problem := addressProblem(c.PeerListen); c.PeerListen != "" && problem != "" {
		bad("peer-listen", "%s", problem)
	}
	if c.PeerListen != "" && c.Cluster == "" {
		bad("peer-listen", "a node without --cluster has no others to reach it; set both or neither")
	}
	secure := c.PeerCert != "" || c.PeerKey != "" || c.PeerCA != ""
	for _, file := range [][2]string{{"peer-cert", c.PeerCert}, {"peer-key", c.PeerKey}, {"peer-ca", c.PeerCA}} {
		if secure && file[1] == "" {
			bad(file[0], "nodes speak TLS with --peer-cert, --peer-key and --peer-ca; set all or none")
		}
	}
	switch {
	case secure && c.PeerListen == "":
		bad("peer-listen", "nodes speak TLS at an address of their own; set it, such as :8443, or leave --peer-cert out")
	case !secure && c.PeerName != "":
		bad("peer-name", "is about certificates; set --peer-cert too, or leave it out")
	}
}

// peerTLS is how nodes speak TLS to each other: each knows the other. A nil one is plain HTTP.
type peerTLS struct {
	certFile, keyFile string
	authorities       *x509.CertPool
	name              string

	mu      sync.Mutex
	current *tls.Certificate
	from    [2]time.Time // when the files were written that it was read from
}

// peerTLS reads the files that are set, or returns nil if none are.
func (c *Config) peerTLS() (*peerTLS, error) {
	if c.PeerCert == "" {
		return nil, nil
	}
	authorities, err := os.ReadFile(c.PeerCA)
	if err != nil {
		return nil, fmt.Errorf("--peer-ca: %w", err)
	}
	p := &peerTLS{certFile: c.PeerCert, keyFile: c.PeerKey, authorities: x509.NewCertPool(), name: c.PeerName}
	if !p.authorities.AppendCertsFromPEM(authorities) {
		return nil, fmt.Errorf("--peer-ca: %s holds no certificate in PEM form", c.PeerCA)
	}
	if _, err := p.certificate(); err != nil {
		return nil, fmt.Errorf("--peer-cert, --peer-key: %w", err)
	}
	return p, nil
}

// certificate returns the certificate of this node. It is read again when its files were written, which is looked at with
// each handshake: there are few, for nodes keep their connections. Files that do not fit together yet leave the one before.
func (p *peerTLS) certificate() (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	written, err := writtenAt(p.certFile, p.keyFile)
	if err == nil && (p.current == nil || written != p.from) {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(p.certFile, p.keyFile); err == nil {
			p.current, p.from = &pair, written
		}
	}
	if p.current == nil {
		return nil, err
	}
	return p.current, nil
}

func writtenAt(cert, key string) (at [2]time.Time, err error) {
	for i, file := range []string{cert, key} {
		info, e := os.Stat(file)
		if e != nil {
			err = errors.Join(err, e)
			continue
		}
		at[i] = info.ModTime()
	}
	return at, err
}

// clientConfig is how this node speaks to others.
func (p *peerTLS) clientConfig() *tls.Config {
	if p == nil {
		return nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: p.authorities, ServerName: p.name,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return p.certificate() }}
}

const (
	// maxStreams is how many requests another node may pass on by one connection; it makes more connections for more.
	maxStreams = 1000
	// streamBody is how much of the body of such a request may wait until it is read, and connBody that of all of them, so
	// that one that is not read does not hold up the others.
	streamBody = 64 << 10
	connBody   = maxStreams * streamBody
)

// serve makes server one of TLS, and of HTTP/2 beside HTTP/1.1, and returns the listener that it serves.
func (p *peerTLS) serve(server *http.Server, l net.Listener) net.Listener {
	if p == nil {
		return l
	}
	server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: p.authorities,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.certificate() }}
	server.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: maxStreams, MaxReceiveBufferPerStream: streamBody, MaxReceiveBufferPerConnection: connBody}
	return tls.NewListener(l, server.TLSConfig)
}
