package redisx_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/internal/redisx"
	"github.com/peal-dev/peal/internal/testredis"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBadURL(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"":                                "no URL",
		"localhost:6379":                  "want redis",
		"127.0.0.1:6379":                  "malformed URL",
		"//host":                          "without scheme",
		"http://host":                     `scheme "http"`,
		"redis://":                        "without host",
		"redis://u:secret@host:port":      "malformed URL: invalid port",
		"redis://host/db":                 "invalid database number",
		"redis://a:1?addr=b:2":            "without master_set",
		"unix://":                         "without path",
		"redis://:secret@host:1/%zz":      "malformed URL",
		"redis://:secret@host?db=primary": "invalid database number",
	}
	for url, want := range tests {
		_, err := redisx.New(redisx.Options{URL: url})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q in it", url, err, want)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error tells the password: %v", url, err)
		}
	}
	for _, url := range []string{"redis://host", "rediss://u:p@host:1/3", "unix:///run/redis.sock", "redis://a:1?addr=b:2&master_set=m"} {
		c, err := redisx.New(redisx.Options{URL: url})
		if err != nil {
			t.Errorf("%q: %v", url, err)
			continue
		}
		if c.Timeout() != redisx.DefaultTimeout {
			t.Errorf("%q: timeout %v", url, c.Timeout())
		}
		c.Close()
	}
}

type message struct{ pattern, channel, payload string }

// bundle is a client with a subscriber whose messages and states can be awaited.
type bundle struct {
	server   *testredis.Server
	client   *redisx.Client
	sub      *redisx.Subscriber
	messages chan message
	states   chan bool
}

func setup(t *testing.T, timeout time.Duration) *bundle {
	t.Helper()
	b := &bundle{server: testredis.Start(t), messages: make(chan message, 10_000), states: make(chan bool, 1000)}
	var err error
	if b.client, err = redisx.New(redisx.Options{URL: b.server.URL(), Timeout: timeout}); err != nil {
		t.Fatal(err)
	}
	b.sub = b.client.Subscribe(redisx.Handler{
		Message: func(pattern, channel string, payload []byte) {
			b.messages <- message{pattern, channel, string(payload)}
		},
		State: func(up bool, _ error) { b.states <- up },
	})
	t.Cleanup(func() { b.sub.Close(); b.client.Close() })
	return b
}

// state waits for the next state that is up.
func (b *bundle) state(up bool) {
	for <-b.states != up {
	}
}

func publish(t *testing.T, c *redisx.Client, channel string, payloads ...string) error {
	t.Helper()
	batch := make([]redisx.Message, len(payloads))
	for i, p := range payloads {
		batch[i] = redisx.Message{Channel: channel, Payload: []byte(p)}
	}
	c.Publish(t.Context(), batch)
	var errs []error
	for _, m := range batch {
		errs = append(errs, m.Err)
	}
	return errors.Join(errs...)
}

