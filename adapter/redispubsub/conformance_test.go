package redispubsub_test

import (
	"context"
	"log/slog"
	"strings"
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

// startReplica starts a replica of master: subscribers of the two are not counted together, so Peal nodes speak as Node.js nodes do.
func startReplica(t testing.TB, master *testredis.Server) *testredis.Server {
	t.Helper()
	replica := testredis.Start(t)
	host, port, _ := strings.Cut(master.Addr(), ":")
	master.Do("CONFIG", "SET", "repl-diskless-sync-delay", "0")
	replica.Do("REPLICAOF", host, port)
	if got := master.Do("WAIT", "1", "20000"); got != "1" {
		t.Fatalf("%s replicas", got)
	}
	return replica
}

func TestConformance(t *testing.T) {
	for _, speech := range []string{"frames", "as Node.js nodes"} {
		t.Run(speech, func(t *testing.T) {
			server := testredis.Start(t)
			if speech != "frames" {
				startReplica(t, server)
			}
			adaptertest.Run(t, func(t *testing.T, nodes int) []adapter.Driver {
				drivers := make([]adapter.Driver, nodes)
				for i := range drivers {
					// The test's name keeps the clusters of one server apart.
					drivers[i] = newDriver(t, redispubsub.Options{URL: server.URL(), Key: t.Name()})
				}
				return drivers
			})
		})
	}
}
