package testpostgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// patience bounds how long a server may take to come up or to go.
const patience = 60 * time.Second

// Server is a running PostgreSQL server. Its methods are for the goroutine of the test.
type Server struct {
	t        testing.TB
	programs string // the directory of initdb and postgres
	account  *account
	dir      string // of the data and of the socket
	addr     string
	settings []string

	cmd  *exec.Cmd
	log  *buffer
	exit chan error
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
	t.Cleanup(func() {
		s.Stop()
		s.may("remove the data", os.RemoveAll(s.dir))
	})
	s.may("give the directory away", s.account.own(s.dir))
	s.initialize()
	// Between choosing the port and binding it somebody else may take it.
	for range 5 {
		s.addr = freeAddr(t)
		err := s.run()
		if err == nil {
			return s
		}
		if !strings.Contains(s.log.String(), "Address already in use") {
			t.Fatalf("testpostgres: %v\n%s", err, s.log)
		}
	}
	t.Fatalf("testpostgres: no free port\n%s", s.log)
	return nil
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

// Addr returns the server's host and port, which stay the same over a Restart.
func (s *Server) Addr() string { return s.addr }

// URL returns the address of the server's database: its user may do all and needs no password.
func (s *Server) URL() string { return s.URLAt(s.addr) }

// URLAt returns the address of the server's database for one who reaches the server at another host and port.
func (s *Server) URLAt(addr string) string {
	return fmt.Sprintf("postgres://postgres@%s/postgres?sslmode=disable", addr)
}

// SocketURL returns the address of the server's database over its Unix socket.
func (s *Server) SocketURL() string {
	_, port, _ := net.SplitHostPort(s.addr)
	return fmt.Sprintf("postgres:///postgres?user=postgres&host=%s&port=%s", s.dir, port)
}

// Stop ends the server at once and returns when it is gone: to its clients that is a crash, and after a Restart it
// recovers as after one. A stopped server stays stopped.
func (s *Server) Stop() {
	s.t.Helper()
	s.end(crash)
}

// Shutdown ends the server as an administrator does: its clients are told. It returns when the server is gone.
func (s *Server) Shutdown() {
	s.t.Helper()
	s.end(orderly)
}

func (s *Server) end(signal os.Signal) {
	s.t.Helper()
	if s.cmd == nil {
		return
	}
	if err := errors.Join(s.cmd.Process.Signal(signal), resume(s.cmd.Process)); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Errorf("testpostgres: stop: %v", err)
	}
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-s.exit:
	case <-timeout.C:
		s.t.Errorf("testpostgres: the server does not end\n%s", s.log)
		_ = s.cmd.Process.Kill()
		<-s.exit
	}
	s.cmd = nil
}

// Restart starts the server again on the same address, stopping it first if it runs, and returns when it answers.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	if err := s.run(); err != nil {
		s.t.Fatalf("testpostgres: restart: %v\n%s", err, s.log)
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

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("testpostgres: %v", err)
	}
	defer l.Close()
	return l.Addr().String()
}

// run starts the process and returns when it answers or has failed.
func (s *Server) run() error {
	host, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		return err
	}
	s.log = newBuffer("database system is ready to accept connections")
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
	cmd.Stdout, cmd.Stderr = s.log, s.log
	s.account.run(cmd)
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
		return fmt.Errorf("postgres exited: %w", errors.Join(err, errors.New("before it was ready")))
	case <-timeout.C:
		return errors.New("postgres does not get ready")
	case <-s.log.found:
	}
	_, err = s.do("SELECT 1")
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
