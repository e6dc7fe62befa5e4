package redispubsub_test

import (
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/internal/testredis"
)

// TestConformanceOnCluster has each node of a cluster meet the others by another server of a Redis Cluster, which passes on
// what is published, and counts its own subscribers only.
func TestConformanceOnCluster(t *testing.T) {
	servers := testredis.StartCluster(t).Servers()
	adaptertest.Run(t, func(t *testing.T, nodes int) []adapter.Driver {
		drivers := make([]adapter.Driver, nodes)
		for i := range drivers {
			drivers[i] = newDriver(t, redispubsub.Options{URL: servers[i%len(servers)].URL(), Key: t.Name()})
		}
		return drivers
	})
}
