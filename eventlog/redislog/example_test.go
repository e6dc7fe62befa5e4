package redislog_test

import (
	"context"
	"fmt"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/eventlog/redislog"
	"github.com/peal-dev/peal/message"
)

// Programs on several machines share a topic: whatever one appends, the others follow.
func ExampleNew() {
	follow := func(ctx context.Context) error {
		store, err := redislog.New(redislog.Options{URL: "redis://127.0.0.1:6379"})
		if err != nil {
			return err
		}
		defer func() { _ = store.Close() }()
		orders, err := store.Topic(ctx, "orders", nil)
		if err != nil {
			return err
		}
		if _, err := orders.Append(ctx, &eventlog.Batch{Items: []eventlog.Item{{Data: []byte(`{"id":1}`)}}, Key: "order 1"}); err != nil {
			return err // eventlog.CodeOf says what to do
		}
		for cursor := eventlog.Follow(orders, message.Offset{}); ; {
			items, err := cursor.Next(ctx)
			if err != nil {
				return err
			}
			for _, item := range items {
				fmt.Println(item.Offset, string(item.Data))
			}
		}
	}
	_ = follow
	// Output:
}
