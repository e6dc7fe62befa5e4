package adapter_test

import (
	"context"
	"fmt"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/message"
)

type printer string

func (p printer) ID() string                 { return string(p) }
func (p printer) Deliver(m *message.Message) { fmt.Printf("%s: %s %s\n", p, m.Event(), m.Args()) }
func (p printer) Disconnect(bool)            { fmt.Printf("%s: disconnected\n", p) }

// A nil driver makes a single node; with a driver the same calls reach the whole cluster.
func Example() {
	ctx := context.Background()
	a, err := adapter.New(ctx, "/", nil, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer a.Close(ctx)

	a.Add(ctx, printer("ann"), "news")
	a.Add(ctx, printer("bob"), "news", "sport")
	a.Add(ctx, printer("cid"))

	m := message.New([]byte(`["headline","it rains"]`))
	if err := a.Broadcast(ctx, m, message.Target{Rooms: []string{"news", "sport"}, Except: []string{"ann"}}); err != nil {
		fmt.Println(err)
	}
	fmt.Println(a.RoomLen("news"), a.RoomsOf("cid"))
	// Output:
	// bob: headline ["it rains"]
	// 2 []
}

// A node that starts while its cluster is away: what it publishes reaches its own members, and the others once it is there.
func ExampleBackground() {
	driver := adapter.Background(adaptertest.NewCluster().NewDriver(), nil)
	a, err := adapter.New(context.Background(), "/", driver, nil) // neither waits nor fails
	if err != nil {
		fmt.Println(err)
		return
	}
	defer a.Close(context.Background())
	fmt.Println(a.Broadcast(context.Background(), message.New([]byte(`["tick"]`)), message.Target{}))
	// Output: <nil>
}
