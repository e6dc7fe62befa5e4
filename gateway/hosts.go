package gateway

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// anyHost stands for every name in Config.AllowHosts.
const anyHost = "*"

// knownHosts returns the names by which the node may be asked, or nil for any.
func (c *Config) knownHosts() []string {
	if slices.Contains(c.AllowHosts, anyHost) || !c.Dev && len(c.AllowHosts) == 0 {
		return nil
	}
	known := []string{"localhost"}
	for _, address := range []string{c.Listen, c.InternalListen} {
		if host := hostName(address); host != "" {
			known = append(known, host)
		}
	}
	for _, host := range c.AllowHosts {
		known = append(known, hostName(host))
	}
	return known
}

// hostName returns the name in a Host header, in lower case and without port or brackets.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

// onlyKnownHosts refuses requests that use another name than the known ones. A name that leads here is somebody's who may
// have other pages under it: they would be of the node's own origin. An address is no name, and a page that the policy
// lists needs none.
func (s *Server) onlyKnownHosts(next http.Handler) http.Handler {
	known := s.cfg.knownHosts()
	if known == nil {
		return next
	}
	pages := s.cfg.pages().Guard()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := hostName(r.Host)
		if !isKnown(host, known) && !pages.Lists(r.Header.Get("Origin")) {
			s.fail(w, r, &apiError{CodeHostNotAllowed, "this node is not to be asked by the name " + host + "; if it is yours, allow it with --allow-host"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isKnown(host string, known []string) bool {
	_, err := netip.ParseAddr(host)
	return host == "" || err == nil || slices.Contains(known, host) || strings.HasSuffix(host, ".localhost")
}

// isLoopback reports whether only this machine reaches an address.
func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
