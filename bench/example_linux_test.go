package bench_test

import (
	"context"
	"fmt"

	"github.com/peal-dev/peal/bench"
	"github.com/peal-dev/peal/gateway"
)

func ExampleRun() {
	ctx := context.Background()
	node, err := gateway.Start(ctx, gateway.Config{Listen: "127.0.0.1:0", Dev: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer node.Shutdown(ctx) // the example ends here

	report, err := bench.Run(ctx, &bench.Options{Scenario: bench.Fanout, URL: node.URL(), Clients: 100, Rounds: 5, Burst: -1})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Delivery.Received, "received,", report.Delivery.Lost, "lost")
	// Output: 800 received, 0 lost
}
