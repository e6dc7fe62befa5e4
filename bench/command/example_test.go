package command_test

import (
	"fmt"
	"strings"

	"github.com/peal-dev/peal/bench/command"
)

func ExamplePlan() {
	var out strings.Builder
	c := command.Plan{Connections: 1_000_000, Memory: 16, Cores: 8}
	if err := c.Execute(&out); err != nil {
		fmt.Println(err)
		return
	}
	first, _, _ := strings.Cut(out.String(), "\n")
	fmt.Println(first)
	// Output: 2 servers and 2 of Redis
}
