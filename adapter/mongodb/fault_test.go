package mongodb_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/adapter/mongodb"
	"github.com/peal-dev/peal/internal/faultproxy"
	"github.com/peal-dev/peal/internal/testmongo"
	"github.com/peal-dev/peal/message"
)

// patience bounds what must come.
const patience = time.Minute

func newMessage(event string) *message.Message { return message.New(fmt.Appendf(nil, `[%q]`, event)) }

// newAdapter returns an adapter of the root namespace with one member.
func newAdapter(t testing.TB, d adapter.Driver, id string) (*adapter.Adapter, *adaptertest.Member) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	a, err := adapter.New(ctx, "/", d, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	m := adaptertest.NewMember(id)
	if _, err := a.Add(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	return a, m
}

// states makes options with which the states of the stream can be awaited.
func states(opts mongodb.Options) (mongodb.Options, func(up bool)) {
	ch := make(chan bool, 10_000)
	opts.OnState = func(up bool, _ error) { ch <- up }
	return opts, func(up bool) {
		for <-ch != up {
		}
	}
}

// publisher publishes numbers one after another until it is stopped, and knows which of them were taken.
type publisher struct {
	adapter *adapter.Adapter
	stop    chan struct{}
	done    chan struct{}
	taken   []string
}

func publish(t *testing.T, a *adapter.Adapter) *publisher {
	p := &publisher{adapter: a, stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		for n := 0; ; n++ {
			select {
			case <-p.stop:
				return
			default:
			}
			event := fmt.Sprint(n)
			err := a.Broadcast(context.Background(), newMessage(event), message.Target{})
			switch {
			case err == nil:
				p.taken = append(p.taken, event)
			case !errors.Is(err, adapter.ErrUnavailable) && !errors.Is(err, adapter.ErrOverloaded):
				t.Errorf("message %d: %v", n, err)
			}
		}
	}()
	return p
}

// end stops publishing and has a last message arrive at m. Everything that was taken has come before, in order and once;
// first is what m got already.
func (p *publisher) end(t *testing.T, m *adaptertest.Member, first *message.Message) {
	t.Helper()
	close(p.stop)
	<-p.done
	if err := p.adapter.Broadcast(t.Context(), newMessage("end"), message.Target{}); err != nil {
		t.Fatal(err)
	}
	got := append([]string{first.Event()}, m.Until(t, "end")...)
	if len(p.taken) == 0 {
		t.Error("nothing was taken")
	}
	next, before := 0, -1
	for _, event := range got {
		var n int
		if _, err := fmt.Sscan(event, &n); err != nil {
			t.Fatal(err)
		}
		if n <= before {
			t.Fatalf("%d came after %d", n, before)
		}
		before = n
		if next < len(p.taken) && event == p.taken[next] {
			next++ // others were given up, and arrived all the same
		}
	}
	if next < len(p.taken) {
		t.Errorf("%s was taken and did not come: %d of %d did", p.taken[next], next, len(p.taken))
	}
}

func requireNoGap(t *testing.T, drivers ...*mongodb.Driver) {
	t.Helper()
	for _, d := range drivers {
		for cause, n := range d.Stats().Gaps {
			if n > 0 {
				t.Errorf("%d gaps: %s", n, cause)
			}
		}
	}
}

// TestFaults: whatever happens between the nodes and the server, or to the server, what was taken arrives once and in order,
// and nobody tells of a gap. (How soon is measured by interop/chaos.)
func TestFaults(t *testing.T) {
	t.Parallel()
	type scene struct {
		server *testmongo.Server
		proxy  *faultproxy.Proxy
		state  func(up bool) // waits until the stream is lost, or there again
	}
	for name, fault := range map[string]func(s *scene){
		"restarted": func(s *scene) { s.server.Stop(); s.state(false); s.server.Restart(); s.state(true) },
		"shut down": func(s *scene) { s.server.Shutdown(); s.state(false); s.server.Restart(); s.state(true) },
		"hanging":   func(s *scene) { s.server.Pause(); s.state(false); s.server.Resume(); s.state(true) },
		"cut":       func(s *scene) { s.proxy.Refuse(); s.proxy.Cut(); s.state(false); s.proxy.Admit(); s.state(true) },
		"stalled":   func(s *scene) { s.proxy.Hold(); s.state(false); s.proxy.Release(); s.state(true) },
		"lossy":     func(s *scene) { s.proxy.Lose(); s.state(false); s.proxy.Find(); s.state(true) },
		"half-open": func(s *scene) { s.proxy.HalfOpen() }, // the stream may be there again before anybody is told
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := testmongo.Start(t, testmongo.Durable)
			proxy := faultproxy.Start(t, server.Addr())
			d1 := newDriver(t, mongodb.Options{URL: testmongo.URL(proxy.Addr())})
			opts, state := states(mongodb.Options{URL: testmongo.URL(proxy.Addr())})
			d2 := newDriver(t, opts)
			a1, _ := newAdapter(t, d1, "m1")
			_, m2 := newAdapter(t, d2, "m2")
			state(true)
			p := publish(t, a1)
			first := m2.Next(t)
			fault(&scene{server, proxy, state})
			p.end(t, m2, first)
			requireNoGap(t, d1, d2)
		})
	}
}

