package socketio_test

import (
	"context"
	"fmt"

	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/socketio"
)

// twoNodes stands in for two processes whose options have the driver of one cluster, such as redispubsub.
func twoNodes() (here, there *socketio.Server, end func()) {
	cluster := adaptertest.NewCluster()
	here = socketio.NewServer(&socketio.Options{Driver: cluster.NewDriver()})
	there = socketio.NewServer(&socketio.Options{Driver: cluster.NewDriver()})
	ctx := context.Background()
	for _, io := range []*socketio.Server{here, there} {
		if err := io.Of("/").Adapter().Ping(ctx); err != nil { // it has joined
			fmt.Println(err)
		}
	}
	return here, there, func() {
		here.Shutdown(ctx)
		there.Shutdown(ctx)
	}
}

func ExampleCallServers() {
	here, there, end := twoNodes()
	defer end()
	there.OnServerSide("load", func(unit string) (float64, error) {
		if unit != "percent" {
			return 0, &socketio.Error{Code: "unit", Message: "only percent"}
		}
		return 12.5, nil
	})
	loads, err := socketio.CallServers[float64](context.Background(), here.Of("/"), "load", "percent")
	fmt.Println(loads, err)
	// Output: [12.5] <nil>
}

func ExampleNamespace_ServerSideEmit() {
	here, there, end := twoNodes()
	defer end()
	reloaded := make(chan string)
	there.OnServerSide("reload", func(what string) { reloaded <- what })
	if err := here.ServerSideEmit(context.Background(), "reload", "prices"); err != nil {
		fmt.Println(err)
	}
	fmt.Println("reload", <-reloaded)
	// Output: reload prices
}

func ExampleBroadcast_FetchSockets() {
	here, _, end := twoNodes()
	defer end()
	ctx := context.Background()
	sockets, err := here.To("room").FetchSockets(ctx)
	if err != nil {
		fmt.Println(err) // sockets are those of the nodes that have answered
	}
	for _, s := range sockets {
		var data struct {
			User struct{ Name string }
		}
		if err := s.DecodeData(&data); err == nil && data.User.Name == "" {
			_ = s.Disconnect(ctx, true)
		}
	}
	nodes, err := here.ServerCount(ctx)
	fmt.Println(len(sockets), "sockets on", nodes, "nodes", err)
	// Output: 0 sockets on 2 nodes <nil>
}
