package postgres_test

import (
	"context"
	"log"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/postgres"
	"github.com/peal-dev/peal/message"
	"github.com/peal-dev/peal/socketio"
)

// One driver serves all namespaces of a node. Nodes with the same database and key, Node.js or Go, are one cluster.
func Example() {
	ctx := context.Background()
	driver, err := postgres.New(postgres.Options{URL: "postgres://peal:secret@localhost/app"})
	if err != nil {
		log.Fatal(err)
	}
	defer driver.Close(ctx)

	chat, err := adapter.New(ctx, "/chat", driver, nil)
	if err != nil {
		log.Fatal(err) // the database is away
	}
	defer chat.Close(ctx)

	m := message.New([]byte(`["hello","world"]`))
	if err := chat.Broadcast(ctx, m, message.Target{Rooms: []string{"lobby"}}); err != nil {
		log.Print(err) // delivered on this node only
	}
}

// A job that has something to tell the clients of a cluster is no node of it: nobody counts it, and nothing is sent to it.
func ExampleNewEmitter() {
	ctx := context.Background()
	emitter, err := postgres.NewEmitter(postgres.Options{URL: "postgres://peal:secret@localhost/app"})
	if err != nil {
		log.Fatal(err)
	}
	defer emitter.Close(ctx)

	io := socketio.NewServer(&socketio.Options{Driver: emitter}) // without clients of its own
	if err := io.To("orders").Emit(ctx, "shipped", 42); err != nil {
		log.Print(err)
	}
}
