package plan_test

import (
	"fmt"

	"github.com/peal-dev/peal/bench/plan"
)

func ExampleNew() {
	p, err := plan.New(
		plan.Load{Connections: 1_000_000, BytesPerSecond: 20, MessageSize: 200, Audience: 1000},
		plan.Machine{Cores: 4, MemoryGiB: 8},
		plan.Costs{MemoryPerConnection: 3, KernelPerConnection: 5, BaseMiB: 40, IdleCPU: 1, DeliveryCPU: 10, PublishCPU: 40, ConnectCPU: 100},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Servers, "servers and", p.Redis, "of Redis")
	// Output: 3 servers and 2 of Redis
}
