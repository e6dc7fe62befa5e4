package bench_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/bench"
	"github.com/peal-dev/peal/gateway"
	"github.com/peal-dev/peal/socketio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// handlers are functions for socketio's On, by event.
type handlers map[string]any

// serve runs a Socket.IO server with the load generator's handlers, of which change may replace some.
func serve(t *testing.T, change func(*socketio.Server, handlers)) (url string) {
	t.Helper()
	return serveWith(t, nil, change)
}

// serveWith is serve with options.
func serveWith(t *testing.T, opts *socketio.Options, change func(*socketio.Server, handlers)) (url string) {
	t.Helper()
	io := socketio.NewServer(opts)
	all := handlers{
		"broadcast": func(ctx context.Context, data string) error { return io.Emit(ctx, "broadcast", data) },
		"publish":   func(ctx context.Context, room, data string) error { return io.To(room).Emit(ctx, "broadcast", data) },
		"echo":      func(data string) string { return data },
		"join": func(ctx context.Context, s *socketio.Socket, rooms ...string) ([]string, error) {
			return rooms, s.Join(ctx, rooms...)
		},
	}
	if change != nil {
		change(io, all)
	}
	for event, handler := range all {
		io.On(event, handler)
	}
	ts := httptest.NewServer(io)
	t.Cleanup(func() {
		if err := io.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		ts.Close()
	})
	return ts.URL
}

// small returns options that make a scenario quick.
func small(scenario bench.Scenario, url string) *bench.Options {
	return &bench.Options{
		Scenario: scenario, URL: url, PID: os.Getpid(), Dialect: bench.Handlers,
		Clients: 20, Rounds: 8, Burst: 5, RoomSize: 3, Size: 200,
		Settle: time.Millisecond, Window: 20 * time.Millisecond, Patience: 10 * time.Second,
	}
}

