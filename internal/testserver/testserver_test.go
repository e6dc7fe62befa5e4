//go:build unix

package testserver_test

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/internal/testserver"
)

// TestMain runs the tests, or is the server of them: one that says hello to whoever comes.
func TestMain(m *testing.M) {
	if addr := os.Getenv("PEAL_TESTSERVER"); addr != "" {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			println(err.Error())
			os.Exit(1)
		}
		println("listening on", addr)
		for {
			if conn, err := l.Accept(); err == nil {
				_, _ = conn.Write([]byte("hello\n"))
				_ = conn.Close()
			}
		}
	}
	goleak.VerifyTestMain(m)
}

// greeted reports whether a server says hello in time.
func greeted(t *testing.T, addr string, within time.Duration) bool {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(conn).ReadString('\n')
	return line == "hello\n"
}

func TestServer(t *testing.T) {
	t.Parallel()
	checked := 0
	s := testserver.Start(t, testserver.Kind{Name: "test", Ready: "listening on {}",
		Command: func(host, port string) *exec.Cmd {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), "PEAL_TESTSERVER="+net.JoinHostPort(host, port))
			return cmd
		},
		Check: func() error { checked++; return nil },
	})
	const patience = 20 * time.Second
	if !greeted(t, s.Addr(), patience) {
		t.Error("a server that runs does not answer")
	}
	s.Pause()
	if greeted(t, s.Addr(), 50*time.Millisecond) {
		t.Error("a paused server answers")
	}
	s.Resume()
	if !greeted(t, s.Addr(), patience) {
		t.Error("a resumed server does not answer")
	}
	s.Pause()
	s.Stop()
	s.Stop()
	if greeted(t, s.Addr(), patience) {
		t.Error("a stopped server answers")
	}
	addr := s.Addr()
	s.Restart()
	if s.Addr() != addr || !greeted(t, addr, patience) || checked != 2 {
		t.Errorf("restarted at %s, which was at %s, and checked %d times", s.Addr(), addr, checked)
	}
}
