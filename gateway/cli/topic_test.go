package cli_test

import (
	"strings"
	"testing"
)

// A topic is made, appended to, followed, forked, closed and deleted by commands, over a restart of its node.
func TestTopic(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	node, url := serve(t, "--api-key", "k", "--data", dir)
	topic := func(want int, args ...string) (stdout, stderr string) {
		t.Helper()
		args = append([]string{"topic", args[0], "--url", url, "--api-key", "k"}, args[1:]...)
		code, stdout, stderr := run(t, args...)
		if code != want {
			t.Fatalf("%q: %d\n%s%s", args, code, stdout, stderr)
		}
		return stdout, stderr
	}
	first, _ := topic(0, "create", "orders/eu", "--ttl", "1h")
	if again, _ := topic(0, "create", "orders/eu", "--ttl", "1h"); again != first || len(first) != 34 {
		t.Errorf("made at %q, and again at %q", first, again)
	}
	follower := start(t, "topic", "follow", "--url", url, "--api-key", "k", "orders/eu", "--offset", "start")
	follower.waitFollowing()
	topic(0, "append", "orders/eu", `{"n": 1}`, `[2,3]`)
	for _, want := range []string{`{"n":1}`, "2", "3"} {
		if got := follower.line(); got != want {
			t.Errorf("followed %s, want %s", got, want)
		}
	}
	for range 2 {
		topic(0, "append", "orders/eu", "--producer", "p", "--epoch", "1", "4")
	}
	if _, stderr := topic(1, "append", "orders/eu", "--producer", "p", "5"); !strings.Contains(stderr, "producer_fenced") {
		t.Errorf("a fenced one is told %s", stderr)
	}
	if got := follower.line(); got != "4" {
		t.Errorf("followed %s", got)
	}
	node.stop()
	if code := node.wait(); code != 0 {
		t.Fatalf("serve ended with %d; stderr:\n%s", code, node.stderr)
	}
	_, url = serve(t, "--api-key", "k", "--data", dir)
	topic(0, "create", "fork", "--from", "orders/eu", "--at", strings.TrimSpace(first))
	topic(0, "create", "text", "--type", "text/plain")
	topic(0, "append", "text", "as ", "it is\n")
	if stdout, _ := topic(0, "read", "text"); stdout != "as it is\n" {
		t.Errorf("read %q", stdout)
	}
	if stdout, _ := topic(0, "read", "orders/eu"); stdout != "{\"n\":1}\n2\n3\n4\n" {
		t.Errorf("read %q", stdout)
	}
	topic(0, "close", "orders/eu")
	if code, stdout, stderr := run(t, "topic", "follow", "--url", url, "--api-key", "k", "orders/eu", "--offset", "start"); code != 0 || strings.Count(stdout, "\n") != 4 {
		t.Errorf("followed to its end: %d %q\n%s", code, stdout, stderr)
	}
	if _, stderr := topic(1, "append", "orders/eu", "6"); !strings.Contains(stderr, "topic_ended") {
		t.Errorf("a late one is told %s", stderr)
	}
	stdout, _ := topic(0, "ls")
	if lines := strings.Split(stdout, "\n"); len(lines) != 4 || !strings.HasPrefix(lines[0], "fork\tapplication/json\t0\t0\topen\t") || !strings.HasPrefix(lines[1], "orders/eu\tapplication/json\t4\t11\tclosed\t") {
		t.Errorf("listed\n%s", stdout)
	}
	topic(0, "delete", "text")
	if _, stderr := topic(1, "read", "text"); !strings.Contains(stderr, "topic_not_found") {
		t.Errorf("read what is deleted: %s", stderr)
	}
	if code, _, stderr := run(t, "serve", "--dev", "--listen", "127.0.0.1:0", "--data", dir); code != 1 || !strings.Contains(stderr, "another node has this directory") {
		t.Errorf("a second node: %d %s", code, stderr)
	}
}
