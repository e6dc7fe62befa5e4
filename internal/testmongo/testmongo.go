package testmongo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/peal-dev/peal/internal/testserver"
)

// program is where scripts/setup-tests puts the server, from the root of the repository.
const program = "bin/venv/bin/secantusd-py"

// Durable is an argument for [Start]: what was written is there after a Stop, as a replica set of MongoDB's would have it.
// It makes the server much slower. Without it a Stop loses what was written in the last moments.
const Durable = "--sync-on-commit"

// Server is a running server. Its methods are for the goroutine of the test.
type Server struct {
	*testserver.Server
	args []string
}

// Start starts a server that stops at the end of t, with further arguments. It fails the test when there is none to be
// found.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	path, err := find()
	if err != nil {
		t.Fatalf("testmongo: %v: this test needs a server on the wire of MongoDB; run scripts/setup-tests", err)
	}
	s := &Server{args: args}
	dir := t.TempDir()
	s.Server = testserver.Start(t, testserver.Kind{Name: "testmongo", Ready: "listening on {}",
		Command: func(host, port string) *exec.Cmd {
			args := append([]string{"--host", host, "--port", port, "--storage-path", filepath.Join(dir, "data")}, s.args...)
			cmd := exec.Command(path, args...)
			cmd.Dir = dir
			return cmd
		},
	})
	return s
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

// URL returns the server's address as mongodb://host:port/?directConnection=true.
func (s *Server) URL() string { return URL(s.Addr()) }

// URL returns the URL of a server at addr, which may be a proxy's.
func URL(addr string) string { return "mongodb://" + addr + "/?directConnection=true" }

// Shutdown has the server end in good order and returns when it is gone.
func (s *Server) Shutdown() { s.End(os.Interrupt) }

// RestartWith restarts the server with further arguments, which stay.
func (s *Server) RestartWith(args ...string) {
	s.args = append(s.args, args...)
	s.Restart()
}
