package postgres_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/adapter/postgres"
	"github.com/peal-dev/peal/internal/testpostgres"
)

// clusters makes clusters that share a server and nothing else.
var clusters atomic.Int64

func newKey() string { return fmt.Sprint("key", clusters.Add(1)) }

// open returns a driver that ends with the test.
func open(t testing.TB, opts postgres.Options) *postgres.Driver {
	t.Helper()
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	d, err := postgres.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The test's own context has ended by now.
		if err := d.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestConformance(t *testing.T) {
	server := testpostgres.Start(t)
	adaptertest.Run(t, func(t *testing.T, nodes int) []adapter.Driver {
		key := newKey()
		drivers := make([]adapter.Driver, nodes)
		for i := range drivers {
			drivers[i] = open(t, postgres.Options{URL: server.URL(), Key: key})
		}
		return drivers
	})
}
