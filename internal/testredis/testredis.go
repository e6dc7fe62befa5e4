package testredis

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds how long a server may take to come up or to go.
const patience = 20 * time.Second

// Server is a running redis-server. Its methods are for the goroutine of the test.
type Server struct {
	t     testing.TB
	addr  string
	ready string
	args  func(host, port string) []string

	cmd  *exec.Cmd
	log  *buffer
	exit chan error
}

// Start starts a server that stops at the end of t. It fails the test when there is no redis-server to be found.
func Start(t testing.TB) *Server {
	t.Helper()
	return start(t)
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
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatalf("testredis: %v: this test needs a real Redis; install the package redis-server (Debian: apt-get install redis-server)", err)
	}
	s := &Server{t: t, ready: ready, args: args}
	t.Cleanup(s.Stop)
	// Between choosing the port and binding it somebody else may take it.
	for range 5 {
		s.addr = freeAddr(t)
		err := s.run()
		if err == nil {
			return s
		}
		if !strings.Contains(s.log.String(), "Address already in use") {
			t.Fatalf("testredis: %v\n%s", err, s.log)
		}
	}
	t.Fatalf("testredis: no free port\n%s", s.log)
	return nil
}

// Addr returns the server's host and port, which stay the same over a Restart.
func (s *Server) Addr() string { return s.addr }

// URL returns the server's address as redis://host:port.
func (s *Server) URL() string { return "redis://" + s.addr }

// Stop kills the server and returns when it is gone: to its clients that is a crash. A stopped server stays stopped.
func (s *Server) Stop() {
	s.t.Helper()
	if s.cmd == nil {
		return
	}
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Errorf("testredis: stop: %v", err)
	}
	<-s.exit
	s.cmd = nil
}

// Restart starts the server again on the same address, stopping it first if it runs, and returns when it answers.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	if err := s.run(); err != nil {
		s.t.Fatalf("testredis: restart: %v\n%s", err, s.log)
	}
}

// Pause freezes the server without closing its connections: its clients wait for answers in vain until Resume.
func (s *Server) Pause() {
	s.t.Helper()
	s.may("pause", pause(s.cmd.Process))
}

// Resume ends a Pause.
func (s *Server) Resume() {
	s.t.Helper()
	s.may("resume", resume(s.cmd.Process))
}

// may fails the test if what was to be done to the server could not be done.
func (s *Server) may(what string, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("testredis: %s: %v", what, err)
	}
}

// Do sends a command and returns the answer as text, the elements of a list with spaces between them. An error as answer
// fails the test.
func (s *Server) Do(args ...string) string {
	s.t.Helper()
	answer, err := do(s.addr, args...)
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

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("testredis: %v", err)
	}
	defer l.Close()
	return l.Addr().String()
}

// run starts the process and returns when it answers a PING or has failed.
func (s *Server) run() error {
	host, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		return err
	}
	s.log = newBuffer(s.ready)
	cmd := exec.Command("redis-server", s.args(host, port)...)
	cmd.Stdout, cmd.Stderr = s.log, s.log
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd, s.exit = cmd, make(chan error, 1)
	go func() { s.exit <- cmd.Wait() }()

	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case err := <-s.exit:
		s.cmd = nil
		return fmt.Errorf("redis-server exited: %w", errors.Join(err, io.ErrUnexpectedEOF))
	case <-timeout.C:
		return errors.New("redis-server does not get ready")
	case <-s.log.found:
	}
	return ping(s.addr)
}

func ping(addr string) error {
	answer, err := do(addr, "PING")
	if err == nil && answer != "PONG" {
		err = fmt.Errorf("answer to PING: %q", answer)
	}
	return err
}

// buffer keeps what the server writes and says when a text was among it, which spares polling.
type buffer struct {
	text  string
	found chan struct{}

	mu   sync.Mutex
	data []byte
	once sync.Once
}

func newBuffer(text string) *buffer { return &buffer{text: text, found: make(chan struct{})} }

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.data = append(b.data, p...)
	if bytes.Contains(b.data, []byte(b.text)) {
		b.once.Do(func() { close(b.found) })
	}
	return len(p), nil
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.data)
}