// TestTransient: only what a server has answered is a refusal. What the library says without one, it says in the same types.
func TestTransient(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{mongo.CommandError{Message: "the pool was cleared, as that another connection was lost is told", Labels: []string{"TransientTransactionError"}}, true},
		{mongo.CommandError{Message: "a connection was lost", Labels: []string{"NetworkError"}}, true},
		{mongo.CommandError{Code: 91, Name: "ShutdownInProgress", Labels: []string{"RetryableWriteError"}}, true},
		{mongo.CommandError{Code: 50, Name: "MaxTimeMSExpired"}, true},
		{mongo.CommandError{Code: 13, Name: "Unauthorized"}, false},
		{mongo.WriteException{WriteConcernError: &mongo.WriteConcernError{Code: 64}}, true},
		{mongo.WriteError{Code: 121, Message: "the document failed validation"}, false},
		{mongo.WriteException{WriteErrors: mongo.WriteErrors{{Code: 121}}}, false},
		{errors.New("no server can be selected"), true},
		{context.DeadlineExceeded, true},
	} {
		for _, err := range []error{tt.err, fmt.Errorf("wrapped: %w", tt.err)} {
			if got := mongodb.Transient(err); got != tt.want {
				t.Errorf("%#v: %v, want %v", err, got, tt.want)
			}
		}
	}
}

// TestCutAgainAndAgain cuts all connections while messages flow, and those that take their place: what is in doubt is inserted
// again, and comes once.
func TestCutAgainAndAgain(t *testing.T) {
	t.Parallel()
	server := testmongo.Start(t)
	proxy := faultproxy.Start(t, server.Addr())
	d1 := newDriver(t, mongodb.Options{URL: testmongo.URL(proxy.Addr())})
	d2 := newDriver(t, mongodb.Options{URL: testmongo.URL(proxy.Addr())})
	a1, _ := newAdapter(t, d1, "m1")
	_, m2 := newAdapter(t, d2, "m2")
	const messages, cuts = 400, 8
	for n := range messages {
		if n%(messages/cuts) == 0 {
			go proxy.CutAgain(n / (messages / cuts) % 4) // while the next is under way
		}
		if err := a1.Broadcast(t.Context(), newMessage(fmt.Sprint(n)), message.Target{}); err != nil {
			t.Errorf("message %d: %v", n, err)
		}
	}
	for n := range messages {
		if got := m2.Next(t).Event(); got != fmt.Sprint(n) {
			t.Fatalf("message %d is %s", n, got)
		}
	}
	requireNoGap(t, d1, d2)
}

