package eioproto_test

import (
	"fmt"

	"github.com/peal-dev/peal/engineio/eioproto"
)

func Example() {
	payload := eioproto.AppendPayload(nil,
		eioproto.Packet{Type: eioproto.Message, Data: []byte("hello")},
		eioproto.Packet{Type: eioproto.Message, Binary: true, Data: []byte{1, 2, 3}},
	)
	fmt.Printf("%q\n", payload)
	for p, err := range eioproto.Packets(payload) {
		fmt.Println(p.Type, p.Binary, len(p.Data), err)
	}
	// Output:
	// "4hello\x1ebAQID"
	// message false 5 <nil>
	// message true 3 <nil>
}
