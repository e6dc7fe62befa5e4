// Command cluster is two nodes on one Redis in one program: what is published on either reaches the clients of both.
//
//	go run ./examples/cluster                                  # starts a Redis of its own
//	go run ./examples/cluster --redis redis://127.0.0.1:6379   # uses yours
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/peal-dev/peal/sse"
)

func main() {
	redis := flag.String("redis", "", "Redis URL; empty starts a redis-server on a free port")
	first := flag.String("first", "127.0.0.1:8081", "address of the first node")
	second := flag.String("second", "127.0.0.1:8082", "address of the second node")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, *redis, *first, *second); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

// run starts the nodes, shows a broadcast crossing from the first to the second, and serves until ctx is done.
func run(ctx context.Context, out io.Writer, redisURL string, addrs ...string) (err error) {
	if redisURL == "" {
		redis, err := startRedis(ctx)
		if err != nil {
			return err
		}
		defer redis.stop()
		redisURL = redis.url
		fmt.Fprintln(out, "started Redis at", redisURL)
	}
	var nodes []*node
	defer func() {
		for _, n := range nodes {
			err = errors.Join(err, n.stop())
		}
	}()
	for i, addr := range addrs {
		n, err := startNode(ctx, redisURL, addr)
		if err != nil {
			return fmt.Errorf("node %d: %w", i+1, err)
		}
		nodes = append(nodes, n)
		// A node serves from the start and joins the cluster in the background; this waits until it has.
		if err := n.io.Adapter().Ping(ctx); err != nil {
			return fmt.Errorf("node %d: joining the cluster: %w", i+1, err)
		}
		fmt.Fprintf(out, "node %d: %s\n", i+1, n.url)
	}
	if err := show(ctx, out, nodes[0], nodes[len(nodes)-1]); err != nil {
		return fmt.Errorf("showing a broadcast: %w", err)
	}
	fmt.Fprintf(out, "\nfollow one node:   curl -N %s/events\npublish on another: curl -d 'any text' %s/say\n",
		nodes[0].url, nodes[len(nodes)-1].url)
	<-ctx.Done()
	return nil
}

// show publishes on one node and reads the message from an event stream of another.
func show(ctx context.Context, out io.Writer, from, to *node) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, to.url+"/events", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if err := from.io.Emit(ctx, "said", "a broadcast crossed the cluster"); err != nil {
		return err
	}
	event, err := sse.NewReader(response.Body).Next()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\npublished on %s\n received on %s: %s %s\n", from.url, to.url, event.Name, event.Data)
	return nil
}
