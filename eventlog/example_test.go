package eventlog_test

import (
	"fmt"
	"net/netip"
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

	missed, err := log.Read(seen, nil)
	for _, e := range missed {
		fmt.Printf("%s to %v\n", e.Data, e.Rooms)
	}
	fmt.Println(err)

	_, err = log.Read(before, nil) // the first is not there any more, so nothing is
	fmt.Println(err != nil)
	// Output:
	// ["tick",2] to [clock]
	// ["tick",3] to [clock]
	// <nil>
	// true
}

func ExampleSessions() {
	sessions := eventlog.NewSessions(eventlog.SessionLimits{Age: 2 * time.Minute, Count: 2, Bytes: 1 << 20},
		func(session string) { fmt.Println("forgotten:", session) })
	defer sessions.Close()
	one, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	sessions.Save("a", "Ann's", 100, one)
	sessions.Save("b", "Bob's first", 100, other)
	sessions.Save("c", "Bob's second", 100, other)
	fmt.Println(sessions.Get("a"))
	// Output:
	// forgotten: Bob's first
	// Ann's true
}
