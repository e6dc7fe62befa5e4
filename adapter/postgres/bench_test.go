package postgres_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/postgres"
	"github.com/peal-dev/peal/internal/testpostgres"
	"github.com/peal-dev/peal/message"
)

// sink is a member that counts what it gets, and how long after it was published.
type sink struct {
	want chan<- time.Duration
}

func (s sink) ID() string { return "sink" }

func (s sink) Deliver(m *message.Message) {
	var args []json.Number // ["tick", sent, …], of which the name is no number
	if err := json.Unmarshal([]byte("["+strings.SplitN(string(m.Data), ",", 3)[1]+"]"), &args); err != nil {
		panic(err)
	}
	sent, err := args[0].Int64()
	if err != nil {
		panic(err)
	}
	s.want <- time.Duration(time.Now().UnixNano() - sent)
}

func (sink) Disconnect(bool) {}

// tick returns a message of about 100 bytes that says when it was made.
func tick() *message.Message {
	return message.New(fmt.Appendf(nil, `["tick",%d,"%s"]`, time.Now().UnixNano(), strings.Repeat("x", 100-32)))
}

// benchPair is a node that publishes and one that receives, on a server that writes to its disk as in production.
func benchPair(b *testing.B) (from *adapter.Adapter, arrived <-chan time.Duration) {
	server := testpostgres.Start(b, "fsync=on", "shared_buffers=128MB")
	from, err := adapter.New(b.Context(), "/", open(b, postgres.Options{URL: server.URL()}), nil)
	if err != nil {
		b.Fatal(err)
	}
	to, err := adapter.New(b.Context(), "/", open(b, postgres.Options{URL: server.URL()}), nil)
	if err != nil {
		b.Fatal(err)
	}
	ch := make(chan time.Duration, 1<<20)
	if _, err := to.Add(b.Context(), sink{ch}); err != nil {
		b.Fatal(err)
	}
	return from, ch
}

// BenchmarkThroughput measures messages of 100 bytes from many publishers on one node to a member on another.
func BenchmarkThroughput(b *testing.B) {
	from, arrived := benchPair(b)
	b.SetParallelism(64)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := from.Broadcast(b.Context(), tick(), message.Target{}); err != nil {
				b.Error(err)
			}
			<-arrived
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkLatency measures the time from publish to delivery on another node, at a steady rate.
func BenchmarkLatency(b *testing.B) {
	for _, rate := range []int{100, 1000} {
		b.Run(fmt.Sprint(rate, "per second"), func(b *testing.B) {
			from, arrived := benchPair(b)
			ticker := time.NewTicker(time.Second / time.Duration(rate))
			defer ticker.Stop()
			var took []time.Duration
			b.ResetTimer()
			for range b.N {
				<-ticker.C
				if err := from.Broadcast(b.Context(), tick(), message.Target{}); err != nil {
					b.Fatal(err)
				}
				took = append(took, <-arrived)
			}
			b.StopTimer()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(0, "ns/op")
		})
	}
}
