package adaptertest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/message"
)

// A cluster in memory shows what a program does when the other nodes cannot be reached.
func ExampleCluster() {
	ctx := context.Background()
	cluster := adaptertest.NewCluster()
	driver := cluster.NewDriver()
	defer driver.Close(ctx)

	a, err := adapter.New(ctx, "/", driver, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	member := adaptertest.NewMember("m")
	_, _ = a.Add(ctx, member)

	cluster.Fail(errors.New("no route"))
	fmt.Println(a.Broadcast(ctx, newMessage("tick"), message.Target{}))
	fmt.Println("delivered here:", !member.Empty())
	// Output:
	// adapter /: publish broadcast: adapter: cluster unavailable: no route
	// delivered here: true
}

func ExampleRunSequencer() {
	test := func(t *testing.T) { // in the tests of your driver, if it has a common log
		adaptertest.RunSequencer(t, func(t *testing.T, nodes int) []adapter.Driver {
			c := adaptertest.NewCluster()
			drivers := make([]adapter.Driver, nodes)
			for i := range drivers {
				drivers[i] = c.NewSequencer()
			}
			return drivers
		})
	}
	_ = test
	// Output:
}
