package redispubsub_test

import (
	"context"
	"log"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/message"
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
