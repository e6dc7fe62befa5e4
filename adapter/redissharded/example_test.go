package redissharded_test

import (
	"context"
	"log"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/redissharded"
	"github.com/peal-dev/peal/message"
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
