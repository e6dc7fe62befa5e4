package testserver

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// patience bounds how long a server may take to come up or to go.
const patience = 60 * time.Second

// Kind is what is particular to a kind of server.
type Kind struct {
	// Name is that of the package for it, with which the messages of a test begin.
	Name string
	// Command returns the process to be started at an address.
	Command func(host, port string) *exec.Cmd
	// Ready is what it prints once it takes connections. It may have the address in it, as {}.
	Ready string
	// Check returns an error if it does not answer, though it has said that it is ready. It may be nil.
	Check func() error
	// Crash ends the process as a crash does, for its clients. Nil means os.Kill.
	Crash os.Signal
	// Pause and Resume stop the process and let it go on. Nil means that signals to it alone will do.
	Pause, Resume func(*os.Process) error
}

// Server is a running server. Its methods are for the goroutine of the test.
type Server struct {
	t    testing.TB
	kind Kind
	addr string

	cmd  *exec.Cmd
	log  *transcript
	exit chan error
}

// Start starts a server that stops at the end of t, and returns when it takes connections.
func Start(t testing.TB, kind Kind) *Server {
	t.Helper()
	if kind.Crash == nil {
		kind.Crash = os.Kill
	}
	if kind.Pause == nil {
		kind.Pause, kind.Resume = pause, resume
	}
	s := &Server{t: t, kind: kind}
	t.Cleanup(s.Stop)
	// Between choosing the port and binding it somebody else may take it.
	for range 5 {
		s.addr = FreeAddr(t)
		err := s.run()
		if err == nil {
			return s
		}
		if !strings.Contains(s.log.String(), "Address already in use") {
			t.Fatalf("%s: %v\n%s", kind.Name, err, s.log)
		}
	}
	t.Fatalf("%s: no free port\n%s", kind.Name, s.log)
	return nil
}

// FreeAddr returns a loopback address that was free a moment ago.
func FreeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("testserver: %v", err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Addr returns the server's host and port, which stay the same over a Restart.
func (s *Server) Addr() string { return s.addr }

// Stop ends the server at once and returns when it is gone: to its clients that is a crash. A stopped server stays stopped.
func (s *Server) Stop() {
	s.t.Helper()
	s.End(s.kind.Crash)
}

// End ends the server by a signal and returns when it is gone. A server that has ended stays so.
func (s *Server) End(signal os.Signal) {
	s.t.Helper()
	if s.cmd == nil {
		return
	}
	// It may be paused; and it may be gone already.
	if err := s.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Errorf("%s: stop: %v", s.kind.Name, err)
	}
	if err := s.kind.Resume(s.cmd.Process); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Errorf("%s: stop: %v", s.kind.Name, err)
	}
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-s.exit:
	case <-timeout.C:
		s.t.Errorf("%s: the server does not end\n%s", s.kind.Name, s.log)
		_ = s.cmd.Process.Kill()
		<-s.exit
	}
	s.cmd = nil
}

// Restart starts the server again on the same address, stopping it first if it runs, and returns when it takes connections.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	if err := s.run(); err != nil {
		s.t.Fatalf("%s: restart: %v\n%s", s.kind.Name, err, s.log)
	}
}

// Pause freezes the server without closing its connections: its clients wait for answers in vain until Resume.
func (s *Server) Pause() {
	s.t.Helper()
	s.May("pause", s.kind.Pause(s.cmd.Process))
}

// Resume ends a Pause.
func (s *Server) Resume() {
	s.t.Helper()
	s.May("resume", s.kind.Resume(s.cmd.Process))
}

// May fails the test if what was to be done to the server could not be done.
func (s *Server) May(what string, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%s: %s: %v", s.kind.Name, what, err)
	}
}

// run starts the process and returns when it takes connections or has failed.
func (s *Server) run() error {
	host, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		return err
	}
	s.log = newTranscript(strings.ReplaceAll(s.kind.Ready, "{}", s.addr))
	cmd := s.kind.Command(host, port)
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
		return fmt.Errorf("the server exited: %w", errors.Join(err, errors.New("before it took connections")))
	case <-timeout.C:
		return errors.New("the server does not get ready")
	case <-s.log.found:
	}
	if s.kind.Check == nil {
		return nil
	}
	return s.kind.Check()
}
