package redisx_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
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

type message struct{ channel, payload string }

// bundle is a client with a subscriber whose messages and states can be awaited.
type bundle struct {
	server   *testredis.Server
	client   *redisx.Client
	sub      *redisx.Subscriber
	listener *redisx.Listener
	messages chan message
	states   chan bool
	refused  chan string // the names that Redis refuses
	accepted chan string // and those it accepts later
}

func setup(t *testing.T, timeout time.Duration) *bundle {
	t.Helper()
	b := &bundle{server: testredis.Start(t), messages: make(chan message, 10_000), states: make(chan bool, 1000),
		refused: make(chan string, 10_000), accepted: make(chan string, 10_000)}
	var err error
	if b.client, err = redisx.New(redisx.Options{URL: b.server.URL(), Timeout: timeout}); err != nil {
		t.Fatal(err)
	}
	b.sub = b.client.Subscribe(redisx.Hooks{
		State:    func(up bool, _ error) { b.states <- up },
		Refused:  func(n redisx.Name, _ error) { b.refused <- n.String() },
		Accepted: func(n redisx.Name, _ time.Time) { b.accepted <- n.String() },
	})
	b.listener = b.listen()
	t.Cleanup(func() { b.sub.Close(); b.client.Close() })
	return b
}

// listen returns one more listener whose messages come to b.
func (b *bundle) listen() *redisx.Listener {
	return b.sub.Listen(func(channel string, payload []byte) { b.messages <- message{channel, string(payload)} })
}

