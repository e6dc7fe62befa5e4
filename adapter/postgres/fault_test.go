package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/postgres"
	"github.com/peal-dev/peal/internal/faultproxy"
	"github.com/peal-dev/peal/internal/testpostgres"
	"github.com/peal-dev/peal/message"
)

// healing is how soon delivery goes on once the server is back.
const healing = 2 * time.Second

// states makes options with which the connection's states can be awaited.
func states(opts postgres.Options) (postgres.Options, func(up bool)) {
	ch := make(chan bool, 1000)
	opts.OnState = func(up bool, _ error) { ch <- up }
	return opts, func(up bool) {
		for <-ch != up {
		}
	}
}

// requireHealed publishes until something arrives, which must be soon.
func requireHealed(t *testing.T, from *adapter.Adapter, arrives func() bool) {
	t.Helper()
	for start := time.Now(); ; {
		err := from.Broadcast(t.Context(), newMessage("healed"), message.Target{})
		if err == nil && arrives() {
			return
		}
		if took := time.Since(start); took > healing {
			t.Fatalf("nothing arrives %v after the server is back: %v", took, err)
		}
	}
}

// TestAway has the server be away: told to who publishes, local delivery goes on, and afterwards all is well.
func TestAway(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(*testpostgres.Server){"crash": (*testpostgres.Server).Stop, "shutdown": (*testpostgres.Server).Shutdown} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := testpostgres.Start(t)
			opts1, state1 := states(postgres.Options{URL: server.URL()})
			opts2, state2 := states(postgres.Options{URL: server.URL()})
			d1, d2 := open(t, opts1), open(t, opts2)
			a1, m1 := join(t, d1, "/")
			_, m2 := join(t, d2, "/")
			state1(true)
			state2(true)

			stop(server)
			state1(false)
			state2(false)
			err := a1.Broadcast(t.Context(), newMessage("lost"), message.Target{})
			if !errors.Is(err, adapter.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Broadcast without the server: %v", err)
			}
			if got := m1.Next(t).Event(); got != "lost" {
				t.Errorf("this node's member got %q", got)
			}
			if err := a1.Ping(t.Context()); !errors.Is(err, adapter.ErrUnavailable) {
				t.Errorf("Ping without the server: %v", err)
			}
			if _, err := a1.Call(t.Context(), &adapter.Call{Kind: adapter.CallRooms}, func(adapter.Answer) {}); !errors.Is(err, adapter.ErrUnavailable) {
				t.Errorf("a call without the server: %v", err)
			}
			if d1.Stats().Connected {
				t.Error("connected without a server")
			}

			server.Restart()
			start := time.Now()
			state1(true)
			state2(true)
			if took := time.Since(start); took > healing {
				t.Errorf("connected %v after the server was back", took)
			}
			emit(t, a1, newMessage("found"))
			if before := m2.Until(t, "found"); len(before) > 0 {
				t.Errorf("the other node got %v", before)
			}
			for _, d := range []*postgres.Driver{d1, d2} {
				s := d.Stats()
				gaps := s.Gaps[adapter.GapReconnect] + s.Gaps[adapter.GapKilled]
				if s.Reconnects == 0 || !s.Connected || gaps != s.Reconnects || s.LastGap.To.IsZero() {
					t.Errorf("stats = %+v, want a gap for each reconnect", s)
				}
			}
		})
	}
}

// TestKilledConnections ends connections as an operator does: each kind is made again, and what is published right after
// is not lost with a connection that has ended already.
func TestKilledConnections(t *testing.T) {
	t.Parallel()
	server := testpostgres.Start(t)
	opts, state := states(postgres.Options{URL: server.URL()})
	d1, d2 := open(t, postgres.Options{URL: server.URL() + "&application_name=publishes"}), open(t, opts)
	from, _ := join(t, d1, "/")
	_, to := join(t, d2, "/")
	state(true)
	large := message.New(fmt.Appendf(nil, `["large",%q]`, strings.Repeat("x", 10_000)))
	kill := func(who string) {
		t.Helper()
		// It returns when they have ended, within the time given.
		for _, ended := range server.Do("SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity WHERE " + who) {
			if ended != "t" {
				t.Error("a connection does not end")
			}
		}
	}
	for range 3 {
		kill("application_name = 'publishes' AND query NOT LIKE 'LISTEN%'")
		emit(t, from, newMessage("small"))
		emit(t, from, large)
		to.Until(t, "large")
		kill("application_name = 'peal'")
		state(false)
		state(true)
		emit(t, from, large)
		to.Until(t, "large")
	}
	if s := d2.Stats(); s.Gaps[adapter.GapKilled] != 3 || s.Reconnects != 3 || s.Dropped != 0 {
		t.Errorf("stats = %+v, want three connections that were killed", s)
	}
}

// TestPaused has the server hang for longer than anybody waits.
func TestPaused(t *testing.T) {
	t.Parallel()
	server := testpostgres.Start(t)
	opts := postgres.Options{URL: server.URL(), Timeout: 500 * time.Millisecond}
	d1, d2 := open(t, opts), open(t, opts)
	from, here := join(t, d1, "/")
	_, to := join(t, d2, "/")
	server.Pause()
	for range 4 {
		if err := from.Broadcast(t.Context(), newMessage("lost"), message.Target{}); !errors.Is(err, adapter.ErrUnavailable) {
			t.Errorf("Broadcast to a server that hangs: %v", err)
		}
		here.Next(t)
	}
	server.Resume()
	requireHealed(t, from, func() bool { to.Until(t, "healed"); return true })
}

