package redissharded_test

import (
	"context"
	"log"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/redissharded"
	"github.com/peal-dev/peal/message"
	"github.com/peal-dev/peal/socketio"
)

// A node of a cluster on a Redis Cluster, beside Node.js nodes with createShardedAdapter. (There is none here, so this is
// compiled and not run.)
func Example() {
	driver, err := redissharded.New(redissharded.Options{URL: "redis://10.0.0.7:6379?addr=10.0.0.8:6379"})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	defer func() { _ = driver.Close(ctx) }()
	a, err := adapter.New(ctx, "/", driver, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = a.Close(ctx) }()
	if err := a.Broadcast(ctx, message.New([]byte(`["news",1]`)), message.Target{Rooms: []string{"readers"}}); err != nil {
		log.Fatal(err)
	}
}

// A job that has something to tell the clients of a cluster is no node of it: nobody counts it, and nothing is sent to it.
func ExampleNewEmitter() {
	ctx := context.Background()
	emitter, err := redissharded.NewEmitter(redissharded.Options{URL: "redis://localhost:6379"})
	if err != nil {
		log.Fatal(err)
	}
	defer emitter.Close(ctx)

	io := socketio.NewServer(&socketio.Options{Driver: emitter}) // without clients of its own
	if err := io.To("orders").Emit(ctx, "shipped", 42); err != nil {
		log.Print(err)
	}
}
