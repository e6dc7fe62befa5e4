package mongodb_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/adapter/mongodb"
	"github.com/peal-dev/peal/internal/testmongo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newDriver returns a driver that is closed at the end of t. Its log is thrown away unless opts has a logger.
func newDriver(t testing.TB, opts mongodb.Options) *mongodb.Driver {
	t.Helper()
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	d, err := mongodb.New(opts)
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

func TestConformance(t *testing.T) {
	server := testmongo.Start(t)
	for name, ttl := range map[string]time.Duration{"capped": 0, "ttl": time.Hour} {
		t.Run(name, func(t *testing.T) {
			var clusters atomic.Int64
			adaptertest.Run(t, func(t *testing.T, nodes int) []adapter.Driver {
				// A collection of its own keeps the clusters of one server apart.
				collection := fmt.Sprint(name, clusters.Add(1))
				drivers := make([]adapter.Driver, nodes)
				for i := range drivers {
					drivers[i] = newDriver(t, mongodb.Options{URL: server.URL(), Collection: collection, TTL: ttl})
				}
				return drivers
			})
		})
	}
}
