package testredis

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/internal/testserver"
)

// patience bounds how long a server may take to come up or to go.
const patience = 20 * time.Second

// program is what is started. PEAL_TEST_REDIS names another that takes the same arguments, as Valkey's server does.
var program = cmp.Or(os.Getenv("PEAL_TEST_REDIS"), "redis-server")

// Server is a running redis-server. Its methods are for the goroutine of the test.
type Server struct {
	*testserver.Server
	t testing.TB
}

// Start starts a server that stops at the end of t. It fails the test when there is no redis-server to be found.
func Start(t testing.TB) *Server {
	t.Helper()
	return start(t)
}

// StartDurable starts a server that has on the disk what it has acknowledged, and has it again after Restart.
func StartDurable(t testing.TB) *Server {
	t.Helper()
	return start(t, "--appendonly", "yes", "--appendfsync", "always")
}

// start starts a server with more arguments.
func start(t testing.TB, args ...string) *Server {
	t.Helper()
	dir := t.TempDir()
	return startAs(t, "Ready to accept connections", func(host, port string) []string {
		return append([]string{"--bind", host, "--port", port, "--dir", dir, "--save", "", "--appendonly", "no", "--daemonize", "no",
			"--loglevel", "notice", "--client-output-buffer-limit", "pubsub 256mb 64mb 60"}, args...)
	})
}

// startAs starts the process with the arguments it has at an address. It prints what it prints when it is ready.
func startAs(t testing.TB, ready string, args func(host, port string) []string) *Server {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Fatalf("testredis: %v: this test needs a real Redis; install the package redis-server (Debian: apt-get install redis-server)", err)
	}
	addr := ""
	return &Server{t: t, Server: testserver.Start(t, testserver.Kind{Name: "testredis", Ready: ready,
		Command: func(host, port string) *exec.Cmd {
			addr = net.JoinHostPort(host, port)
			return exec.Command(program, args(host, port)...)
		},
		Check: func() error { return ping(addr) },
	})}
}

// URL returns the server's address as redis://host:port.
func (s *Server) URL() string { return "redis://" + s.Addr() }

// Do sends a command and returns the answer as text, the elements of a list with spaces between them. An error as answer
// fails the test.
func (s *Server) Do(args ...string) string {
	s.t.Helper()
	answer, err := do(s.Addr(), args...)
	if err != nil {
		s.t.Fatalf("testredis: %q: %v", args, err)
	}
	return answer
}

func do(addr string, args ...string) (string, error) {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	command := fmt.Sprintf("*%d\r\n", len(args))
	for _, arg := range args {
		command += fmt.Sprintf("$%d\r\n%s\r\n", len(arg), arg)
	}
	if _, err := io.WriteString(conn, command); err != nil {
		return "", err
	}
	return readAnswer(bufio.NewReader(conn))
}

// readAnswer reads an answer in RESP2.
func readAnswer(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSuffix(line, "\r\n")
	kind, rest := line[:1], line[1:]
	switch kind {
	case "-":
		return "", errors.New(rest)
	case "$":
		n, err := strconv.Atoi(rest)
		if err != nil || n < 0 {
			return "", err
		}
		text := make([]byte, n+2)
		_, err = io.ReadFull(r, text)
		return string(text[:n]), err
	case "*":
		n, err := strconv.Atoi(rest)
		if err != nil {
			return "", err
		}
		var elements []string
		for range n {
			element, err := readAnswer(r)
			if err != nil {
				return "", err
			}
			elements = append(elements, element)
		}
		return strings.Join(elements, " "), nil
	}
	return rest, nil
}

func ping(addr string) error {
	answer, err := do(addr, "PING")
	if err == nil && answer != "PONG" {
		err = fmt.Errorf("answer to PING: %q", answer)
	}
	return err
}