// TestDeaf has the network lose what is on all connections, which nobody is told: they are found to be dead and replaced.
func TestDeaf(t *testing.T) {
	t.Parallel()
	server := testpostgres.Start(t)
	proxy := faultproxy.Start(t, server.Addr())
	opts, state := states(postgres.Options{URL: server.URLAt(proxy.Addr())})
	d1, d2 := open(t, postgres.Options{URL: server.URL()}), open(t, opts)
	from, _ := join(t, d1, "/")
	back, to := join(t, d2, "/")
	state(true)
	proxy.Lose()
	emit(t, from, large())
	proxy.Find()
	start := time.Now()
	if err := back.Broadcast(t.Context(), newMessage("in doubt"), message.Target{}); err != nil && !errors.Is(err, adapter.ErrUnavailable) {
		t.Error(err)
	}
	state(false)
	state(true)
	emit(t, from, large())
	to.Until(t, "large")
	if took := time.Since(start); took > postgres.DefaultTimeout {
		t.Errorf("it took %v until large messages arrived again", took)
	}
	if s := d2.Stats(); s.Gaps[adapter.GapReconnect]+s.Gaps[adapter.GapKilled] == 0 {
		t.Errorf("stats = %+v, want a gap", s)
	}
}

// TestSlow has a network on which everything takes long: nothing is lost, nothing is taken for dead.
func TestSlow(t *testing.T) {
	t.Parallel()
	server := testpostgres.Start(t)
	proxy := faultproxy.Start(t, server.Addr())
	proxy.Delay(50 * time.Millisecond)
	d1, d2 := open(t, postgres.Options{URL: server.URLAt(proxy.Addr())}), open(t, postgres.Options{URL: server.URLAt(proxy.Addr())})
	from, _ := join(t, d1, "/")
	_, to := join(t, d2, "/")
	large := message.New(fmt.Appendf(nil, `["large",%q]`, strings.Repeat("x", 100_000)))
	for range 5 {
		emit(t, from, newMessage("small"))
		emit(t, from, large)
	}
	emit(t, from, newMessage("end"))
	if got := to.Until(t, "end"); strings.Join(got, " ") != strings.TrimSpace(strings.Repeat("small large ", 5)) {
		t.Errorf("got %q", got)
	}
	if s := d2.Stats(); s.Reconnects != 0 || s.LastGap.Cause != "" {
		t.Errorf("stats = %+v, want no gap", s)
	}
}

// TestStandby gives the driver two servers of which the first does not write: it takes the other, and the other way round
// when they have changed places.
func TestStandby(t *testing.T) {
	t.Parallel()
	first, second := testpostgres.Start(t), testpostgres.Start(t)
	write := func(s *testpostgres.Server, allowed string) {
		s.Do("ALTER SYSTEM SET default_transaction_read_only = " + allowed)
		s.Restart()
	}
	write(first, "on")
	opts, state := states(postgres.Options{URL: strings.Replace(first.URL(), first.Addr(), first.Addr()+","+second.Addr(), 1)})
	opts2, state2 := states(postgres.Options{URL: opts.URL})
	d1, d2 := open(t, opts), open(t, opts2)
	from, _ := join(t, d1, "/")
	_, to := join(t, d2, "/")
	state(true)
	state2(true)
	listening := func(s *testpostgres.Server) int {
		return len(s.Do("SELECT 1 FROM pg_stat_activity WHERE application_name = 'peal'"))
	}
	if listening(first) != 0 || listening(second) == 0 {
		t.Errorf("%d connections to the server that does not write, %d to the other", listening(first), listening(second))
	}
	write(second, "on")
	state(false)
	state2(false)
	first.Do("ALTER SYSTEM SET default_transaction_read_only = off")
	first.Do("SELECT pg_reload_conf()")
	state(true)
	state2(true)
	emit(t, from, newMessage("here"))
	to.Until(t, "here")
}

// TestSubscribeWithoutServer has a driver be made before its server is there.
func TestSubscribeWithoutServer(t *testing.T) {
	t.Parallel()
	server := testpostgres.Start(t)
	server.Stop()
	opts, state := states(postgres.Options{URL: server.URL(), Timeout: time.Second})
	d := open(t, opts)
	state(false)
	if _, err := adapter.New(t.Context(), "/", d, nil); !errors.Is(err, adapter.ErrUnavailable) {
		t.Errorf("New without the server: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := adapter.New(ctx, "/", d, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("New without the server and time: %v", err)
	}
	server.Restart()
	state(true)
	a, _ := join(t, d, "/")
	if err := a.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestLog has the log say once what happened.
func TestLog(t *testing.T) {
	t.Parallel()
	server := testpostgres.Start(t)
	var log logBuffer
	opts, state := states(postgres.Options{URL: server.URL(), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	d := open(t, opts)
	state(true)
	server.Stop()
	state(false)
	state(false)
	server.Restart()
	state(true)
	if err := d.Close(t.Context()); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"postgres: connection to PostgreSQL lost", "postgres: connected to PostgreSQL again"} {
		if strings.Count(log.text(), want) != 1 {
			t.Errorf("the log does not say once %q:\n%s", want, log.text())
		}
	}
}