func TestPublishSubscribe(t *testing.T) {
	t.Parallel()
	b := setup(t, 0)
	if err := b.sub.Add(t.Context(), []string{"p#*", "q#*"}, []string{"c1", "c2"}); err != nil {
		t.Fatal(err)
	}
	if n, err := b.client.Subscribers(t.Context(), "c2"); n != 1 || err != nil {
		t.Errorf("%d subscribers, %v; want 1", n, err)
	}
	for _, channel := range []string{"p#1", "q#", "c1", "c2"} {
		if err := publish(t, b.client, channel, "x\x00\xff", ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []message{
		{"p#*", "p#1", "x\x00\xff"}, {"p#*", "p#1", ""}, {"q#*", "q#", "x\x00\xff"}, {"q#*", "q#", ""},
		{"", "c1", "x\x00\xff"}, {"", "c1", ""}, {"", "c2", "x\x00\xff"}, {"", "c2", ""},
	} {
		if got := <-b.messages; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if err := b.sub.Remove(t.Context(), []string{"p#*"}, []string{"c1"}); err != nil {
		t.Fatal(err)
	}
	for _, channel := range []string{"p#1", "c1", "c2"} {
		if err := publish(t, b.client, channel, channel); err != nil {
			t.Fatal(err)
		}
	}
	if got := <-b.messages; got.channel != "c2" {
		t.Errorf("got %q after Remove", got)
	}
}

func TestRemoveCounts(t *testing.T) {
	t.Parallel()
	b := setup(t, 0)
	for range 2 {
		if err := b.sub.Add(t.Context(), nil, []string{"c"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []int64{1, 0} {
		if err := b.sub.Remove(t.Context(), nil, []string{"c"}); err != nil {
			t.Fatal(err)
		}
		if n, err := b.client.Subscribers(t.Context(), "c"); n != want || err != nil {
			t.Errorf("%d subscribers, %v; want %d", n, err, want)
		}
	}
}

func TestPublishKeepsOrder(t *testing.T) {
	t.Parallel()
	b := setup(t, 0)
	if err := b.sub.Add(t.Context(), nil, []string{"c"}); err != nil {
		t.Fatal(err)
	}
	const batches, each = 50, 100
	for i := range batches {
		var payloads []string
		for j := range each {
			payloads = append(payloads, fmt.Sprint(i*each+j))
		}
		if err := publish(t, b.client, "c", payloads...); err != nil {
			t.Fatal(err)
		}
	}
	for i := range batches * each {
		if got := <-b.messages; got.payload != fmt.Sprint(i) {
			t.Fatalf("message %d is %s", i, got.payload)
		}
	}
}

func TestResubscribe(t *testing.T) {
	t.Parallel()
	b := setup(t, 0)
	if err := b.sub.Add(t.Context(), []string{"p#*", "gone#*"}, []string{"c"}); err != nil {
		t.Fatal(err)
	}
	b.server.Stop()
	b.state(false)
	if err := publish(t, b.client, "c", "lost"); err == nil {
		t.Error("published to a stopped server")
	}
	// What is asked for meanwhile comes true with the connection, what is given up does not.
	added := make(chan error, 1)
	go func() { added <- b.sub.Add(t.Context(), nil, []string{"late"}) }()
	b.state(false) // not just lost, but tried in vain
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := b.sub.Add(ctx, nil, []string{"given up"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Add without a server: %v", err)
	} else if !strings.Contains(err.Error(), "refused") {
		t.Errorf("Add without a server does not say why: %v", err)
	}
	if err := b.sub.Remove(t.Context(), []string{"gone#*"}, nil); err != nil {
		t.Errorf("Remove without a server: %v", err)
	}
	b.server.Restart()
	b.state(true)
	if err := <-added; err != nil {
		t.Fatal(err)
	}
	for _, channel := range []string{"gone#1", "given up", "p#1", "c", "late"} {
		if err := publish(t, b.client, channel, channel); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"p#1", "c", "late"} {
		if got := <-b.messages; got.channel != want {
			t.Errorf("got %q, want a message on %s", got, want)
		}
	}
}

func TestRefusedSubscription(t *testing.T) {
	t.Parallel()
	b := setup(t, 0)
	// The default user may not subscribe to anything but ok*.
	conn, err := net.Dial("tcp", b.server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprint(conn, "ACL SETUSER default resetchannels &ok*\r\nPING\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := bufio.NewReader(conn).ReadString('\n'); err != nil || answer != "+OK\r\n" {
		t.Fatalf("ACL: %q, %v", answer, err)
	}
	if err := b.sub.Add(t.Context(), nil, []string{"secret"}); err == nil || !strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("Add of a forbidden channel: %v", err)
	}
	if err := b.sub.Add(t.Context(), nil, []string{"ok1"}); err != nil {
		t.Errorf("Add of an allowed channel after that: %v", err)
	}
}

func TestHungServer(t *testing.T) {
	t.Parallel()
	b := setup(t, 300*time.Millisecond)
	if err := b.sub.Add(t.Context(), nil, []string{"c"}); err != nil {
		t.Fatal(err)
	}
	b.server.Pause()
	if err := publish(t, b.client, "c", "lost"); err == nil {
		t.Error("published to a server that does not answer")
	}
	b.state(false)
	b.server.Resume()
	b.state(true)
	if err := publish(t, b.client, "c", "found"); err != nil {
		t.Error(err)
	}
	for got := range b.messages {
		if got.payload == "found" {
			break
		}
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	b := setup(t, 0)
	b.client.Close()
	b.client.Close()
	if err := publish(t, b.client, "c", "x"); !errors.Is(err, redisx.ErrClosed) {
		t.Errorf("Publish after Close: %v", err)
	}
	b.sub.Close()
	b.sub.Close()
	if err := b.sub.Add(t.Context(), nil, []string{"c"}); !errors.Is(err, redisx.ErrClosed) {
		t.Errorf("Add after Close: %v", err)
	}
}
