package testredis

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"

	"github.com/peal-dev/peal/internal/testcerts"
	"github.com/peal-dev/peal/internal/testserver"
)

// User and Password are of the one user besides that of the test whom a [Secure] knows.
const (
	User     = "node"
	Password = "p@ss/word"
)

// Secure is what speaks TLS to those who have a certificate: a server, or the servers of a Redis Cluster. Each has another port
// without, for the test.
type Secure struct {
	// TLS is how it is spoken to.
	TLS     *tls.Config
	servers []*Server
	addrs   []string // by TLS
}

// StartSecure starts a server. The rules, of Redis' access control list, say what its User may do.
func StartSecure(t testing.TB, rules string) *Secure {
	t.Helper()
	s, args := newSecure(t)
	s.servers = []*Server{start(t, args()...)}
	s.allow(rules)
	return s
}

// StartSecureCluster starts a Redis Cluster, as StartCluster does.
func StartSecureCluster(t testing.TB, rules string) *Secure {
	t.Helper()
	s, args := newSecure(t)
	s.servers = startCluster(t, func() []string { return append(args(), "--tls-cluster", "yes") }).servers // else they tell of the other ports
	s.allow(rules)
	return s
}

// newSecure returns one without servers, and what makes the arguments of each.
func newSecure(t testing.TB) (s *Secure, args func() []string) {
	t.Helper()
	authority := testcerts.New(t)
	s = &Secure{TLS: &tls.Config{RootCAs: authority.Pool(), Certificates: []tls.Certificate{authority.Issue()}}}
	cert, key, ca := authority.Write(t.TempDir(), authority.Issue())
	return s, func() []string {
		addr := testserver.FreeAddr(t)
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatalf("testredis: %v", err)
		}
		s.addrs = append(s.addrs, addr)
		return []string{"--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", ca, "--tls-auth-clients", "yes"}
	}
}

func (s *Secure) allow(rules string) {
	for _, server := range s.servers {
		server.Do(append([]string{"ACL", "SETUSER", User, "on", ">" + Password, "resetchannels"}, strings.Fields(rules)...)...)
	}
}

// URL returns the address of the first server, as rediss://host:port.
func (s *Secure) URL() string { return "rediss://" + s.addrs[0] }

// Servers returns the servers.
func (s *Secure) Servers() []*Server { return s.servers }
