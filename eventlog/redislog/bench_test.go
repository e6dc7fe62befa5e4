package redislog_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/eventlog/redislog"
	"github.com/peal-dev/peal/internal/testredis"
	"github.com/peal-dev/peal/message"
)

// BenchmarkAppend is what an append to one of eight topics costs when so many wait at once, on a server that has no disk to wait for,
// and on one that does.
func BenchmarkAppend(b *testing.B) {
	for name, start := range map[string]func(testing.TB) *testredis.Server{"memory": testredis.Start, "disk": testredis.StartDurable} {
		server := start(b)
		for _, writers := range []int{1, 64} {
			b.Run(fmt.Sprint(name, "/writers=", writers), func(b *testing.B) {
				s, err := redislog.New(redislog.Options{URL: server.URL()})
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
				var all sync.WaitGroup
				b.ReportAllocs()
				b.ResetTimer()
				for w := range writers {
					all.Go(func() {
						batch := &eventlog.Batch{Items: []eventlog.Item{{Data: make([]byte, 100)}}}
						for left.Add(-1) >= 0 {
							if _, err := topics[w%len(topics)].Append(b.Context(), batch); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				all.Wait()
			})
		}
	}
}

// BenchmarkFollow is how long it takes until an item that one program appends is with another that follows.
func BenchmarkFollow(b *testing.B) {
	server := testredis.Start(b)
	var topics [2]eventlog.Topic
	for i := range topics {
		s, err := redislog.New(redislog.Options{URL: server.URL()})
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		if topics[i], err = s.Topic(b.Context(), "t", nil); err != nil {
			b.Fatal(err)
		}
	}
	cursor := eventlog.Follow(topics[1], message.Offset{})
	batch := &eventlog.Batch{Items: []eventlog.Item{{Data: make([]byte, 100)}}}
	for b.Loop() {
		got := make(chan error, 1)
		go func() {
			_, err := cursor.Next(b.Context())
			got <- err
		}()
		if _, err := topics[0].Append(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		if err := <-got; err != nil {
			b.Fatal(err)
		}
	}
}
