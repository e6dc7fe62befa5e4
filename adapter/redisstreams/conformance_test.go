package redisstreams_test

import (
	"context"
	"log/slog"
	"testing"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/adapter/redisstreams"
	"github.com/peal-dev/peal/internal/testredis"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newDriver returns a driver that is closed at the end of t. Its log is thrown away unless opts has a logger.
func newDriver(t testing.TB, opts redisstreams.Options) *redisstreams.Driver {
	t.Helper()
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	d, err := redisstreams.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return d
}

// conform runs the suites. The nodes of a cluster meet at several servers if there are.
func conform(t *testing.T, opts redisstreams.Options, servers ...*testredis.Server) {
	drivers := func(t *testing.T, nodes int) []adapter.Driver {
		drivers := make([]adapter.Driver, nodes)
		for i := range drivers {
			opts.URL = servers[i%len(servers)].URL()
			// The test's name keeps the clusters of one server apart.
			opts.StreamName, opts.ChannelPrefix, opts.SessionPrefix = t.Name(), t.Name(), t.Name()
			drivers[i] = newDriver(t, opts)
		}
		return drivers
	}
	adaptertest.Run(t, drivers)
	adaptertest.RunSequencer(t, drivers)
}

func TestConformance(t *testing.T) { conform(t, redisstreams.Options{}, testredis.Start(t)) }

// TestConformanceOnCluster has the streams and channels on whichever servers have their slots.
func TestConformanceOnCluster(t *testing.T) {
	servers := testredis.StartCluster(t).Servers()
	t.Run("channels", func(t *testing.T) { conform(t, redisstreams.Options{StreamCount: 3}, servers...) })
	t.Run("shard channels", func(t *testing.T) { conform(t, redisstreams.Options{ShardedPubSub: true}, servers...) })
}
