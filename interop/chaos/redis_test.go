package chaos_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/internal/faultproxy"
	"github.com/peal-dev/peal/internal/testredis"
	"github.com/peal-dev/peal/interop/chaos"
	"github.com/peal-dev/peal/interop/wire"
)

// redisFaults are those that a Redis has of its own.
var redisFaults = []fault{
	{"subscribers killed", redis(func(s *testredis.Server) { s.Do("CLIENT", "KILL", "TYPE", "pubsub") }), gap},
	{"publishers killed", redis(func(s *testredis.Server) { s.Do("CLIENT", "KILL", "TYPE", "normal") }), doubtful},
	{"all killed again and again", redis(killAll), gap},
	{"output buffers full", overflow, gap},
}

// redis has something happen to a Redis, at once.
func redis(do func(*testredis.Server)) func(*testing.T, *wire.Wire, *chaos.Options) {
	return func(t *testing.T, _ *wire.Wire, o *chaos.Options) {
		s := testredis.Start(t)
		for range nodes {
			o.URLs = append(o.URLs, s.URL())
		}
		o.Fault = func() func() time.Time { do(s); return ended(func() {}) }
	}
}

func killAll(s *testredis.Server) {
	for range 10 {
		s.Do("CLIENT", "KILL", "TYPE", "pubsub")
		s.Do("CLIENT", "KILL", "TYPE", "normal")
	}
}

// overflow has more wait for a node that does not read than Redis keeps for it: Redis ends the connection.
func overflow(t *testing.T, w *wire.Wire, o *chaos.Options) {
	s := testredis.Start(t)
	s.Do("CONFIG", "SET", "client-output-buffer-limit", "pubsub 24mb 0 0")
	o.Hit = 1
	p := faultproxy.Start(t, s.Addr())
	o.URLs = []string{"redis://" + p.Addr(), s.URL(), s.URL()}
	o.Fault = func() func() time.Time {
		p.Hold()
		for range 64 {
			s.Do(append(slices.Clone(w.Flood), strings.Repeat("x", 1<<20))...)
		}
		return ended(p.Release)
	}
}

// failovers are what may happen to a primary that sentinels watch. The broker is back when there is another.
var failovers = []fault{
	{"by command", failover(func(s *testredis.Sentinel, _ *testredis.Server) (end func()) { s.Failover(); return func() {} }), gap},
	{"by kill", failover(func(_ *testredis.Sentinel, p *testredis.Server) (end func()) { p.Stop(); return p.Restart }), gap},
	{"by stop", failover(func(_ *testredis.Sentinel, p *testredis.Server) (end func()) { p.Pause(); return p.Resume }), gap},
}

func failover(begin func(s *testredis.Sentinel, primary *testredis.Server) (end func())) func(*testing.T, *wire.Wire, *chaos.Options) {
	return func(t *testing.T, _ *wire.Wire, o *chaos.Options) {
		s := testredis.StartSentinel(t)
		for range nodes {
			o.URLs = append(o.URLs, s.URL())
		}
		o.Fault = func() func() time.Time {
			primary := s.Primary()
			end := begin(s, primary)
			s.AwaitPrimary(primary)
			back := time.Now()
			return func() time.Time { end(); return back }
		}
	}
}

// resharding is what may happen to a Redis Cluster, to those who listen on shard channels.
var resharding = []fault{
	{"slots migrated", migrate(1), gap},
	{"slots migrated again and again", migrate(3), gap},
}

// migrate has the slots of the channels move to other servers, that many times, while messages go over them.
func migrate(times int) func(*testing.T, *wire.Wire, *chaos.Options) {
	return func(t *testing.T, w *wire.Wire, o *chaos.Options) {
		c := testredis.StartCluster(t)
		for i := range nodes {
			o.URLs = append(o.URLs, c.Servers()[i%len(c.Servers())].URL())
		}
		o.Fault = func() func() time.Time {
			var told time.Time
			for range times {
				for _, channel := range w.Shards {
					told = c.Migrate(channel)
				}
			}
			return func() time.Time { return told }
		}
	}
}

func TestRedis(t *testing.T) {
	t.Parallel()
	for i := range wire.All {
		w := &wire.All[i]
		if !w.Redis {
			continue
		}
		play(t, w, redisFaults)
		play(t, w, failovers)
		if len(w.Shards) > 0 {
			play(t, w, resharding)
		}
	}
}
