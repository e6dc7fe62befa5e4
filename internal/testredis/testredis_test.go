package testredis_test

import (
	"bufio"
	"io"
	"net"
	"testing"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/internal/testredis"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ask sends one inline command and returns the first line of the answer.
func ask(t *testing.T, addr, command string) (string, error) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, command+"\r\n"); err != nil {
		return "", err
	}
	return bufio.NewReader(conn).ReadString('\n')
}

func TestStopAndRestart(t *testing.T) {
	t.Parallel()
	s := testredis.Start(t)
	if answer, err := ask(t, s.Addr(), "SET k v"); err != nil || answer != "+OK\r\n" {
		t.Fatalf("SET: %q, %v", answer, err)
	}
	addr := s.Addr()
	s.Stop()
	s.Stop()
	if answer, err := ask(t, addr, "PING"); err == nil {
		t.Errorf("a stopped server answers %q", answer)
	}
	s.Restart()
	if s.Addr() != addr || s.URL() != "redis://"+addr {
		t.Errorf("restarted at %s, want %s", s.URL(), addr)
	}
	if answer, err := ask(t, addr, "EXISTS k"); err != nil || answer != ":0\r\n" {
		t.Errorf("a key survived without persistence: %q, %v", answer, err)
	}
}

func TestServersAreApart(t *testing.T) {
	t.Parallel()
	a, b := testredis.Start(t), testredis.Start(t)
	if a.Addr() == b.Addr() {
		t.Errorf("two servers at %s", a.Addr())
	}
	a.Pause()
	if answer, err := ask(t, b.Addr(), "PING"); err != nil || answer != "+PONG\r\n" {
		t.Errorf("PING beside a paused server: %q, %v", answer, err)
	}
	a.Resume()
	if answer, err := ask(t, a.Addr(), "PING"); err != nil || answer != "+PONG\r\n" {
		t.Errorf("PING of a resumed server: %q, %v", answer, err)
	}
}

func TestSentinel(t *testing.T) {
	t.Parallel()
	s := testredis.StartSentinel(t)
	first := s.Primary()
	first.Do("SET", "k", "v")
	first.Do("WAIT", "1", "10000")
	s.Failover()
	second := s.AwaitPrimary(first)
	if got := second.Do("GET", "k"); second == first || got != "v" {
		t.Errorf("the primary is %s after %s, with %q", second.Addr(), first.Addr(), got)
	}
}

func TestCluster(t *testing.T) {
	t.Parallel()
	c := testredis.StartCluster(t)
	before := c.Owner("k")
	before.Do("SET", "k", "v")
	for range 5 { // to one and back
		c.Migrate("k")
	}
	after := c.Owner("k")
	if got := after.Do("GET", "k"); after == before || got != "v" {
		t.Errorf("the slot is at %s, and was at %s, with %q", after.Addr(), before.Addr(), got)
	}
}
