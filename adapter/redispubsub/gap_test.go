package redispubsub_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/internal/faultproxy"
	"github.com/peal-dev/peal/internal/testredis"
	"github.com/peal-dev/peal/message"
)

// TestPublishIsHeard publishes all the time while Redis goes and comes back: what was taken was heard, by this node at
// least. The publisher used to be back long before the subscriber.
func TestPublishIsHeard(t *testing.T) {
	t.Parallel()
	for _, to := range [][]string{nil, {"room"}} {
		t.Run(fmt.Sprint("to ", to), func(t *testing.T) {
			t.Parallel()
			server := testredis.Start(t)
			opts, state := states(redispubsub.Options{URL: server.URL()})
			d := newDriver(t, opts)
			a, _ := newAdapter(t, d)
			state(true)
			if _, err := a.Join(t.Context(), "m", "room"); err != nil {
				t.Fatal(err)
			}
			taken := uint64(0)
			for range 4 {
				server.Stop()
				state(false)
				server.Restart()
				for {
					err := a.Broadcast(t.Context(), newMessage("x"), message.Target{Rooms: to})
					if err == nil {
						taken++
						break
					}
					if !errors.Is(err, adapter.ErrUnavailable) {
						t.Fatal(err)
					}
				}
				state(true) // what was taken went to a connection, so it is there, or about to say so
				if err := a.Ping(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := d.Stats().Received; got != taken {
					t.Errorf("Redis took %d messages and this node received %d", taken, got)
				}
			}
			if got := d.Stats().Gaps[adapter.GapReconnect] + d.Stats().Gaps[adapter.GapKilled]; got != 4 {
				t.Errorf("%d gaps, want 4: %v", got, d.Stats().Gaps)
			}
		})
	}
}

// TestRoomWithoutMembers publishes to a room that has none on any node: nobody receives that, and nothing is wrong.
func TestRoomWithoutMembers(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	a, _ := newAdapter(t, newDriver(t, redispubsub.Options{URL: server.URL()}))
	for range 3 {
		if err := a.Broadcast(t.Context(), newMessage("x"), message.Target{Rooms: []string{"nobody"}}); err != nil {
			t.Error(err)
		}
	}
}

// TestReceivesFromAReplica has the node publish on one server and receive from its replica, whose connections no PUBLISH
// counts: that nobody received a message there says nothing.
func TestReceivesFromAReplica(t *testing.T) {
	t.Parallel()
	master := testredis.Start(t)
	replica := startReplica(t, master)
	// The connection that publishes is the first.
	proxy := faultproxy.Start(t, master.Addr(), replica.Addr())
	near, _ := newAdapter(t, newDriver(t, redispubsub.Options{URL: "redis://" + proxy.Addr()}))
	if got := master.Do("PUBSUB", "NUMPAT"); got != "0" {
		t.Fatalf("%s patterns on the master", got)
	}
	_, m := newAdapter(t, newDriver(t, redispubsub.Options{URL: "redis://" + replica.Addr()}))
	for i := range 3 {
		if err := near.Broadcast(t.Context(), newMessage(fmt.Sprint(i)), message.Target{}); err != nil {
			t.Error(err)
		}
		if got := m.Next(t).Event(); got != fmt.Sprint(i) {
			t.Errorf("got %s, want %d", got, i)
		}
	}
	if err := near.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestGapIsTold ends the connection that receives in every way, while another node publishes: each message that is
// missing was published within the gap that is told.
func TestGapIsTold(t *testing.T) {
	t.Parallel()
	const kb = 1 << 10
	for _, tt := range []struct {
		name  string
		cause adapter.GapCause
		fault func(t *testing.T, server *testredis.Server, proxy *faultproxy.Proxy, publish func(n int), lost func())
	}{
		{"CLIENT KILL", adapter.GapKilled, func(t *testing.T, server *testredis.Server, _ *faultproxy.Proxy, publish func(int), lost func()) {
			server.Do("CLIENT", "KILL", "TYPE", "pubsub")
			publish(100)
			lost()
		}},
		{"the node does not read", adapter.GapKilled, func(t *testing.T, server *testredis.Server, proxy *faultproxy.Proxy, publish func(int), lost func()) {
			server.Do("CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 0 0")
			proxy.Hold()
			const requests = "socket.io-request#/#"
			for server.Do("PUBSUB", "NUMSUB", requests) != requests+" 1" { // the publisher
				publish(100)
			}
			publish(100)
			proxy.Release()
			lost()
		}},
		{"Redis is out of reach", adapter.GapReconnect, func(t *testing.T, _ *testredis.Server, proxy *faultproxy.Proxy, publish func(int), lost func()) {
			proxy.Refuse()
			proxy.Cut()
			lost()
			lost() // and an attempt to connect has failed
			publish(100)
			proxy.Admit()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := testredis.Start(t)
			proxy := faultproxy.Start(t, server.Addr())
			var told gapLog
			opts, state := states(redispubsub.Options{URL: "redis://" + proxy.Addr(), Logger: slog.New(&told)})
			d := newDriver(t, opts)
			_, m := newAdapter(t, d)
			far, farState := states(redispubsub.Options{URL: server.URL()})
			b, _ := newAdapter(t, newDriver(t, far))
			state(true)
			farState(true)

			padding := strings.Repeat("x", 16*kb)
			type times struct{ from, to time.Time }
			var published []times // between which each was
			publish := func(n int) {
				for range n {
					from := time.Now()
					event := fmt.Sprint(len(published), " ", padding)
					if err := b.Broadcast(t.Context(), newMessage(event), message.Target{}); err == nil {
						published = append(published, times{from, time.Now()})
					} else if !errors.Is(err, adapter.ErrUnavailable) {
						t.Fatal(err)
					}
				}
			}
			publish(10)
			for i := range 10 {
				wantNumber(t, m, i)
			}
			tt.fault(t, server, proxy, publish, func() { state(false) })
			state(true)
			gaps := told.of(tt.cause)
			if len(gaps) != 1 || d.Stats().Gaps[tt.cause] != 1 {
				t.Fatalf("%v is told of, gaps = %v; want one, %s", gaps, d.Stats().Gaps, tt.cause)
			}
			gap := gaps[0]
			for { // until the publisher is back as well
				n := len(published)
				if publish(1); len(published) > n {
					break
				}
			}
			last := len(published) - 1
			received := make(map[int]bool)
			for !received[last] {
				received[number(t, m)] = true
			}
			missing := 0
			for i := 10; i < last; i++ {
				if received[i] {
					continue
				}
				missing++
				if at := published[i]; at.to.Before(gap.From) || at.from.After(gap.To) {
					t.Fatalf("message %d of %v is missing, and the gap is told as from %v to %v", i, at, gap.From, gap.To)
				}
			}
			t.Logf("%d of %d messages are missing", missing, last-10)
			if gaps := told.of(tt.cause); len(gaps) != 1 {
				t.Errorf("%d gaps are told of, want one: %v", len(gaps), gaps)
			}
		})
	}
}

// gapLog is a log that keeps the gaps it is told of. The last one of the statistics may be another by the time they are read: how
// many messages a gap has cost is known with the next beat of who published them, and counts as a gap too.
type gapLog struct {
	mu   sync.Mutex
	gaps []adapter.Gap
}

func (l *gapLog) Enabled(context.Context, slog.Level) bool { return true }
func (l *gapLog) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *gapLog) WithGroup(string) slog.Handler            { return l }

func (l *gapLog) Handle(_ context.Context, r slog.Record) error {
	var gap adapter.Gap
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "cause":
			gap.Cause = adapter.GapCause(a.Value.String())
		case "from":
			gap.From = a.Value.Time()
		case "to":
			gap.To = a.Value.Time()
		}
		return true
	})
	if !gap.To.IsZero() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.gaps = append(l.gaps, gap)
	}
	return nil
}

// of returns the gaps of a cause.
func (l *gapLog) of(cause adapter.GapCause) (list []adapter.Gap) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, gap := range l.gaps {
		if gap.Cause == cause {
			list = append(list, gap)
		}
	}
	return list
}

// number returns the number of the next message.
func number(t *testing.T, m *adaptertest.Member) int {
	t.Helper()
	text, _, _ := strings.Cut(m.Next(t).Event(), " ")
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func wantNumber(t *testing.T, m *adaptertest.Member, want int) {
	t.Helper()
	if got := number(t, m); got != want {
		t.Fatalf("got message %d, want %d", got, want)
	}
}