// collection returns the drivers' collection, for as long as the test runs.
func collection(t *testing.T, server *testmongo.Server) *mongo.Collection {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(server.URL()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Disconnect(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return client.Database(mongodb.DefaultDatabase).Collection(mongodb.DefaultCollection)
}

// TestExpired: a node that was away for so long that the server has forgotten its place tells of a gap, and goes on.
func TestExpired(t *testing.T) {
	t.Parallel()
	server := testmongo.Start(t, "--oplog-max-entries", "50")
	proxy := faultproxy.Start(t, server.Addr())
	d1 := newDriver(t, mongodb.Options{URL: server.URL()})
	var log logBuffer
	opts, state := states(mongodb.Options{URL: testmongo.URL(proxy.Addr()), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	d2 := newDriver(t, opts)
	a1, _ := newAdapter(t, d1, "m1")
	_, m2 := newAdapter(t, d2, "m2")
	state(true)
	proxy.Refuse()
	proxy.Cut()
	state(false)
	for range 500 {
		if err := a1.Broadcast(t.Context(), newMessage("missed"), message.Target{}); err != nil {
			t.Fatal(err)
		}
	}
	forget := bson.D{{Key: "secantusAdmin.pruneOplog", Value: 1}}
	if err := collection(t, server).Database().Client().Database("admin").RunCommand(t.Context(), forget).Err(); err != nil {
		t.Fatal(err)
	}
	proxy.Admit()
	state(true)
	if err := a1.Broadcast(t.Context(), newMessage("here"), message.Target{}); err != nil {
		t.Fatal(err)
	}
	if missed := m2.Until(t, "here"); len(missed) == 500 {
		t.Error("nothing was missed: the server has not forgotten")
	}
	stats := d2.Stats()
	if stats.Gaps[adapter.GapExpired] != 1 || stats.LastGap.Cause != adapter.GapExpired || stats.LastGap.To.IsZero() || stats.LastGap.From.After(stats.LastGap.To) {
		t.Errorf("gaps %v, the last %+v", stats.Gaps, stats.LastGap)
	}
	if text := log.text(); !strings.Contains(text, "cause=expired") {
		t.Errorf("the log does not tell of it:\n%s", text)
	}
	requireNoGap(t, d1)
}

// TestDropped: the collection is dropped under the nodes' feet; they make another.
func TestDropped(t *testing.T) {
	t.Parallel()
	server := testmongo.Start(t)
	d1 := newDriver(t, mongodb.Options{URL: server.URL()})
	opts, state := states(mongodb.Options{URL: server.URL()})
	d2 := newDriver(t, opts)
	a1, _ := newAdapter(t, d1, "m1")
	_, m2 := newAdapter(t, d2, "m2")
	state(true)
	if err := collection(t, server).Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	state(false)
	state(true)
	if err := a1.Broadcast(t.Context(), newMessage("after"), message.Target{}); err != nil {
		t.Fatal(err)
	}
	m2.Until(t, "after")
	if d2.Stats().Gaps[adapter.GapExpired] != 1 {
		t.Errorf("gaps: %v", d2.Stats().Gaps)
	}
}

// TestWithoutMongo: a node that starts before the server says so, and joins when it is there.
func TestWithoutMongo(t *testing.T) {
	t.Parallel()
	server := testmongo.Start(t)
	server.Stop()
	opts, state := states(mongodb.Options{URL: server.URL(), Timeout: 200 * time.Millisecond})
	d := newDriver(t, opts)
	state(false)
	if _, err := adapter.New(t.Context(), "/", d, nil); !errors.Is(err, adapter.ErrUnavailable) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("New without MongoDB: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := adapter.New(ctx, "/", d, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("New without MongoDB and time: %v", err)
	}
	server.Restart()
	state(true)
	a, _ := newAdapter(t, d, "m")
	if err := a.Ping(t.Context()); err != nil && !errors.Is(err, adapter.ErrUnavailable) { // there are 200 ms for it
		t.Error(err)
	}
}

// TestHanging: a server that hangs costs callers the time that the options say, and no more.
func TestHanging(t *testing.T) {
	t.Parallel()
	server := testmongo.Start(t)
	d := newDriver(t, mongodb.Options{URL: server.URL(), Timeout: time.Second, QueueSize: 1})
	a, m := newAdapter(t, d, "m")
	server.Pause()
	const callers = 6
	errs := make(chan error, callers)
	began := time.Now()
	for range callers {
		go func() { errs <- a.Broadcast(t.Context(), newMessage("x"), message.Target{}) }()
	}
	for range callers {
		if err := <-errs; !errors.Is(err, adapter.ErrUnavailable) && !errors.Is(err, adapter.ErrOverloaded) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Broadcast to a server that hangs: %v", err)
		}
		m.Next(t) // its own members have it all the same
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("gave up after %v", took)
	}
	if err := a.Ping(t.Context()); !errors.Is(err, adapter.ErrUnavailable) {
		t.Errorf("Ping of a server that hangs: %v", err)
	}
	server.Resume()
}
