package nodewire_test

import (
	"fmt"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/nodewire"
	"github.com/peal-dev/peal/message"
)

// A broadcast as it goes to Node.js nodes, and back.
func Example() {
	m, err := nodewire.Publishing(&adapter.Envelope{Kind: adapter.KindBroadcast, Message: message.New([]byte(`["news",1]`)), Rooms: []string{"a"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	m.UID, m.Namespace = "5ec2aab25beba870", "/"
	wire, err := m.Append(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s\n", wire)
	if m, err = nodewire.Decode(wire); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s to %q: %s\n", m.Type, m.Rooms, m.Data)
	// Output:
	// {"type":3,"data":{"packet":{"type":2,"data":["news",1]},"opts":{"rooms":["a"],"except":[],"flags":{}}},"uid":"5ec2aab25beba870","nsp":"/"}
	// broadcast to ["a"]: ["news",1]
}
