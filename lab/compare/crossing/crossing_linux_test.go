package crossing_test

import (
	"context"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/bench"
	"github.com/peal-dev/peal/gateway"
	"github.com/peal-dev/peal/lab/compare/crossing"
	"github.com/peal-dev/peal/socketio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// publish is what a server does with a publication.
type publish func(ctx context.Context, io *socketio.Server, s *socketio.Socket, room, data string) error

// honest does what it is asked to.
func honest(ctx context.Context, io *socketio.Server, _ *socketio.Socket, room, data string) error {
	return io.To(room).Emit(ctx, "broadcast", data)
}

// serve starts a server with the load generator's events.
func serve(t *testing.T, do publish) crossing.Node {
	t.Helper()
	io := socketio.NewServer(nil)
	io.On("join", func(ctx context.Context, s *socketio.Socket, rooms ...string) (bool, error) {
		return true, s.Join(ctx, rooms...)
	})
	io.On("publish", func(ctx context.Context, s *socketio.Socket, room, data string) error {
		return do(ctx, io, s, room, data)
	})
	ts := httptest.NewServer(io)
	t.Cleanup(func() {
		if err := io.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		ts.Close()
	})
	return node(t, ts.URL)
}

// node is a node in this process.
func node(t *testing.T, url string) crossing.Node {
	t.Helper()
	addr, err := netip.ParseAddrPort(strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	return crossing.Node{Addr: addr, PID: os.Getpid()}
}

// small has few clients, and the patience of a busy machine.
var small = crossing.Options{Rooms: 6, Publishers: 4, Patience: time.Minute}

// open has one server play all nodes: what matters is who publishes and who receives.
func open(t *testing.T, n crossing.Node, d bench.Dialect, o crossing.Options) *crossing.Field {
	t.Helper()
	c := crossing.Cluster{Dialect: d, Publishing: n, Members: n, Bystander: n, Broker: os.Getpid()}
	f, err := crossing.Open(t.Context(), c, o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// loads are one of each kind.
var loads = map[string]crossing.Load{
	"paced":                 {Rate: 500, Seconds: 0.2},
	"paced, to all":         {Rate: 100, Seconds: 0.2, ToAll: true},
	"what goes through":     {Window: 10, Seconds: 0.1},
	"what goes to all":      {Window: 2, Seconds: 0.1, ToAll: true},
	"faster than one might": {Rate: 1_000_000, Seconds: 0.002},
}

func TestLoads(t *testing.T) {
	t.Parallel()
	f := open(t, serve(t, honest), bench.Handlers, small)
	defer f.Close()
	if used, err := f.Rest(t.Context(), time.Millisecond); err != nil || used.Members < 0 || used.Bystander < 0 {
		t.Errorf("at rest: %+v, %v", used, err)
	}
	for name, l := range loads {
		r, err := f.Run(t.Context(), l)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		each := uint64(1)
		if l.ToAll {
			each = uint64(small.Rooms)
		}
		if p := r.Problem(); p != "" || r.Received != uint64(r.Published)*each || r.Published == 0 || l.Rate > 0 && r.Published != r.Asked {
			t.Errorf("%s: %q, %+v", name, p, r)
		}
		if r.P50 <= 0 || r.P99 < r.P50 || r.Took <= 0 || r.Rate() <= 0 || r.Per(r.CPU.Members) <= 0 || r.Per(r.CPU.Broker) <= 0 {
			t.Errorf("%s: %+v, %g/s", name, r, r.Rate())
		}
	}
}

// A server that does not do what it should is found out.
func TestLiars(t *testing.T) {
	t.Parallel()
	for want, lie := range map[string]publish{
		"did not come within": func(ctx context.Context, io *socketio.Server, s *socketio.Socket, room, data string) error {
			if strings.Contains(data, "00000001") { // the second of each room
				return nil
			}
			return honest(ctx, io, s, room, data)
		},
		"came twice": func(ctx context.Context, io *socketio.Server, s *socketio.Socket, room, data string) error {
			_ = honest(ctx, io, s, room, data) // it has no driver that could fail
			return honest(ctx, io, s, room, data)
		},
		"to the wrong client": func(ctx context.Context, io *socketio.Server, _ *socketio.Socket, _, data string) error {
			return io.Emit(ctx, "broadcast", data)
		},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			o := small
			o.Patience = 200 * time.Millisecond // what is lost does not come later
			f := open(t, serve(t, lie), bench.Handlers, o)
			defer f.Close()
			r, err := f.Run(t.Context(), crossing.Load{Rate: 1000, Seconds: 0.1})
			if err != nil {
				t.Fatal(err)
			}
			if p := r.Problem(); !strings.Contains(p, want) || strings.Contains(p, " 0 "+want) {
				t.Errorf("%q, %+v", p, r)
			}
		})
	}
}

// A publisher that is sent away ends the measurement.
func TestDisconnected(t *testing.T) {
	t.Parallel()
	f := open(t, serve(t, func(ctx context.Context, _ *socketio.Server, s *socketio.Socket, _, _ string) error {
		return s.Disconnect(ctx, true)
	}), bench.Handlers, small)
	defer f.Close()
	if r, err := f.Run(t.Context(), crossing.Load{Rate: 1000, Seconds: 0.1}); err == nil {
		t.Errorf("%+v", r)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	n := crossing.Node{Addr: netip.MustParseAddrPort("127.0.0.1:1"), PID: os.Getpid()}
	if _, err := crossing.Open(t.Context(), crossing.Cluster{Dialect: bench.Peal, Publishing: n, Members: n, Bystander: n}, small); err == nil {
		t.Error("nobody listens there")
	}
}

// start starts a node of `peal serve` whose cluster is in a directory.
func start(t *testing.T, dir string) crossing.Node {
	t.Helper()
	n, err := gateway.Start(t.Context(), gateway.Config{Listen: "127.0.0.1:0", Dev: true, Cluster: "unix://" + dir, MaxPublishRate: 1e6})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return node(t, n.URL())
}

// From one node of `peal serve` to another, for messages and for requests.
func TestPealServe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b, c := start(t, dir), start(t, dir), start(t, dir)
	if err := crossing.Known(t.Context(), a, b); err != nil {
		t.Fatal(err)
	}
	for _, h := range []crossing.Hop{{}, {Through: true}, {Polling: true}, {Polling: true, Through: true}} {
		h.Owner, h.Other, h.Clients, h.Rate, h.Seconds, h.Patience = a, b, 3, 100, 0.2, time.Minute
		r, err := h.Measure(t.Context())
		if err != nil {
			t.Fatalf("%+v: %v", h, err)
		}
		for _, cost := range []crossing.HopCost{r.Event, r.Push} {
			if cost.Lost != 0 || cost.P50 <= 0 || cost.P99 < cost.P50 || cost.Owner <= 0 || cost.Other <= 0 {
				t.Errorf("%+v: %+v", h, cost)
			}
		}
	}
	f, err := crossing.Open(t.Context(), crossing.Cluster{Dialect: bench.Peal, Publishing: a, Members: b, Bystander: c}, small)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := f.Run(t.Context(), crossing.Load{Rate: 200, Seconds: 0.2})
	if err != nil {
		t.Fatal(err)
	}
	if p := r.Problem(); p != "" || r.CPU.Broker != 0 {
		t.Errorf("%q, %+v", p, r)
	}
}
