package redisstreams_test

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/adapter/redisstreams"
	"github.com/peal-dev/peal/internal/faultproxy"
	"github.com/peal-dev/peal/internal/testredis"
	"github.com/peal-dev/peal/message"
)

func newMessage(event string) *message.Message { return message.New(fmt.Appendf(nil, "[%q]", event)) }

func newAdapter(t *testing.T, d adapter.Driver, id string, rooms ...string) (*adapter.Adapter, *adaptertest.Member) {
	t.Helper()
	a, err := adapter.New(t.Context(), "/", d, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := adaptertest.NewMember(id)
	if _, err := a.Add(t.Context(), &adaptertest.Socket{Member: m}, rooms...); err != nil {
		t.Fatal(err)
	}
	return a, m
}

// send broadcasts numbered events, from first on.
func send(t *testing.T, a *adapter.Adapter, first, n int) {
	t.Helper()
	for i := first; i < first+n; i++ {
		if err := a.Broadcast(t.Context(), newMessage(fmt.Sprint(i)), message.Target{}); err != nil {
			t.Fatalf("broadcast %d: %v", i, err)
		}
	}
}

// numbers returns the events first to first+n-1.
func numbers(first, n int) (list []string) {
	for i := first; i < first+n; i++ {
		list = append(list, fmt.Sprint(i))
	}
	return list
}

// requireReceived requires m to have received these events and nothing else before last, which comes next.
func requireReceived(t *testing.T, m *adaptertest.Member, last string, want []string) {
	t.Helper()
	if got := m.Until(t, last); !slices.Equal(got, want) {
		t.Errorf("received %d events before %q, want %d: %.200v", len(got), last, len(want), got)
	}
}

// states has changes of state wait until a test asks for them.
func states(opts redisstreams.Options) (with redisstreams.Options, await func(t *testing.T, want bool)) {
	changes := make(chan bool, 10_000)
	opts.OnState = func(up bool, _ error) { changes <- up }
	return opts, func(t *testing.T, want bool) {
		t.Helper()
		deadline := time.After(20 * time.Second)
		for {
			select {
			case up := <-changes:
				if up == want {
					return
				}
			case <-deadline:
				t.Fatalf("not told that connected = %v", want)
			}
		}
	}
}

// distant is two nodes, of which the second reaches Redis by a proxy.
type distant struct {
	server *testredis.Server
	proxy  *faultproxy.Proxy
	near   *adapter.Adapter
	far    *adapter.Adapter
	driver *redisstreams.Driver // of far
	state  func(t *testing.T, want bool)
	m      *adaptertest.Member // of far
}

func newDistant(t *testing.T, opts redisstreams.Options) *distant {
	t.Helper()
	d := &distant{server: testredis.Start(t)}
	d.proxy = faultproxy.Start(t, d.server.Addr())
	opts.URL = d.server.URL()
	d.near, _ = newAdapter(t, newDriver(t, opts), "near")
	opts.URL = "redis://" + d.proxy.Addr()
	opts, d.state = states(opts)
	d.driver = newDriver(t, opts)
	d.far, d.m = newAdapter(t, d.driver, "far")
	d.state(t, true)
	return d
}

// TestCutLosesNothing cuts a node off, for a moment and for a while, with messages under way: it has all of them, once and in
// order.
func TestCutLosesNothing(t *testing.T) {
	t.Parallel()
	d := newDistant(t, redisstreams.Options{})
	send(t, d.near, 0, 100)
	d.proxy.Cut()
	send(t, d.near, 100, 100)
	d.state(t, false)
	d.state(t, true)
	d.proxy.Refuse()
	d.proxy.Cut()
	d.state(t, false)
	send(t, d.near, 200, 1000)
	if err := d.far.Ping(t.Context()); !errors.Is(err, adapter.ErrUnavailable) {
		t.Errorf("Ping of a node that is cut off: %v", err)
	}
	d.proxy.Admit()
	send(t, d.near, 1200, 1)
	requireReceived(t, d.m, "1200", numbers(0, 1200))
	d.state(t, true)
	if err := d.far.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if n := d.driver.Stats().Gaps[adapter.GapExpired]; n != 0 {
		t.Errorf("%d gaps of lost messages, want none", n)
	}
}

// TestDeadConnection: what says nothing any more is found out and replaced, and nothing is lost.
func TestDeadConnection(t *testing.T) {
	t.Parallel()
	d := newDistant(t, redisstreams.Options{})
	send(t, d.near, 0, 10)
	d.proxy.HalfOpen()
	send(t, d.near, 10, 100)
	requireReceived(t, d.m, "109", numbers(0, 109))
}

// TestHungRedis stops the server for longer than a message may wait: who publishes is told, and what it took is delivered.
func TestHungRedis(t *testing.T) {
	t.Parallel()
	d := newDistant(t, redisstreams.Options{Timeout: 500 * time.Millisecond})
	send(t, d.near, 0, 10)
	d.server.Pause()
	if err := d.near.Broadcast(t.Context(), newMessage("unsure"), message.Target{}); !errors.Is(err, adapter.ErrUnavailable) {
		t.Errorf("Broadcast while Redis hangs: %v", err)
	}
	d.server.Resume()
	for d.near.Ping(t.Context()) != nil {
	}
	send(t, d.near, 10, 11)
	// What was not answered may have been taken.
	got := slices.DeleteFunc(d.m.Until(t, "20"), func(event string) bool { return event == "unsure" })
	if !slices.Equal(got, numbers(0, 20)) {
		t.Errorf("received %v", got)
	}
}

// TestRestartThatKeeps restarts a Redis that keeps its data: what was published before it is delivered after it.
func TestRestartThatKeeps(t *testing.T) {
	t.Parallel()
	d := newDistant(t, redisstreams.Options{})
	d.proxy.Refuse()
	d.proxy.Cut()
	d.state(t, false)
	send(t, d.near, 0, 100)
	d.server.Do("SAVE")
	d.server.Restart()
	d.proxy.Admit()
	for d.near.Ping(t.Context()) != nil {
	}
	send(t, d.near, 100, 1)
	requireReceived(t, d.m, "100", numbers(0, 100))
	if n := d.driver.Stats().Gaps[adapter.GapExpired]; n != 0 {
		t.Errorf("%d gaps of lost messages, want none", n)
	}
}

// TestRestartThatForgets restarts a Redis that keeps nothing: the nodes go on, and tell a gap.
func TestRestartThatForgets(t *testing.T) {
	t.Parallel()
	d := newDistant(t, redisstreams.Options{})
	send(t, d.near, 0, 10)
	requireReceived(t, d.m, "9", numbers(0, 9))
	d.server.Restart()
	for d.near.Ping(t.Context()) != nil {
	}
	send(t, d.near, 10, 11)
	requireReceived(t, d.m, "20", numbers(10, 10))
	for d.far.Ping(t.Context()) != nil {
	}
	gaps := d.driver.Stats().Gaps
	if gaps[adapter.GapKilled]+gaps[adapter.GapReconnect] == 0 || gaps[adapter.GapExpired] != 0 {
		t.Errorf("gaps %v, want that of the restart, and none that is counted", gaps)
	}
}

// TestTrimmedIsCounted has a stream trimmed beyond what a node has read: it is told how many are missing, and no more.
func TestTrimmedIsCounted(t *testing.T) {
	t.Parallel()
	for name, keep := range map[string]int{"all": 0, "some": 30} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log logBuffer
			d := newDistant(t, redisstreams.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			send(t, d.near, 0, 10)
			requireReceived(t, d.m, "9", numbers(0, 9))
			d.proxy.Refuse()
			d.proxy.Cut()
			d.state(t, false)
			send(t, d.near, 10, 100)
			d.server.Do("XTRIM", "socket.io", "MAXLEN", fmt.Sprint(keep))
			d.proxy.Admit()
			d.state(t, true)
			send(t, d.near, 110, 1)
			requireReceived(t, d.m, "110", numbers(110-keep, keep))
			if err := d.far.Ping(t.Context()); err != nil {
				t.Error(err)
			}
			s := d.driver.Stats()
			if n := s.Gaps[adapter.GapExpired]; n != 1 || s.Lost != uint64(100-keep) {
				t.Errorf("%d gaps with %d messages, want one with %d: %+v", n, s.Lost, 100-keep, s)
			}
			if want := "cause=expired from="; !strings.Contains(log.text(), want) || !strings.Contains(log.text(), fmt.Sprintf(" dropped=%d\n", 100-keep)) {
				t.Errorf("the log does not tell of %d lost messages:\n%s", 100-keep, log.text())
			}
		})
	}
}

// logBuffer is what was logged.
type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
