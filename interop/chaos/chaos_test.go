package chaos_test

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/internal/faultproxy"
	"github.com/peal-dev/peal/interop/chaos"
	"github.com/peal-dev/peal/interop/wire"
)

// hold is how long each fault lasts; `make chaos` has it longer.
var hold = flag.Duration("hold", time.Second, "how long each fault lasts")

// healing is how soon after a fault everything arrives again.
const healing = 2 * time.Second

func TestMain(m *testing.M) {
	flag.Parse()
	_ = flag.Set("test.parallel", "8") // they wait, mostly
	fmt.Fprintln(os.Stderr, "each fault lasts", *hold)
	goleak.VerifyTestMain(m)
}

// nodes is how many each cluster has, and rate how much each of them publishes to each audience.
const (
	nodes = 3
	rate  = 100
)

// fault is something that happens between nodes and broker.
type fault struct {
	name string
	// play makes it happen for o.
	play   func(t *testing.T, w *wire.Wire, o *chaos.Options)
	effect effect
}

// effect is what a fault may do.
type effect int

const (
	harmless effect = iota // nothing is lost, and nothing refused
	doubtful               // something may be
	gap                    // and some node finds that something may be missing, or the fault did not happen
)

// standalone are what may happen with one broker.
var standalone = []fault{
	{"restarted", broker(wire.Server.Stop, wire.Server.Restart), gap},
	{"hanging", broker(wire.Server.Pause, wire.Server.Resume), doubtful},
	{"cut", network(0, (*faultproxy.Proxy).Cut, nothing), gap},
	{"one node cut", network(1, (*faultproxy.Proxy).Cut, nothing), gap},
	{"split", among(2*half, half, both((*faultproxy.Proxy).Refuse, (*faultproxy.Proxy).Cut), (*faultproxy.Proxy).Admit), gap},
	{"unreachable", network(0, both((*faultproxy.Proxy).Refuse, (*faultproxy.Proxy).Cut), (*faultproxy.Proxy).Admit), gap},
	{"stalled", network(0, (*faultproxy.Proxy).Hold, (*faultproxy.Proxy).Release), doubtful},
	{"one node stalled", network(1, (*faultproxy.Proxy).Hold, (*faultproxy.Proxy).Release), doubtful},
	{"blackholed", network(0, (*faultproxy.Proxy).Lose, (*faultproxy.Proxy).Find), gap},
	{"one node blackholed", network(1, (*faultproxy.Proxy).Lose, (*faultproxy.Proxy).Find), gap},
	{"half-open", network(0, (*faultproxy.Proxy).HalfOpen, nothing), gap},
	{"one node half-open", network(1, (*faultproxy.Proxy).HalfOpen, nothing), gap},
	{"delayed", network(0, slow, fast), harmless},
}

// ended is the end of a fault behind which the broker is back.
func ended(end func()) func() time.Time { return func() time.Time { end(); return time.Now() } }

func nothing(*faultproxy.Proxy) {}

func both(first, second func(*faultproxy.Proxy)) func(*faultproxy.Proxy) {
	return func(p *faultproxy.Proxy) { first(p); second(p) }
}

// delay is that of a link around the world, each way.
const delay = 150 * time.Millisecond

func slow(p *faultproxy.Proxy) { p.Delay(delay) }
func fast(p *faultproxy.Proxy) { p.Delay(0) }

// broker has something happen to the broker itself.
func broker(begin, end func(wire.Server)) func(*testing.T, *wire.Wire, *chaos.Options) {
	return func(t *testing.T, w *wire.Wire, o *chaos.Options) {
		b := w.Start(t).(wire.Server)
		for range nodes {
			o.URLs = append(o.URLs, b.URL())
		}
		o.Fault = func() func() time.Time { begin(b); return ended(func() { end(b) }) }
	}
}

// half is that of the nodes that lose the others in a split.
const half = 2

// network has something happen on the way of the first nodes to the broker, or of all if it is 0.
func network(hit int, begin, end func(*faultproxy.Proxy)) func(*testing.T, *wire.Wire, *chaos.Options) {
	return among(nodes, hit, begin, end)
}

// among is network with that many nodes.
func among(count, hit int, begin, end func(*faultproxy.Proxy)) func(*testing.T, *wire.Wire, *chaos.Options) {
	return func(t *testing.T, w *wire.Wire, o *chaos.Options) {
		b := w.Start(t).(wire.Server)
		var proxies []*faultproxy.Proxy
		for range count {
			p := faultproxy.Start(t, b.Addr())
			proxies = append(proxies, p)
			o.URLs = append(o.URLs, wire.Through(b, p.Addr()))
		}
		if o.Hit = hit; hit > 0 {
			proxies = proxies[:hit]
		}
		each := func(do func(*faultproxy.Proxy)) {
			for _, p := range proxies {
				do(p)
			}
		}
		o.Fault = func() func() time.Time { each(begin); return ended(func() { each(end) }) }
	}
}

func TestStandalone(t *testing.T) {
	t.Parallel()
	for i := range wire.All {
		if w := &wire.All[i]; !w.Alone {
			play(t, w, standalone)
		}
	}
}

func play(t *testing.T, w *wire.Wire, faults []fault) {
	t.Run(w.Name, func(t *testing.T) {
		t.Parallel()
		playEach(t, w, faults)
	})
}

func playEach(t *testing.T, w *wire.Wire, faults []fault) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			if w.Rate == 0 { // else it is the server's own time that would be measured
				t.Parallel()
			}
			o := chaos.Options{Wire: w, Rate: cmp.Or(w.Rate, rate), Hold: *hold}
			f.play(t, w, &o)
			r := chaos.Run(t, o)
			t.Log(r, r.Error)
			bad := r.Twice+r.Disordered+r.Local+r.Aside+r.Unsaid > 0 || r.Heal > healing || f.effect == harmless && r.Lost+r.Refused > 0
			if w.Counts && r.Found != uint64(r.Lost) {
				t.Errorf("%s: %d were lost, and %d are known to be", f.name, r.Lost, r.Found)
			}
			if w.Resumes {
				bad = bad || r.Lost > 0 || r.Gaps > 0
			} else {
				bad = bad || f.effect == gap && r.Gaps == 0
			}
			if bad {
				t.Errorf("%s: %v", f.name, r)
			}
		})
	}
}
