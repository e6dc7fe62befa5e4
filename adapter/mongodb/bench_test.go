package mongodb_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/mongodb"
	"github.com/peal-dev/peal/internal/testmongo"
	"github.com/peal-dev/peal/message"
)

// benchNodes returns the adapters of two nodes, with collections whose documents are removed by their age: the server of the
// tests reads a capped one as a whole with each insertion.
func benchNodes(b *testing.B, to adapter.Member) (from *adapter.Adapter) {
	b.Helper()
	server := testmongo.Start(b)
	var adapters [2]*adapter.Adapter
	for i := range adapters {
		a, err := adapter.New(b.Context(), "/", newDriver(b, mongodb.Options{URL: server.URL(), TTL: time.Hour}), nil)
		if err != nil {
			b.Fatal(err)
		}
		adapters[i] = a
	}
	if _, err := adapters[1].Add(b.Context(), to); err != nil {
		b.Fatal(err)
	}
	return adapters[0]
}

// receipts is a member that tells when messages come that say when they were published.
type receipts chan time.Duration

func (receipts) ID() string      { return "receipts" }
func (receipts) Disconnect(bool) {}
func (r receipts) Deliver(m *message.Message) {
	published, _ := strconv.ParseInt(m.Event(), 10, 64) // of our own making
	r <- time.Since(time.Unix(0, published))
}

// stamped returns a message of 100 bytes that says that it is published now.
func stamped() *message.Message {
	now := strconv.FormatInt(time.Now().UnixNano(), 10)
	return message.New(fmt.Appendf(nil, `[%q,%q]`, now, strings.Repeat("x", 100-len(now)-7)))
}

// BenchmarkReceive measures what a message of 100 bytes of another node costs from its publishing to its member here: one
// after another, and as many at once as fill batches.
func BenchmarkReceive(b *testing.B) {
	got := make(receipts, 1<<16)
	from := benchNodes(b, got)
	b.Run("one", func(b *testing.B) {
		for b.Loop() {
			if err := from.Broadcast(b.Context(), stamped(), message.Target{}); err != nil {
				b.Fatal(err)
			}
			<-got
		}
	})
	b.Run("many", func(b *testing.B) {
		b.SetParallelism(128)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := from.Broadcast(b.Context(), stamped(), message.Target{}); err != nil {
					b.Error(err)
				}
				<-got
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	})
}

// BenchmarkDelivery measures how long a message of 100 bytes is under way at so many in a second, from Broadcast on another
// node to its member here: half of them no longer than p50, 99 of 100 no longer than p99.
func BenchmarkDelivery(b *testing.B) {
	got := make(receipts, 1<<16)
	from := benchNodes(b, got)
	for _, rate := range []int{100, 1000} {
		b.Run(fmt.Sprint(rate, " per second"), func(b *testing.B) {
			ticker := time.NewTicker(time.Second / time.Duration(rate))
			defer ticker.Stop()
			var publishing sync.WaitGroup
			for b.Loop() {
				<-ticker.C
				publishing.Go(func() {
					if err := from.Broadcast(b.Context(), stamped(), message.Target{}); err != nil {
						b.Error(err)
					}
				})
			}
			publishing.Wait()
			took := make([]time.Duration, b.N)
			for i := range took {
				took[i] = <-got
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}
