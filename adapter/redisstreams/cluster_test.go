package redisstreams_test

import (
	"fmt"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/redisstreams"
	"github.com/peal-dev/peal/internal/testredis"
	"github.com/peal-dev/peal/message"
)

// TestStreamMoves moves the slots of the stream and of the namespace's channel to other servers of a Redis Cluster while there
// is traffic: every message comes, once and in order, and calls are answered afterwards.
func TestStreamMoves(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]redisstreams.Options{"channels": {}, "shard channels": {ShardedPubSub: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := testredis.StartCluster(t)
			opts.URL = cluster.URL()
			near, _ := newAdapter(t, newDriver(t, opts), "near")
			driver := newDriver(t, opts)
			_, m := newAdapter(t, driver, "far")
			stop, sent := make(chan struct{}), make(chan int, 1)
			go func() {
				n := 0
				defer func() { sent <- n }()
				for {
					select {
					case <-stop:
						return
					default:
					}
					if err := near.Broadcast(t.Context(), newMessage(fmt.Sprint(n)), message.Target{}); err != nil {
						t.Errorf("broadcast %d: %v", n, err)
						return
					}
					n++
				}
			}()
			m.Next(t)
			for range 3 {
				for _, key := range []string{redisstreams.DefaultStreamName, "socket.io#/#"} {
					cluster.Migrate(key)
				}
			}
			close(stop)
			n := <-sent
			send(t, near, n, 1)
			requireReceived(t, m, fmt.Sprint(n), numbers(1, n-1))
			if s := driver.Stats(); s.Lost != 0 {
				t.Errorf("%d messages are said to be lost", s.Lost)
			}
			for near.Ping(t.Context()) != nil { // the channels are at other servers
			}
			awaitNodes(t, near, 2)
		})
	}
}

// awaitNodes waits until a node counts so many. It is asked again and again: no event tells.
func awaitNodes(t *testing.T, a *adapter.Adapter, want int) {
	t.Helper()
	for {
		n, err := a.Nodes(t.Context())
		if err == nil && n == want {
			return
		}
		if t.Context().Err() != nil {
			t.Fatalf("%d nodes, %v; want %d", n, err, want)
		}
	}
}
