package filelog_test

import (
	"context"
	"fmt"
	"os"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/eventlog/filelog"
	"github.com/peal-dev/peal/message"
)

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "peal")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for range 2 { // the second time after a restart
		store, err := filelog.Open(dir, nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		topic, err := store.Topic(ctx, "orders", &eventlog.Policy{Count: 1000})
		if err != nil {
			fmt.Println(err)
			return
		}
		// The key makes it safe to publish again whatever became of the first time.
		a, err := topic.Append(ctx, &eventlog.Batch{Items: []eventlog.Item{{Data: []byte("order 17")}}, Key: "17"})
		fmt.Println(a.Duplicate, err)
		items, err := topic.Read(ctx, message.Offset{}, 100)
		fmt.Println(len(items), err)
		if err := store.Close(); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// false <nil>
	// 1 <nil>
	// true <nil>
	// 1 <nil>
}
