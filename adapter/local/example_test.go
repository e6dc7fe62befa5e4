package local_test

import (
	"context"
	"fmt"
	"os"

	"github.com/peal-dev/peal/adapter/local"
	"github.com/peal-dev/peal/socketio"
)

// Two processes of one machine, here in one: what one sends reaches the clients of both.
func Example() {
	dir, err := os.MkdirTemp("", "peal")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	for range 2 {
		driver, err := local.New(local.Options{Dir: dir})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer driver.Close(ctx)
		io := socketio.NewServer(&socketio.Options{Driver: driver})
		defer io.Shutdown(ctx)
		n, err := io.Of("/").ServerCount(ctx)
		fmt.Println(n, err)
	}
	// Output:
	// 1 <nil>
	// 2 <nil>
}