func run(t *testing.T, o *bench.Options) *bench.Report {
	t.Helper()
	report, err := bench.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// mustBeGood fails the test unless the report is one of a server without fault, and has the figures.
func mustBeGood(t *testing.T, r *bench.Report, figures ...string) {
	t.Helper()
	for _, p := range r.Problems {
		t.Error(p)
	}
	if !r.Delivery.Perfect() {
		t.Errorf("delivery: %+v", r.Delivery)
	}
	for _, name := range figures {
		if v, ok := r.Figure(name); !ok || v < 0 {
			t.Errorf("%s: %g, %v", name, v, ok)
		}
	}
	var text, svg strings.Builder
	if err := errors.Join(r.WriteText(&text), r.WriteSVG(&svg)); err != nil {
		t.Error(err)
	}
	for _, f := range r.Figures {
		if !strings.Contains(text.String(), f.Name) {
			t.Errorf("the text has no %q:\n%s", f.Name, text.String())
		}
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}

func TestScenarios(t *testing.T) {
	t.Parallel()
	for scenario, test := range map[bench.Scenario]struct {
		figures  []string
		expected uint64
	}{
		bench.Idle:    {[]string{bench.IdleCPU, bench.ConnectRate}, 0},
		bench.Connect: {[]string{bench.ConnectRate, bench.ConnectCPU}, 0},
		bench.Fanout:  {[]string{bench.StepCPU, bench.BurstCPU, bench.BurstRate}, 20 * (3 + 8 + 4*5)},
		bench.Rooms:   {[]string{bench.RoomCPU, bench.PublishCPU}, 3 * (8 + 1)},
		bench.Slow:    {[]string{bench.SlowFactor, bench.StalledDisconnected}, 19 * (3 + 20 + 2*8*8)},
		bench.Echo:    {[]string{bench.EventCPU, bench.EventRate}, 0},
	} {
		t.Run(string(scenario), func(t *testing.T) {
			t.Parallel()
			r := run(t, small(scenario, serve(t, nil)))
			mustBeGood(t, r, test.figures...)
			if test.expected > 0 && r.Delivery.Expected != test.expected {
				t.Errorf("%d messages were expected, it should be %d", r.Delivery.Expected, test.expected)
			}
		})
	}
}

func TestPolling(t *testing.T) {
	t.Parallel()
	o := small(bench.Fanout, serve(t, nil))
	o.Transport = bench.Polling
	mustBeGood(t, run(t, o), bench.StepCPU)
}

func TestCluster(t *testing.T) {
	t.Parallel()
	// One server plays both nodes: what matters here is that another connection publishes.
	url := serve(t, nil)
	o := small(bench.Cluster, url)
	o.PublishURL, o.PublishPID = url, os.Getpid()
	mustBeGood(t, run(t, o), bench.StepCPU, bench.PublisherCPU)
}

func TestPealServe(t *testing.T) {
	t.Parallel()
	node, err := gateway.Start(t.Context(), gateway.Config{Listen: "127.0.0.1:0", Dev: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := node.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	for _, transport := range []bench.Transport{bench.WebSocket, bench.Polling, bench.SSE} {
		for _, scenario := range []bench.Scenario{bench.Fanout, bench.Rooms} {
			o := small(scenario, node.URL())
			o.Dialect, o.Transport = bench.Peal, transport
			mustBeGood(t, run(t, o))
		}
	}
}

// A server that lies is found out, and told of what.
func TestLiars(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		scenario bench.Scenario
		lie      func(*socketio.Server, handlers)
		check    func(bench.Delivery) bool
	}{
		"loses": {bench.Fanout, broadcasts(func(n int, data string, emit func(string)) {
			if n != 6 {
				emit(data)
			}
		}), func(d bench.Delivery) bool { return d.Lost > 0 && d.Duplicated+d.Reordered+d.Strange == 0 }},
		"loses one client's": {bench.Fanout, func(io *socketio.Server, on handlers) {
			on["broadcast"] = func(ctx context.Context, s *socketio.Socket, data string) error {
				return s.Broadcast().Emit(ctx, "broadcast", data)
			}
		}, func(d bench.Delivery) bool { return d.Lost == 1 && d.Received == 19 }},
		"repeats": {bench.Fanout, broadcasts(func(n int, data string, emit func(string)) {
			emit(data)
			if n == 6 {
				emit(data)
			}
		}), func(d bench.Delivery) bool { return d.Duplicated == 20 && d.Lost == 0 }},
		"reorders": {bench.Fanout, reorder(), func(d bench.Delivery) bool {
			return d.Reordered > 0 && d.Lost+d.Duplicated == 0
		}},
		"invents": {bench.Fanout, broadcasts(func(n int, data string, emit func(string)) {
			emit(data)
			if n == 6 {
				emit(strings.Replace(data, data[5:13], "00000000", 1))
			}
		}), func(d bench.Delivery) bool { return d.Strange == 20 && d.Lost == 0 }},
		"misdirects": {bench.Rooms, func(io *socketio.Server, on handlers) {
			on["publish"] = func(ctx context.Context, _, data string) error { return io.Emit(ctx, "broadcast", data) }
		}, func(d bench.Delivery) bool { return d.Misdirected == 9*17 && d.Lost == 0 }},
		"answers what was not asked": {bench.Echo, func(io *socketio.Server, on handlers) {
			on["echo"] = func(data string) string { return strings.Replace(data, data[5:13], "00000000", 1) }
		}, func(d bench.Delivery) bool { return d.Strange > 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := small(test.scenario, serve(t, test.lie))
			o.Patience, o.Settle = 100*time.Millisecond, 100*time.Millisecond
			r, err := bench.Run(t.Context(), o)
			if test.scenario == bench.Echo && err != nil {
				return // nothing was acknowledged, which is the truth as well
			}
			if err != nil {
				t.Fatal(err)
			}
			if r.Delivery.Perfect() || len(r.Problems) == 0 || !test.check(r.Delivery) {
				t.Errorf("%+v, %q", r.Delivery, r.Problems)
			}
		})
	}
}

// broadcasts replaces the handler of broadcasts by one that decides on the nth what to emit.
func broadcasts(decide func(n int, data string, emit func(string))) func(*socketio.Server, handlers) {
	return func(io *socketio.Server, on handlers) {
		n := 0 // one client sends them all, and its events are handled one at a time
		on["broadcast"] = func(ctx context.Context, data string) (err error) {
			decide(n, data, func(d string) { err = errors.Join(err, io.Emit(ctx, "broadcast", d)) })
			n++
			return err
		}
	}
}

// reorder swaps two messages of the first burst.
func reorder() func(*socketio.Server, handlers) {
	const first = 3 + 8 // behind the warm-up and the steps
	held := ""
	return broadcasts(func(n int, data string, emit func(string)) {
		if n == first {
			held = data
			return
		}
		emit(data)
		if n == first+1 {
			emit(held)
		}
	})
}

func TestServerThatDropsClients(t *testing.T) {
	t.Parallel()
	o := small(bench.Fanout, serve(t, func(io *socketio.Server, on handlers) {
		var once sync.Once
		on["broadcast"] = func(ctx context.Context, s *socketio.Socket, data string) error {
			once.Do(func() {
				for other := range io.Sockets() {
					if other.ID() != s.ID() {
						_ = other.Disconnect(ctx, true)
						break
					}
				}
			})
			return io.Emit(ctx, "broadcast", data)
		}
	}))
	o.Patience = 100 * time.Millisecond
	r := run(t, o)
	if len(r.Problems) != 2 || !strings.Contains(r.Problems[1], "1 clients lost their connection") {
		t.Errorf("%q", r.Problems)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	good := func() *bench.Options { return small(bench.Fanout, "http://127.0.0.1:1") }
	for want, change := range map[string]func(*bench.Options){
		"not on the loopback":      func(o *bench.Options) { o.URL = "http://192.0.2.1:80" },
		"no scenario":              func(o *bench.Options) { o.Scenario = "dance" },
		"no transport":             func(o *bench.Options) { o.Transport = "pigeon" },
		"no dialect":               func(o *bench.Options) { o.Dialect = "klingon" },
		"either the URL":           func(o *bench.Options) { o.Command = "true" },
		"is no URL":                func(o *bench.Options) { o.URL = "https://127.0.0.1" },
		"second node":              func(o *bench.Options) { o.Scenario = bench.Cluster },
		"do not use the transport": func(o *bench.Options) { o.Transport = bench.SSE },
		"receive only": func(o *bench.Options) {
			o.Scenario, o.Transport, o.Dialect = bench.Echo, bench.SSE, bench.Mercure
		},
		"no event that is echoed": func(o *bench.Options) { o.Scenario, o.Dialect = bench.Echo, bench.Peal },
		"over WebSocket only":     func(o *bench.Options) { o.Scenario, o.Transport = bench.Echo, bench.Polling },
		"knows no rooms":          func(o *bench.Options) { o.Scenario, o.Dialect = bench.Rooms, bench.Floor },
		"needs 45 bytes":          func(o *bench.Options) { o.Size = 10 },
		"must be positive":        func(o *bench.Options) { o.Clients = -1 },
		"one that stalls":         func(o *bench.Options) { o.Scenario, o.Clients, o.Rooms, o.RoomSize = bench.Slow, 1, 1, 1 },
		"at least as many":        func(o *bench.Options) { o.RoomSize = 1000 },
		"between 0 and 1":         func(o *bench.Options) { o.Stalled = 1 },
		"raise the limit":         func(o *bench.Options) { o.Clients = 1 << 29 },
		"refused":                 func(*bench.Options) {},
		"without saying":          func(o *bench.Options) { o.URL, o.Command = "", "true" },
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			o := good()
			change(o)
			if _, err := bench.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("enough")
	o := small(bench.Fanout, serve(t, func(io *socketio.Server, on handlers) {
		on["broadcast"] = func(string) { cancel(reason) }
	}))
	if _, err := bench.Run(ctx, o); !errors.Is(err, reason) {
		t.Errorf("got %v", err)
	}
	o = small(bench.Idle, serve(t, nil))
	o.Window, o.Timeout = time.Hour, 50*time.Millisecond
	if _, err := bench.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "longer than 50ms") {
		t.Errorf("got %v", err)
	}
}
