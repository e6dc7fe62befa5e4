package filelog_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/eventlog/filelog"
	"github.com/peal-dev/peal/message"
)

// BenchmarkAppend is what a durable append to one of eight topics costs when so many wait at once.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 64, 1024} {
		b.Run(fmt.Sprint("writers=", writers), func(b *testing.B) {
			s, err := filelog.Open(b.TempDir(), nil)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			var topics []eventlog.Topic
			for i := range 8 {
				topic, err := s.Topic(b.Context(), fmt.Sprint("topic", i), nil)
				if err != nil {
					b.Fatal(err)
				}
				topics = append(topics, topic)
			}
			var left atomic.Int64
			left.Store(int64(b.N))
			done := make(chan error, writers)
			b.ReportAllocs()
			b.ResetTimer()
			for w := range writers {
				go func() {
					batch := &eventlog.Batch{Items: []eventlog.Item{{Data: make([]byte, 100)}}}
					for left.Add(-1) >= 0 {
						if _, err := topics[w%len(topics)].Append(b.Context(), batch); err != nil {
							done <- err
							return
						}
					}
					done <- nil
				}()
			}
			for range writers {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRead is what an item costs that is read from the files.
func BenchmarkRead(b *testing.B) {
	s, err := filelog.Open(b.TempDir(), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	topic, err := s.Topic(b.Context(), "topic", nil)
	if err != nil {
		b.Fatal(err)
	}
	const count = 1000
	for range count {
		if _, err := topic.Append(b.Context(), &eventlog.Batch{Items: []eventlog.Item{{Data: make([]byte, 100)}}, Durability: eventlog.OS}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if _, err := topic.Read(b.Context(), message.Offset{}, 100); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/item")
}

// BenchmarkOpen is what a batch costs when a store is opened that has a hundred thousand.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s, err := filelog.Open(dir, nil)
	if err != nil {
		b.Fatal(err)
	}
	topic, err := s.Topic(b.Context(), "topic", nil)
	if err != nil {
		b.Fatal(err)
	}
	const count = 100_000
	for range count {
		if _, err := topic.Append(b.Context(), &eventlog.Batch{Items: []eventlog.Item{{Data: make([]byte, 100)}}, Durability: eventlog.OS}); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		again, err := filelog.Open(dir, nil)
		if err != nil {
			b.Fatal(err)
		}
		if err := again.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/count, "ns/batch")
}
