package testpostgres_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"github.com/peal-dev/peal/internal/testpostgres"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ask connects and asks for the user's name.
func ask(ctx context.Context, url string) (err error) {
	conn, err := pgconn.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	_, err = conn.Exec(ctx, "SELECT current_user").ReadAll()
	return err
}

func TestStopAndRestart(t *testing.T) {
	t.Parallel()
	s := testpostgres.Start(t, "work_mem=1MB")
	s.Do("CREATE TABLE kept AS SELECT 1 AS one, 'a' AS a")
	if rows := s.Do("SELECT current_setting('work_mem')"); len(rows) != 1 || rows[0] != "1MB" {
		t.Errorf("the setting is %q", rows)
	}
	url := s.URL()
	for _, stop := range []func(){s.Stop, s.Shutdown} {
		stop()
		stop()
		if err := ask(t.Context(), url); err == nil {
			t.Error("a stopped server answers")
		}
		s.Restart()
		for _, url := range []string{url, s.SocketURL()} {
			if err := ask(t.Context(), url); err != nil {
				t.Errorf("a server that was restarted, at %s: %v", url, err)
			}
		}
		if rows := s.Do("SELECT * FROM kept"); len(rows) != 1 || rows[0] != "1 a" {
			t.Errorf("kept is %q after a restart", rows)
		}
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	a, b := testpostgres.Start(t), testpostgres.Start(t)
	conn, err := pgconn.Connect(t.Context(), a.URL())
	if err != nil {
		t.Fatal(err)
	}
	a.Pause()
	if err := ask(t.Context(), b.URL()); err != nil {
		t.Errorf("a server beside one that is paused: %v", err)
	}
	for what, do := range map[string]func(context.Context) error{
		"a new connection":            func(ctx context.Context) error { return ask(ctx, a.URL()) },
		"a connection that was there": func(ctx context.Context) error { return conn.Ping(ctx) },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if err := do(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s to a paused server: %v", what, err)
		}
		cancel()
	}
	a.Resume()
	if err := ask(t.Context(), a.URL()); err != nil {
		t.Errorf("a server that was resumed: %v", err)
	}
	<-conn.CleanupDone() // the call that did not come back has ended it
}

func TestWriteFile(t *testing.T) {
	t.Parallel()
	s := testpostgres.Start(t)
	s.Do("CREATE USER peal PASSWORD 'secret'")
	s.WriteFile("pg_hba.conf", []byte("local all all trust\nhost all all all scram-sha-256\n"))
	s.Restart()
	for password, ok := range map[string]bool{"secret": true, "wrong": false} {
		if err := ask(t.Context(), "postgres://peal:"+password+"@"+s.Addr()+"/postgres?sslmode=disable"); (err == nil) != ok {
			t.Errorf("with the password %q: %v", password, err)
		}
	}
}

// The data is gone with the test.
func TestDirectory(t *testing.T) {
	var dir string
	t.Run("server", func(t *testing.T) {
		s := testpostgres.Start(t)
		dir = s.Do("SHOW data_directory")[0]
		if _, err := os.Stat(dir); err != nil {
			t.Error(err)
		}
	})
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s after the test: %v", dir, err)
	}
}
