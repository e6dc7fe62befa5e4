package testredis

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/internal/testserver"
)

// slots is how many a Redis Cluster has.
const slots = 16384

// Cluster is a Redis Cluster of three servers without replicas, with the slots in equal parts. Its methods are for the
// goroutine of the test.
type Cluster struct {
	t       testing.TB
	servers []*Server
}

// StartCluster starts the servers and returns when each knows where all slots are.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	return startCluster(t, func() []string { return nil })
}

// startCluster starts the servers with more arguments.
func startCluster(t testing.TB, more func() []string) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	const count = 3
	for i := range count {
		_, bus, err := net.SplitHostPort(testserver.FreeAddr(t))
		if err != nil {
			t.Fatalf("testredis: %v", err)
		}
		s := start(t, append(more(), "--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "1000")...)
		s.Do("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(i*slots/count), strconv.Itoa((i+1)*slots/count-1))
		s.Do("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
		if i > 0 {
			host, port, _ := net.SplitHostPort(s.Addr())
			c.servers[0].Do("CLUSTER", "MEET", host, port, bus)
		}
		c.servers = append(c.servers, s)
	}
	for _, s := range c.servers {
		s.await("knowing all slots", func() bool {
			info := s.Do("CLUSTER", "INFO")
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d", count))
		})
	}
	return c
}

// URL returns the address of one of the servers, as redis://host:port.
func (c *Cluster) URL() string { return c.servers[0].URL() }

// Servers returns the servers.
func (c *Cluster) Servers() []*Server { return c.servers }

// Owner returns the server that has the slot of a key or shard channel.
func (c *Cluster) Owner(key string) *Server {
	c.t.Helper()
	slot := c.servers[0].Do("CLUSTER", "KEYSLOT", key)
	for _, s := range c.servers {
		// Of a slot that it has, a server says so; it tells where others are.
		if _, err := do(s.Addr(), "EXISTS", key); err == nil {
			return s
		}
	}
	c.t.Fatalf("testredis: nobody has slot %s", slot)
	return nil
}

// Migrate moves the slot of a key or shard channel to another server, as an operator does. It returns when all servers agree,
// with the time when the last of them was told.
func (c *Cluster) Migrate(key string) (told time.Time) {
	c.t.Helper()
	slot, from := c.servers[0].Do("CLUSTER", "KEYSLOT", key), c.Owner(key)
	to := c.servers[0]
	if to == from {
		to = c.servers[1]
	}
	fromID, toID := from.Do("CLUSTER", "MYID"), to.Do("CLUSTER", "MYID")
	to.Do("CLUSTER", "SETSLOT", slot, "IMPORTING", fromID)
	from.Do("CLUSTER", "SETSLOT", slot, "MIGRATING", toID)
	for keys := from.Do("CLUSTER", "GETKEYSINSLOT", slot, "100"); keys != ""; keys = from.Do("CLUSTER", "GETKEYSINSLOT", slot, "100") {
		host, port, _ := net.SplitHostPort(to.Addr())
		from.Do(append([]string{"MIGRATE", host, port, "", "0", "5000", "KEYS"}, strings.Fields(keys)...)...)
	}
	for _, s := range append([]*Server{to, from}, c.servers...) {
		s.Do("CLUSTER", "SETSLOT", slot, "NODE", toID)
	}
	told = time.Now()
	// A server claims a slot with an epoch above all that it has heard of. If there was one that it has not, the claim is lost
	// soon after, and so is the next.
	for _, s := range c.servers {
		s.await("all servers agreeing about a slot", func() bool {
			_, err := do(s.Addr(), "EXISTS", key)
			agrees := s == to && err == nil || s != to && err != nil && strings.HasPrefix(err.Error(), "MOVED") && strings.HasSuffix(err.Error(), to.Addr())
			return agrees && epoch(s) == epoch(to)
		})
	}
	return told
}

// epoch returns the highest epoch that a server has heard of.
func epoch(s *Server) string {
	_, after, _ := strings.Cut(s.Do("CLUSTER", "INFO"), "cluster_current_epoch:")
	number, _, _ := strings.Cut(after, "\r")
	return number
}
