package testpostgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/peal-dev/peal/internal/testserver"
)

// patience bounds how long a statement may take.
const patience = 60 * time.Second

// Server is a running PostgreSQL server. Its methods are for the goroutine of the test.
type Server struct {
	*testserver.Server
	t        testing.TB
	programs string // the directory of initdb and postgres
	account  *account
	dir      string // of the data and of the socket
	port     string
	settings []string
}

// Start starts a server that stops at the end of t. It fails the test when there is none to be found. The settings, of
// the form name=value, are those of postgresql.conf.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	s := &Server{t: t, settings: settings}
	var err error
	if s.programs, err = find(); err != nil {
		t.Fatalf("testpostgres: %v: this test needs a real PostgreSQL; install its server (Debian: apt-get install postgresql)", err)
	}
	s.account, err = findAccount()
	s.may("find a user", err)
	// Not t.TempDir: the server may run as another user, who cannot get there.
	s.dir, err = os.MkdirTemp("", "peal-postgres-")
	s.may("make a directory", err)
	t.Cleanup(func() { s.may("remove the data", os.RemoveAll(s.dir)) }) // when the server is gone
	s.may("give the directory away", s.account.own(s.dir))
	s.initialize()
	s.Server = testserver.Start(t, testserver.Kind{Name: "testpostgres", Ready: "database system is ready to accept connections",
		Command: s.command, Crash: crash, Pause: pause, Resume: resume,
		Check: func() error {
			_, err := s.do("SELECT 1")
			return err
		},
	})
	return s
}

// find returns the directory of the server's programs, which Debian keeps out of the PATH.
func find() (dir string, err error) {
	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	slices.SortFunc(dirs, func(a, b string) int { return len(b) - len(a) + strings.Compare(b, a) })
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err == nil {
			return dir, nil
		}
	}
	path, err := exec.LookPath("initdb")
	return filepath.Dir(path), err
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) initialize() {
	s.t.Helper()
	cmd := exec.Command(filepath.Join(s.programs, "initdb"), "--pgdata", s.data(), "--username", "postgres", "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C", "--wal-segsize", "1", "--no-sync")
	cmd.Dir = s.dir
	s.account.run(cmd)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("testpostgres: initdb: %v\n%s", err, out)
	}
}

// URL returns the address of the server's database: its user may do all and needs no password.
func (s *Server) URL() string { return s.URLAt(s.Addr()) }

// URLAt returns the address of the server's database for one who reaches the server at another host and port.
func (s *Server) URLAt(addr string) string {
	return fmt.Sprintf("postgres://postgres@%s/postgres?sslmode=disable", addr)
}

// SocketURL returns the address of the server's database over its Unix socket.
func (s *Server) SocketURL() string {
	return fmt.Sprintf("postgres:///postgres?user=postgres&host=%s&port=%s", s.dir, s.port)
}

// Shutdown ends the server as an administrator does: its clients are told. It returns when the server is gone.
func (s *Server) Shutdown() { s.End(orderly) }

// WriteFile writes a file into the data directory, where pg_hba.conf is and certificates are looked for. The server
// reads it with the next Restart.
func (s *Server) WriteFile(name string, content []byte) {
	s.t.Helper()
	path := filepath.Join(s.data(), name)
	s.may("write a file", os.WriteFile(path, content, 0o600))
	s.may("give a file away", s.account.own(path))
}

// Do runs SQL and returns the rows of its last statement as text, the columns with spaces between them. An error fails
// the test.
func (s *Server) Do(sql string) []string {
	s.t.Helper()
	rows, err := s.do(sql)
	if err != nil {
		s.t.Fatalf("testpostgres: %s: %v", sql, err)
	}
	return rows
}

func (s *Server) do(sql string) (rows []string, err error) {
	// It is for tests' cleanups too, when the test's own context has ended.
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgconn.Connect(ctx, s.SocketURL())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil || len(results) == 0 {
		return nil, err
	}
	for _, row := range results[len(results)-1].Rows {
		rows = append(rows, string(bytes.Join(row, []byte(" "))))
	}
	return rows, nil
}

// may fails the test if what was to be done to the server could not be done.
func (s *Server) may(what string, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("testpostgres: %s: %v", what, err)
	}
}

// command is the server's process.
func (s *Server) command(host, port string) *exec.Cmd {
	s.port = port
	settings := append([]string{
		"listen_addresses=" + host, "port=" + port, "unix_socket_directories=" + s.dir,
		"fsync=off", "shared_buffers=16MB", "logging_collector=off", "log_destination=stderr",
	}, s.settings...)
	args := []string{"-D", s.data()}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	cmd := exec.Command(filepath.Join(s.programs, "postgres"), args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	s.account.run(cmd)
	return cmd
}
