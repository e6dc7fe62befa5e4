package redisstreams_test

import (
	"context"
	"log"
	"time"

	"github.com/peal-dev/peal/adapter/redisstreams"
	"github.com/peal-dev/peal/socketio"
)

// A node of a cluster whose messages Redis keeps for a while, beside Node.js nodes with @socket.io/redis-streams-adapter.
// (There is no Redis here, so this is compiled and not run.)
func Example() {
	driver, err := redisstreams.New(redisstreams.Options{URL: "redis://localhost:6379", MaxLen: 100_000})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	defer driver.Close(ctx)
	io := socketio.NewServer(&socketio.Options{Driver: driver})
	defer io.Shutdown(ctx)
	if err := io.To("readers").Emit(ctx, "news", 1); err != nil {
		log.Print(err)
	}
}

// A job that has something to tell the clients of a cluster is no node of it: nobody counts it, and nothing is sent to it.
func ExampleNewEmitter() {
	ctx := context.Background()
	emitter, err := redisstreams.NewEmitter(redisstreams.Options{URL: "redis://localhost:6379"})
	if err != nil {
		log.Fatal(err)
	}
	defer emitter.Close(ctx)

	io := socketio.NewServer(&socketio.Options{Driver: emitter}) // without clients of its own
	if err := io.To("orders").Emit(ctx, "shipped", 42); err != nil {
		log.Print(err)
	}
}
