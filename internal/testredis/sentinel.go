package testredis

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// MasterSet is the name by which the sentinels of a [Sentinel] know what they watch.
const MasterSet = "peal"

// Sentinel is a primary with a replica, and three sentinels, of which two must agree. They take half a second of silence
// for death. Its methods are for the goroutine of the test.
type Sentinel struct {
	t         testing.TB
	servers   [2]*Server
	sentinels [3]*Server
}

// StartSentinel starts them, and returns when the sentinels know of each other and of the replica.
func StartSentinel(t testing.TB) *Sentinel {
	t.Helper()
	s := &Sentinel{t: t}
	s.servers[0] = start(t, "--repl-diskless-sync-delay", "0")
	host, port, err := net.SplitHostPort(s.servers[0].Addr())
	if err != nil {
		t.Fatalf("testredis: %v", err)
	}
	s.servers[1] = start(t, "--repl-diskless-sync-delay", "0", "--replicaof", host+" "+port)
	s.servers[1].await("the replica follows", func() bool {
		return strings.Contains(s.servers[1].Do("INFO", "replication"), "master_link_status:up")
	})
	for i := range s.sentinels {
		s.sentinels[i] = s.sentinel(host, port)
	}
	for _, sentinel := range s.sentinels {
		sentinel.await("the sentinels know each other", func() bool {
			info := sentinel.Do("INFO", "sentinel")
			return strings.Contains(info, "slaves=1,sentinels=3")
		})
	}
	return s
}

// sentinel starts one. It keeps what it learns in its configuration, which has to be a file of its own.
func (s *Sentinel) sentinel(host, port string) *Server {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "sentinel.conf")
	config := fmt.Sprintf("sentinel monitor %[1]s %[2]s %[3]s 2\nsentinel down-after-milliseconds %[1]s 500\n"+
		"sentinel failover-timeout %[1]s 3000\n", MasterSet, host, port)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		s.t.Fatalf("testredis: %v", err)
	}
	return startAs(s.t, "+monitor master", func(host, port string) []string {
		return []string{file, "--sentinel", "--bind", host, "--port", port, "--dir", filepath.Dir(file)}
	})
}

// URL returns redis://sentinel?addr=sentinel&addr=sentinel&master_set=name.
func (s *Sentinel) URL() string {
	query := url.Values{"master_set": {MasterSet}}
	for _, sentinel := range s.sentinels[1:] {
		query.Add("addr", sentinel.Addr())
	}
	return s.sentinels[0].URL() + "?" + query.Encode()
}

// Primary returns the server that the sentinels say is the primary.
func (s *Sentinel) Primary() *Server {
	s.t.Helper()
	addr := strings.ReplaceAll(s.sentinels[0].Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MasterSet), " ", ":")
	for _, server := range s.servers {
		if server.Addr() == addr {
			return server
		}
	}
	s.t.Fatalf("testredis: the primary is %s", addr)
	return nil
}

// Failover makes the replica the primary, by command. It returns at once; see AwaitPrimary.
func (s *Sentinel) Failover() {
	s.t.Helper()
	s.sentinels[0].Do("SENTINEL", "FAILOVER", MasterSet)
}

// AwaitPrimary returns when another than old is the primary: it says so itself, and so do the sentinels.
func (s *Sentinel) AwaitPrimary(old *Server) *Server {
	s.t.Helper()
	other := s.servers[0]
	if other == old {
		other = s.servers[1]
	}
	other.await("being the primary", func() bool {
		role, err := do(other.Addr(), "ROLE") // who asks in the moment of a failover is sent away
		return err == nil && strings.HasPrefix(role, "master")
	})
	s.sentinels[0].await("there is another primary", func() bool { return s.Primary() == other })
	return other
}

// await asks again and again until what is awaited is so: no event tells.
func (s *Server) await(what string, is func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("testredis: %s: that does not come about", what)
		}
	}
}
