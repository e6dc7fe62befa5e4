package redissharded_test

import (
	"context"
	"log/slog"
	"testing"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/adapter/redissharded"
	"github.com/peal-dev/peal/internal/testredis"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newDriver returns a driver that is closed at the end of t. Its log is thrown away unless opts has a logger.
func newDriver(t testing.TB, opts redissharded.Options) *redissharded.Driver {
	t.Helper()
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	d, err := redissharded.New(opts)
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

var modes = []redissharded.Mode{redissharded.Dynamic, redissharded.DynamicPrivate, redissharded.Static}

// conform runs the suite in each mode.
func conform(t *testing.T, url string) {
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			adaptertest.Run(t, func(t *testing.T, nodes int) []adapter.Driver {
				drivers := make([]adapter.Driver, nodes)
				for i := range drivers {
					// The test's name keeps the clusters of one server apart.
					drivers[i] = newDriver(t, redissharded.Options{URL: url, Prefix: t.Name(), Mode: mode})
				}
				return drivers
			})
		})
	}
}

func TestConformance(t *testing.T) { conform(t, testredis.Start(t).URL()) }

func TestConformanceOnCluster(t *testing.T) { conform(t, testredis.StartCluster(t).URL()) }
