package testmongo

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds how long a server may take to come up or to go.
const patience = 60 * time.Second

// program is where scripts/setup-tests puts the server, from the root of the repository.
const program = "bin/venv/bin/secantusd-py"

// Durable is an argument for [Start]: what was written is there after a Stop, as a replica set of MongoDB's would have it.
// It makes the server much slower. Without it a Stop loses what was written in the last moments.
const Durable = "--sync-on-commit"

// Server is a running server. Its methods are for the goroutine of the test.
type Server struct {
	t    testing.TB
	dir  string
	addr string
	args []string

	cmd  *exec.Cmd
	log  *buffer
	exit chan error
}

// Start starts a server that stops at the end of t, with further arguments. It fails the test when there is none to be
// found.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	path, err := find()
	if err != nil {
		t.Fatalf("testmongo: %v: this test needs a server on the wire of MongoDB; run scripts/setup-tests", err)
	}
	s := &Server{t: t, dir: t.TempDir(), args: append([]string{path}, args...)}
	t.Cleanup(s.Stop)
	// Between choosing the port and binding it somebody else may take it.
	for range 5 {
		s.addr = freeAddr(t)
		err := s.run()
		if err == nil {
			return s
		}
		if !strings.Contains(s.log.String(), "Address already in use") {
			t.Fatalf("testmongo: %v\n%s", err, s.log)
		}
	}
	t.Fatalf("testmongo: no free port\n%s", s.log)
	return nil
}

// find looks for the server from the working directory, a test's package, upwards.
func find() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		path := filepath.Join(dir, filepath.FromSlash(program))
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return path, err
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("%s: %w", program, fs.ErrNotExist)
		}
		dir = parent
	}
}

// Addr returns the server's host and port, which stay the same over a Restart.
func (s *Server) Addr() string { return s.addr }

// URL returns the server's address as mongodb://host:port/?directConnection=true.
func (s *Server) URL() string { return URL(s.addr) }

// URL returns the URL of a server at addr, which may be a proxy's.
func URL(addr string) string { return "mongodb://" + addr + "/?directConnection=true" }

// Stop kills the server and returns when it is gone: to its clients that is a crash. A stopped server stays stopped.
func (s *Server) Stop() {
	s.t.Helper()
	s.end(os.Kill)
}

// Shutdown has the server end in good order and returns when it is gone.
func (s *Server) Shutdown() {
	s.t.Helper()
	s.end(os.Interrupt)
}

func (s *Server) end(signal os.Signal) {
	s.t.Helper()
	if s.cmd == nil {
		return
	}
	if err := s.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Errorf("testmongo: stop: %v", err)
	}
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-s.exit:
	case <-timeout.C:
		s.t.Errorf("testmongo: does not stop\n%s", s.log)
		_ = s.cmd.Process.Kill()
		<-s.exit
	}
	s.cmd = nil
}

// Restart starts the server again on the same address and with the same data, stopping it first if it runs, and returns
// when it takes connections.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	if err := s.run(); err != nil {
		s.t.Fatalf("testmongo: restart: %v\n%s", err, s.log)
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
		s.t.Fatalf("testmongo: %s: %v", what, err)
	}
}

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("testmongo: %v", err)
	}
	defer l.Close()
	return l.Addr().String()
}

// run starts the process and returns when it takes connections or has failed.
func (s *Server) run() error {
	host, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		return err
	}
	s.log = newBuffer("listening on " + s.addr)
	args := append([]string{"--host", host, "--port", port, "--storage-path", filepath.Join(s.dir, "data")}, s.args[1:]...)
	cmd := exec.Command(s.args[0], args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, s.log, s.log
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
		return fmt.Errorf("the server exited: %w", errors.Join(err, errors.New("before it took connections")))
	case <-timeout.C:
		return errors.New("the server does not get ready")
	case <-s.log.found:
		return nil
	}
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
