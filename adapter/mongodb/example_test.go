package mongodb_test

import (
	"context"
	"log"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/mongodb"
	"github.com/peal-dev/peal/message"
	"github.com/peal-dev/peal/socketio"
)

// One driver serves all namespaces of a node. Nodes with the same database and collection, Node.js or Go, are one cluster.
func Example() {
	ctx := context.Background()
	driver, err := mongodb.New(mongodb.Options{URL: "mongodb://peal:secret@db1,db2,db3/app?replicaSet=rs0"})
	if err != nil {
		log.Fatal(err)
	}
	defer driver.Close(ctx)

	chat, err := adapter.New(ctx, "/chat", driver, nil)
	if err != nil {
		log.Fatal(err) // MongoDB is away
	}
	defer chat.Close(ctx)

	m := message.New([]byte(`["hello","world"]`))
	if err := chat.Broadcast(ctx, m, message.Target{Rooms: []string{"lobby"}}); err != nil {
		log.Print(err) // delivered on this node only
	}
}

// Where capped collections may not be made, documents are removed by their age. The same collection with the official
// adapter needs its option addCreatedAtField.
func ExampleOptions() {
	driver, err := mongodb.New(mongodb.Options{URL: "mongodb+srv://cluster.example/app", TTL: 10 * time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	defer driver.Close(context.Background())

	// Messages wait in the server while a node is away. Only if that was for longer than the oplog reaches are some missing.
	if n := driver.Stats().Gaps[adapter.GapExpired]; n > 0 {
		log.Printf("%d times messages are missing", n)
	}
}

// A job that has something to tell the clients of a cluster is no node of it: nobody counts it, and nothing is sent to it.
func ExampleNewEmitter() {
	ctx := context.Background()
	emitter, err := mongodb.NewEmitter(mongodb.Options{URL: "mongodb://localhost/app"})
	if err != nil {
		log.Fatal(err)
	}
	defer emitter.Close(ctx)

	io := socketio.NewServer(&socketio.Options{Driver: emitter}) // without clients of its own
	if err := io.To("orders").Emit(ctx, "shipped", 42); err != nil {
		log.Print(err)
	}
}
