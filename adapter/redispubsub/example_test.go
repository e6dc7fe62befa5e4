package redispubsub_test

import (
	"context"
	"log"
	"net"
	"os"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/message"
	"github.com/peal-dev/peal/socketio"
)

// One driver serves all namespaces of a node. Nodes with the same Redis and key, Node.js or Go, are one cluster.
func Example() {
	ctx := context.Background()
	driver, err := redispubsub.New(redispubsub.Options{URL: "redis://localhost:6379"})
	if err != nil {
		log.Fatal(err)
	}
	defer driver.Close(ctx)

	chat, err := adapter.New(ctx, "/chat", driver, nil)
	if err != nil {
		log.Fatal(err) // Redis is away
	}
	defer chat.Close(ctx)

	m := message.New([]byte(`["hello","world"]`))
	if err := chat.Broadcast(ctx, m, message.Target{Rooms: []string{"lobby"}}); err != nil {
		log.Print(err) // delivered on this node only
	}
}

// What other nodes publish while this one does not listen is lost to it. A program that can read its state anew does so
// when the number of gaps has grown.
func ExampleDriver_Stats() {
	driver, err := redispubsub.New(redispubsub.Options{URL: "redis://localhost:6379"})
	if err != nil {
		log.Fatal(err)
	}
	defer driver.Close(context.Background())

	stats := driver.Stats()
	for cause, n := range stats.Gaps {
		log.Printf("%d times messages may be missing because of %s", n, cause)
	}
	if gap := stats.LastGap; gap.Cause != "" && gap.To.IsZero() {
		log.Printf("messages may be missing since %v", gap.From)
	}
}

// A program that has a client of Redis already gives the driver what that one has: how to get there, and who it is.
func ExampleOptions() {
	tunnel := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}} // or what golang.org/x/net/proxy makes
	driver, err := redispubsub.New(redispubsub.Options{
		URL:  "redis://localhost:6379",
		Dial: tunnel.DialContext,
		Credentials: func(ctx context.Context) (username, password string, err error) {
			return "peal", os.Getenv("REDIS_TOKEN"), ctx.Err() // asked for with each connection, so that it may change
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer driver.Close(context.Background())
}

// A job that has something to tell the clients of a cluster is no node of it: nobody counts it, and nothing is sent to it.
func ExampleNewEmitter() {
	ctx := context.Background()
	emitter, err := redispubsub.NewEmitter(redispubsub.Options{URL: "redis://localhost:6379"})
	if err != nil {
		log.Fatal(err)
	}
	defer emitter.Close(ctx)

	io := socketio.NewServer(&socketio.Options{Driver: emitter}) // without clients of its own
	if err := io.To("orders").Emit(ctx, "shipped", 42); err != nil {
		log.Print(err)
	}
}
