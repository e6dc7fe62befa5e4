package main

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/peal-dev/peal/bench"
)

func TestCheckOnly(t *testing.T) {
	t.Parallel()
	for list, good := range map[string]bool{"": true, "peal": true, "floor,mercure,node": true, "peal,nobody": false, "Peal": false} {
		if err := checkOnly(list); (err == nil) != good {
			t.Errorf("%q: %v", list, err)
		}
	}
}

func TestCheckMeasure(t *testing.T) {
	t.Parallel()
	for list, good := range map[string]bool{"": true, "fanout": true, "sse-half,echo": true, "echo,nothing": false} {
		if err := checkMeasure(list); (err == nil) != good {
			t.Errorf("%q: %v", list, err)
		}
	}
}

func TestReason(t *testing.T) {
	t.Parallel()
	for printed, want := range map[string]string{
		"": "exit status 1",
		"go: downloading a/b v1\ngo: a/b@v1: reading https://example.com/a/b: 403 Forbidden\n\tserver response: no.\n": "go: a/b@v1: reading the registry: 403 Forbidden server response: no.",
		"verifying module: reading https://example.com/sumdb/sum.example.com/lookup/a/b@v1: 404 Not Found":             "verifying module: reading the checksum database: 404 Not Found",
	} {
		if got := reason(printed, errors.New("exit status 1")); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := reason(strings.Repeat("x ", 1000), nil); len(got) > 310 {
		t.Errorf("%d bytes", len(got))
	}
}

// What the results say of a module's version is what it is built from.
func TestVersion(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("zishang/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "github.com/zishang520/socket.io/servers/socket/v3 "+zishangVersion+"\n") {
		t.Errorf("it is not %s", zishangVersion)
	}
}

func TestServerThatIsNotThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for want, s := range map[string]server{
		"no such file":          module(dir, "nowhere", "v1", bench.Handlers),
		"--centrifugo":          program("", server{name: centrifugo, daemon: centrifugoDaemon()}),
		"nothing cannot be run": program(filepath.Join(dir, "nothing"), server{name: mercure, daemon: mercureDaemon()}),
	} {
		if err := s.build(t.Context()); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", s.name, err)
		}
	}
}

// A program of the user's runs in another directory and is shown without its own.
func TestGivenProgram(t *testing.T) {
	t.Parallel()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(here, executable)
	if err != nil {
		t.Fatal(err)
	}
	s := program(relative, server{name: mercure, daemon: mercureDaemon(), version: mercureSays})
	if err := s.build(t.Context()); err != nil || s.daemon.path != executable || strings.ContainsRune(s.shown, filepath.Separator) {
		t.Errorf("%v, %q, %q", err, s.daemon.path, s.shown)
	}
	if got := s.version(t.Context(), s.daemon.path); got != "unknown" {
		t.Errorf("this is no Mercure: %q", got)
	}
}

// The daemon is this test's own program, which serves when the environment says where.
func TestDaemon(t *testing.T) {
	t.Parallel()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{path: executable, args: []string{"{dir}"}, env: []string{daemonPort + "={port}"}, files: map[string]string{"conf": "port {port}\n"}}
	r, err := d.start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	dir := response.Header.Get("Dir")
	if conf := response.Header.Get("Conf"); !strings.HasSuffix(r.url, ":"+strings.TrimPrefix(conf, "port ")) || dir == "" {
		t.Errorf("%s, configured with %q in %q", r.url, conf, dir)
	}
	r.stop()
	if _, err := os.Stat(filepath.Join(dir, "conf")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the daemon's directory is still there: %v", err)
	}
	d.env = nil
	d.args = []string{"-test.list=^$"}
	if _, err := d.start(t.Context()); err == nil || !strings.Contains(err.Error(), "ended before") {
		t.Errorf("a program that ends: %v", err)
	}
	d.path = filepath.Join(t.TempDir(), "nothing")
	if _, err := d.start(t.Context()); err == nil {
		t.Error("a program that is not there was started")
	}
}

// daemonPort names the variable that makes this test's program a daemon.
const daemonPort = "PEAL_BENCH_TEST_DAEMON_PORT"

// serveDaemon answers with its configuration until it is stopped.
func serveDaemon(port, dir string) {
	conf, err := os.ReadFile(filepath.Join(dir, "conf"))
	if err != nil {
		os.Exit(1)
	}
	_ = http.ListenAndServe("127.0.0.1:"+port, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { // a test's
		w.Header().Set("Conf", strings.TrimSpace(string(conf)))
		w.Header().Set("Dir", dir)
	}))
}
