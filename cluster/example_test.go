package cluster_test

import (
	"fmt"
	"net/http"

	"github.com/peal-dev/peal/cluster"
	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/socketio"
)

// A Socket.IO server whose clients may come in by any node.
func ExampleJoin() {
	node, err := cluster.Join(cluster.Options{URL: "redis://127.0.0.1:6379", Advertise: "10.0.0.7:8080"})
	if err != nil {
		fmt.Println(err)
		return
	}
	io := socketio.NewServer(&socketio.Options{
		Engine: engineio.Options{GenerateID: node.SessionID, Elsewhere: node.Forward},
	})
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", node.Handler(io))
	_ = http.ListenAndServe(":8080", mux)
}

func ExampleCheckAddress() {
	fmt.Println(cluster.CheckAddress("10.0.0.7:8080"))
	fmt.Println(cluster.CheckAddress("0.0.0.0:8080"))
	// Output:
	// <nil>
	// "0.0.0.0:8080" stands for all addresses of a machine; name the one by which other nodes reach it, such as 10.0.0.7:8080
}
