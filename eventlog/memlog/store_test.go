package memlog_test

import (
	"context"
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/eventlog/logtest"
	"github.com/peal-dev/peal/eventlog/memlog"
	"github.com/peal-dev/peal/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	logtest.RunStore(t, func(*testing.T) eventlog.Store { return memlog.New() })
}

func ExampleNew() {
	ctx := context.Background()
	store := memlog.New()
	defer func() { _ = store.Close() }()
	topic, err := store.Topic(ctx, "answers", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, word := range []string{"to", "be"} {
		if _, err := topic.Append(ctx, &eventlog.Batch{Items: []eventlog.Item{{Data: []byte(word)}}}); err != nil {
			fmt.Println(err)
			return
		}
	}
	items, err := eventlog.Follow(topic, message.Offset{}).Next(ctx)
	for _, item := range items {
		fmt.Println(string(item.Data))
	}
	fmt.Println(err)
	// Output:
	// to
	// be
	// <nil>
}
