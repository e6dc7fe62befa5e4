package bench_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/bench"
	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/socketio"
)

// stalling returns options with which 4 of 20 clients stall, twice, and miss 40 messages that do not fit into the kernel.
func stalling(url string) *bench.Options {
	o := small(bench.Slow, url)
	o.Stalled, o.Pairs, o.Rounds, o.Size, o.Interval = 0.2, 2, 40, 16<<10, time.Millisecond
	return o
}

const stallingExpected = 16 * (3 + 20 + 2*2*40)

func withSendBuffer(n int) *socketio.Options {
	return &socketio.Options{Engine: engineio.Options{SendBuffer: n}}
}

// A client that stalls goes through all that there is: the kernel's buffers, the server's queue, and the end of its
// connection.
func TestSlowDisconnects(t *testing.T) {
	t.Parallel()
	r := run(t, stalling(serveWith(t, withSendBuffer(64<<10), nil)))
	mustBeGood(t, r, bench.SlowFactor, bench.SlowFactorLowest, bench.SlowFactorHighest, bench.SlowFactorAll, bench.SlowFactorQuiet, bench.SlowFactorTail, bench.SlowLoad)
	if r.Delivery.Expected != stallingExpected {
		t.Errorf("%d messages were expected, it should be %d", r.Delivery.Expected, stallingExpected)
	}
	for name, want := range map[string]float64{bench.StalledClients: 8, bench.StalledDisconnected: 8, bench.StalledSent: 40, bench.SlowInterval: 1} {
		if got, _ := r.Figure(name); got != want {
			t.Errorf("%s: %g, it should be %g", name, got, want)
		}
	}
	// What the kernel had is all that they found: fewer messages than were sent, less four that the queue takes.
	if got, ok := r.Figure(bench.StalledReceived); !ok || got < 1 || got > 40-4 {
		t.Errorf("clients that were disconnected had %g messages, %v", got, ok)
	}
	if len(r.Pairs) != 2 {
		t.Fatalf("%d pairs", len(r.Pairs))
	}
	lowest, _ := r.Figure(bench.SlowFactorLowest)
	highest, _ := r.Figure(bench.SlowFactorHighest)
	for _, p := range r.Pairs {
		if p.With.Count != 16*40 || p.Without.Count != 16*40 || p.Disconnected != 4 || p.Factor < lowest || p.Factor > highest {
			t.Errorf("%+v", p)
		}
	}
	var text strings.Builder
	if err := r.WriteText(&text); err != nil || !strings.Contains(text.String(), "p99 by p99  disconnected") {
		t.Errorf("%v\n%s", err, text.String())
	}
}

// A server that keeps everything for them disconnects nobody, and they have it all when they read again.
func TestSlowKept(t *testing.T) {
	t.Parallel()
	r := run(t, stalling(serveWith(t, withSendBuffer(64<<20), nil)))
	mustBeGood(t, r, bench.SlowFactor)
	if got, ok := r.Figure(bench.StalledDisconnected); !ok || got != 0 || r.Delivery.Expected != stallingExpected {
		t.Errorf("%g disconnected, %v; %+v", got, ok, r.Delivery)
	}
	if got, ok := r.Figure(bench.StalledReceived); ok {
		t.Errorf("nobody was disconnected with %g messages", got)
	}
}

// With small messages nobody's buffers fill, which the report must not hide.
func TestSlowTooLittle(t *testing.T) {
	t.Parallel()
	o := stalling(serve(t, nil))
	o.Size = 100
	r := run(t, o)
	mustBeGood(t, r)
	if got, ok := r.Figure(bench.StalledDisconnected); !ok || got != 0 {
		t.Errorf("%g disconnected, %v", got, ok)
	}
}

// A server that neither sends clients what they missed nor disconnects them is found out.
func TestSlowHangs(t *testing.T) {
	t.Parallel()
	o := stalling(serve(t, func(io *socketio.Server, on handlers) {
		connected := 0 // one at a time: AtOnce is 1
		io.OnConnect(func(s *socketio.Socket) {
			if connected++; connected > 16 {
				_ = s.Join(s.Context(), "late")
			}
		})
		on["broadcast"] = func(ctx context.Context, data string) error { return io.Except("late").Emit(ctx, "broadcast", data) }
	}))
	o.AtOnce, o.Pairs, o.Patience = 1, 1, time.Second
	r := run(t, o)
	if len(r.Problems) != 1 || !strings.Contains(r.Problems[0], "of 4 stalled clients 0 were disconnected and 0 received the rest") {
		t.Errorf("%q", r.Problems)
	}
}
