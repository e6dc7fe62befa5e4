package eventlog_test

import (
	"fmt"
	"time"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// Somebody reads up to an offset, and later what has come since.
func ExampleMemory() {
	log := eventlog.NewMemory(&eventlog.Limits{Age: 2 * time.Minute, Count: 2})
	defer log.Close()
	before := log.Bounds().Top
	seen := log.Append(message.New([]byte(`["tick",1]`)), message.Target{Rooms: []string{"clock"}})
	log.Append(message.New([]byte(`["tick",2]`)), message.Target{Rooms: []string{"clock"}})
	log.Append(message.New([]byte(`["tick",3]`)), message.Target{Rooms: []string{"clock"}})

	missed, err := log.Read(seen)
	for _, e := range missed {
		fmt.Printf("%s to %v\n", e.Data, e.Rooms)
	}
	fmt.Println(err)

	_, err = log.Read(before) // the first is not there any more, so nothing is
	fmt.Println(err != nil)
	// Output:
	// ["tick",2] to [clock]
	// ["tick",3] to [clock]
	// <nil>
	// true
}

func ExampleSessions() {
	sessions := eventlog.NewSessions[string](2*time.Minute, 1000, 1<<20)
	defer sessions.Close()
	sessions.Save("id", "what is left of it", 100)
	fmt.Println(sessions.Take("id"))
	_, again := sessions.Take("id")
	fmt.Println(again)
	// Output:
	// what is left of it true
	// false
}
