package redispubsub_test

import (
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/internal/testredis"
	"github.com/peal-dev/peal/message"
)

// BenchmarkPublish measures a broadcast from Broadcast to the answer of Redis, with another node that receives it.
func BenchmarkPublish(b *testing.B) {
	server := testredis.Start(b)
	a, err := adapter.New(b.Context(), "/", newDriver(b, redispubsub.Options{URL: server.URL()}), nil)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := adapter.New(b.Context(), "/", newDriver(b, redispubsub.Options{URL: server.URL()}), nil); err != nil {
		b.Fatal(err)
	}
	m := message.New([]byte(`["tick",{"symbol":"ACME","price":12.25}]`))
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := a.Broadcast(b.Context(), m, message.Target{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("many", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(64)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := a.Broadcast(b.Context(), m, message.Target{}); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

// BenchmarkReceive measures what a message of another node costs from its publishing to its member here.
func BenchmarkReceive(b *testing.B) {
	server := testredis.Start(b)
	from, err := adapter.New(b.Context(), "/", newDriver(b, redispubsub.Options{URL: server.URL()}), nil)
	if err != nil {
		b.Fatal(err)
	}
	to, err := adapter.New(b.Context(), "/", newDriver(b, redispubsub.Options{URL: server.URL()}), nil)
	if err != nil {
		b.Fatal(err)
	}
	got := make(counter, 1<<16)
	if _, err := to.Add(b.Context(), got); err != nil {
		b.Fatal(err)
	}
	m := message.New([]byte(`["tick",{"symbol":"ACME","price":12.25}]`))
	b.Run("one", func(b *testing.B) {
		for b.Loop() {
			if err := from.Broadcast(b.Context(), m, message.Target{}); err != nil {
				b.Fatal(err)
			}
			<-got
		}
	})
	b.Run("many", func(b *testing.B) {
		b.SetParallelism(64)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := from.Broadcast(b.Context(), m, message.Target{}); err != nil {
					b.Error(err)
				}
				<-got
			}
		})
	})
}

// counter is a member that tells of each message.
type counter chan struct{}

func (counter) ID() string                 { return "counter" }
func (c counter) Deliver(*message.Message) { c <- struct{}{} }
func (counter) Disconnect(bool)            {}

// BenchmarkCall measures a question to one other node, from Call to its end: counting the nodes, asking, the answer.
func BenchmarkCall(b *testing.B) {
	server := testredis.Start(b)
	a, err := adapter.New(b.Context(), "/", newDriver(b, redispubsub.Options{URL: server.URL()}), nil)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := adapter.New(b.Context(), "/", newDriver(b, redispubsub.Options{URL: server.URL()}), nil); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Call(b.Context(), &adapter.Call{Kind: adapter.CallRooms}, func(adapter.Answer) {}); err != nil {
			b.Fatal(err)
		}
	}
}
