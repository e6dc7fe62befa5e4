package cluster_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"

	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/cluster"
	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/socketio"
)

// A Socket.IO server whose clients may come in by any node.
func ExampleJoin() {
	driver, err := redispubsub.New(redispubsub.Options{URL: "redis://127.0.0.1:6379"})
	if err != nil {
		fmt.Println(err)
		return
	}
	node, err := cluster.Join(cluster.Options{Driver: driver, Advertise: "10.0.0.7:8080"})
	if err != nil {
		fmt.Println(err)
		return
	}
	io := socketio.NewServer(&socketio.Options{
		Driver: driver,
		Engine: engineio.Options{GenerateID: node.SessionID, Elsewhere: node.Forward},
	})
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", node.Handler(io))
	_ = http.ListenAndServe(":8080", mux)
}

// Nodes that know each other by certificates, at an address of their own.
func ExampleNode_PeerHandler() {
	ca, cert := x509.NewCertPool(), tls.Certificate{} // read from files
	node, err := cluster.Join(cluster.Options{
		Driver:    adaptertest.NewCluster().NewDriver(),
		Advertise: "https://10.0.0.7:8443",
		TLS:       &tls.Config{RootCAs: ca, Certificates: []tls.Certificate{cert}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	io := socketio.NewServer(&socketio.Options{Engine: engineio.Options{GenerateID: node.SessionID, Elsewhere: node.Forward}})
	peers := &http.Server{
		Addr:      ":8443",
		Handler:   node.PeerHandler(io),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: ca, ClientAuth: tls.RequireAndVerifyClientCert},
	}
	go func() { _ = peers.ListenAndServeTLS("", "") }()
	_ = http.ListenAndServe(":8080", io)
}

// Who is there, how many clients they have, and who is about to leave.
func ExampleNode_Nodes() {
	node, err := cluster.Join(cluster.Options{Driver: adaptertest.NewCluster().NewDriver(), Name: "one", Load: func() cluster.Load {
		return cluster.Load{Clients: 3}
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer node.Close(context.Background())
	node.Drain()
	for _, n := range node.Nodes() {
		fmt.Println(n.Name, n.Load.Clients, n.Draining)
	}
	// Output: one 3 true
}

// An application that learns which clients are gone with a node that has died.
func ExampleOptions_onChange() {
	there := adaptertest.NewCluster()
	told := make(chan string, 1)
	node, err := cluster.Join(cluster.Options{Driver: there.NewDriver(), OnChange: func(c cluster.Change) {
		switch c.Kind {
		case cluster.Died: // sessions whose ids begin with c.Node.ID
			told <- fmt.Sprintf("%s died with %d clients", c.Node.Name, c.Node.Load.Clients)
		case cluster.Left:
			told <- fmt.Sprintf("%s left", c.Node.Name)
		case cluster.Joined:
			told <- fmt.Sprintf("%s joined", c.Node.Name)
		}
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer node.Close(context.Background())
	two, err := cluster.Join(cluster.Options{Driver: there.NewDriver(), Name: "two"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(<-told)
	_ = two.Close(context.Background())
	fmt.Println(<-told)
	// Output:
	// two joined
	// two left
}

func ExampleCheckAddress() {
	fmt.Println(cluster.CheckAddress("10.0.0.7:8080"))
	fmt.Println(cluster.CheckAddress("0.0.0.0:8080"))
	// Output:
	// <nil>
	// "0.0.0.0:8080" stands for all addresses of a machine; name the one by which other nodes reach it, such as 10.0.0.7:8080
}
