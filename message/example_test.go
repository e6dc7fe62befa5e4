package message_test

import (
	"fmt"
	"slices"

	"github.com/peal-dev/peal/message"
)

func ExampleParse() {
	m, err := message.Parse([]byte(`["headline","it rains",{"at":12}]`), nil, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Event(), string(m.Args()))

	_, err = message.Parse([]byte(`["disconnect"]`), nil, 0)
	fmt.Println(err)
	// Output:
	// headline ["it rains",{"at":12}]
	// invalid payload: reserved event name
}

// lines is a wire format of its own: it makes the bytes of a message once, however many members ask.
var lines = message.NewFormat(func(m *message.Message, namespace string) *string {
	line := fmt.Sprintf("%s %s %s", namespace, m.Event(), m.Args())
	return &line
})

func ExampleFormat() {
	m := message.New([]byte(`["tick",1]`))
	clock := message.NamespaceOf("/clock")
	first, second := lines.Of(m, clock), lines.Of(m, clock)
	fmt.Println(*first, first == second)
	// Output: /clock tick [1] true
}

func ExampleOffset() {
	a, _ := message.ParseOffset("1735689600000-9")
	b, _ := message.ParseOffset("1735689600000-10")
	offsets := []message.Offset{b, a}
	slices.SortFunc(offsets, message.Offset.Compare)
	fmt.Println(offsets)
	// Output: [1735689600000-9 1735689600000-10]
}
