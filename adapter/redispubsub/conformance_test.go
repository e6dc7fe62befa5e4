package redispubsub_test

import (
	"context"
	"log/slog"
	"testing"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/internal/testredis"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newDriver returns a driver that is closed at the end of t. Its log is thrown away unless opts has a logger.
func newDriver(t testing.TB, opts redispubsub.Options) *redispubsub.Driver {
	t.Helper()
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	d, err := redispubsub.New(opts)
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
	server := testredis.Start(t)
	for name, subscribeRooms := range map[string]bool{"namespaces": false, "rooms": true} {
		t.Run(name, func(t *testing.T) {
			adaptertest.Run(t, func(t *testing.T, nodes int) []adapter.Driver {
				drivers := make([]adapter.Driver, nodes)
				for i := range drivers {
					// The test's name keeps the clusters of one server apart.
					drivers[i] = newDriver(t, redispubsub.Options{URL: server.URL(), Key: t.Name(), SubscribeRooms: subscribeRooms})
				}
				return drivers
			})
		})
	}
}