// add subscribes to names and waits until it is confirmed.
func (b *bundle) add(t *testing.T, names ...redisx.Name) {
	t.Helper()
	if err := b.listener.Add(names...).Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// settle waits until all that was asked for before has been done.
func (b *bundle) settle(t *testing.T) {
	t.Helper()
	b.add(t, redisx.Channel("settle"))
}

// subscribers fails the test unless n connections are subscribed to channel.
func (b *bundle) subscribers(t *testing.T, channel string, want int64) {
	t.Helper()
	b.settle(t)
	if n, err := b.client.Subscribers(t.Context(), channel); n != want || err != nil {
		t.Errorf("%d subscribers of %s, %v; want %d", n, channel, err, want)
	}
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
	b.add(t, redisx.Pattern("p#*"), redisx.Pattern("q#*"), redisx.Channel("c1"), redisx.Channel("c2"))
	b.subscribers(t, "c2", 1)
	for _, channel := range []string{"p#1", "q#", "c1", "c2"} {
		if err := publish(t, b.client, channel, "x\x00\xff", ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []message{
		{"p#1", "x\x00\xff"}, {"p#1", ""}, {"q#", "x\x00\xff"}, {"q#", ""},
		{"c1", "x\x00\xff"}, {"c1", ""}, {"c2", "x\x00\xff"}, {"c2", ""},
	} {
		if got := <-b.messages; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	b.listener.Remove(redisx.Pattern("p#*"), redisx.Channel("c1"), redisx.Channel("never added"))
	b.settle(t)
	for _, channel := range []string{"p#1", "c1", "c2"} {
		if err := publish(t, b.client, channel, channel); err != nil {
			t.Fatal(err)
		}
	}
	if got := <-b.messages; got.channel != "c2" {
		t.Errorf("got %q after Remove", got)
	}
}

// TestSharedName has two listeners of one name: each message reaches both, and the last to leave ends the subscription.
func TestSharedName(t *testing.T) {
	t.Parallel()
	b := setup(t, 0)
	other := b.listen()
	b.add(t, redisx.Channel("c"))
	if err := other.Add(redisx.Channel("c"), redisx.Channel("d")).Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := publish(t, b.client, "c", "x"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := <-b.messages; got != (message{"c", "x"}) {
			t.Errorf("got %q", got)
		}
	}
	b.listener.Remove(redisx.Channel("c"))
	b.listener.Remove(redisx.Channel("c"))
	b.subscribers(t, "c", 1)
	other.Close()
	if err := other.Add(redisx.Channel("c")).Wait(t.Context()); !errors.Is(err, redisx.ErrClosed) {
		t.Errorf("Add to a closed listener: %v", err)
	}
	b.subscribers(t, "c", 0)
	b.subscribers(t, "d", 0)
}

// TestTurnabout adds and removes the same names in quick succession: what counts is what was asked for last.
func TestTurnabout(t *testing.T) {
	t.Parallel()
	b := setup(t, 0)
	const rounds, channels = 200, 16
	name := func(i int) string { return fmt.Sprint("c", i) }
	var wg sync.WaitGroup
	for i := range channels {
		wg.Go(func() {
			for round := range rounds {
				change := b.listener.Add(redisx.Channel(name(i)))
				if round%3 == 0 {
					if err := change.Wait(t.Context()); err != nil {
						t.Error(err)
					}
				}
				b.listener.Remove(redisx.Channel(name(i)))
			}
			if i%2 == 0 {
				b.listener.Add(redisx.Channel(name(i)))
			}
		})
	}
	wg.Wait()
	for i := range channels {
		b.subscribers(t, name(i), int64(1-i%2))
	}
}

// TestManyNames subscribes to more names than one command takes, twice: the second time on a new connection.
func TestManyNames(t *testing.T) {
	t.Parallel()
	b := setup(t, 0)
	const n = 2500
	var names []redisx.Name
	for i := range n {
		names = append(names, redisx.Channel(fmt.Sprint("c", i)), redisx.Pattern(fmt.Sprint("p", i, "#*")))
	}
	b.add(t, names...)
	b.state(true)
	check := func() {
		t.Helper()
		for _, i := range []int{0, 999, 1000, 1999, 2000, n - 1} {
			for _, channel := range []string{fmt.Sprint("c", i), fmt.Sprint("p", i, "#x")} {
				if err := publish(t, b.client, channel, "x"); err != nil {
					t.Fatal(err)
				}
				if got := <-b.messages; got.channel != channel {
					t.Errorf("got %q, want a message on %s", got, channel)
				}
			}
		}
	}
	check()
	b.server.Stop()
	b.state(false)
	b.server.Restart()
	b.state(true)
	check()
	b.listener.Remove(names...)
	b.subscribers(t, "c0", 0)
	b.subscribers(t, fmt.Sprint("c", n-1), 0)
}

func TestPublishKeepsOrder(t *testing.T) {
	t.Parallel()
	b := setup(t, 0)
	b.add(t, redisx.Channel("c"))
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
	b.add(t, redisx.Pattern("p#*"), redisx.Pattern("gone#*"), redisx.Channel("c"))
	b.server.Stop()
	b.state(false)
	if err := publish(t, b.client, "c", "lost"); err == nil {
		t.Error("published to a stopped server")
	}
	if since, cause := b.sub.Away(); since.IsZero() || cause == nil {
		t.Errorf("away since %v because of %v", since, cause)
	}
	// What is asked for meanwhile comes true with the connection, what is taken back does not.
	added := b.listener.Add(redisx.Channel("late"))
	b.state(false) // not just lost, but tried in vain
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := b.listener.Add(redisx.Channel("given up")).Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Add without a server: %v", err)
	} else if !strings.Contains(err.Error(), "refused") {
		t.Errorf("Add without a server does not say why: %v", err)
	}
	b.listener.Remove(redisx.Channel("given up"), redisx.Pattern("gone#*"))
	b.server.Restart()
	b.state(true)
	if err := added.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if since, cause := b.sub.Away(); !since.IsZero() || cause != nil {
		t.Errorf("away since %v because of %v", since, cause)
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

func TestHungServer(t *testing.T) {
	t.Parallel()
	b := setup(t, 300*time.Millisecond)
	b.add(t, redisx.Channel("c"))
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
	for range 2 {
		if err := b.listener.Add(redisx.Channel("c")).Wait(t.Context()); !errors.Is(err, redisx.ErrClosed) {
			t.Errorf("Add after Close: %v", err)
		}
	}
	b.listener.Remove(redisx.Channel("c"))
	b.listener.Close()
}
