package redisstreams_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/redisstreams"
	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/internal/testredis"
	"github.com/peal-dev/peal/message"
)

// counting is a member that counts.
type counting struct{ n atomic.Uint64 }

func (*counting) ID() string                 { return "ABCDEFGHIJKLMNOPQRST" }
func (c *counting) Deliver(*message.Message) { c.n.Add(1) }
func (*counting) Disconnect(bool)            {}

// BenchmarkBroadcast is what a broadcast takes until its own node's member has it and the cluster has accepted it: without a
// log, which delivers first, and with the one that nodes share, from one publisher and from many.
func BenchmarkBroadcast(b *testing.B) {
	for name, log := range map[string]eventlog.Log{"alone": nil, "shared": eventlog.NewMemory(nil)} {
		d := newDriver(b, redisstreams.Options{URL: testredis.Start(b).URL()})
		a, err := adapter.New(b.Context(), "/", d, &adapter.Options{Log: log})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = a.Close(context.Background()) })
		m := &counting{}
		if _, err := a.Add(b.Context(), m); err != nil {
			b.Fatal(err)
		}
		one := func() {
			if err := a.Broadcast(context.Background(), message.New([]byte(`["n","some text to carry along"]`)), message.Target{}); err != nil {
				b.Error(err)
			}
		}
		b.Run(name+"/one publisher", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				one()
			}
		})
		b.Run(name+"/many publishers", func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(64)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					one()
				}
			})
		})
	}
}
