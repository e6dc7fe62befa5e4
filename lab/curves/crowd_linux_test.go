package main

import (
	"strings"
	"testing"
)

func TestCrowdAccounts(t *testing.T) {
	t.Parallel()
	fresh := func() *crowd {
		c, err := newCrowd(load{clients: 5, rooms: 2, size: 16}, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.close)
		c.sent, c.expected = []uint32{1, 1}, 5
		if c.members(0) != 3 || c.members(1) != 2 {
			t.Errorf("%d and %d members of 5", c.members(0), c.members(1))
		}
		return c
	}
	message := func(c *crowd, topic uint16, seq uint32) []byte {
		return append(appendStamped([]byte(beforeData), c.run, topic, seq, 16), afterData...)
	}
	arrive := func(c *crowd, clients ...int) {
		for _, client := range clients {
			c.receive(client, message(c, uint16(client%2), 0))
		}
	}
	perfect := fresh()
	if arrive(perfect, 0, 1, 2, 3, 4); perfect.finish() != nil {
		t.Error(perfect.finish())
	}
	for name, wrong := range map[string]func(c *crowd){
		"1 were lost":      func(c *crowd) { arrive(c, 0, 1, 2, 3) },
		"1 came twice":     func(c *crowd) { arrive(c, 0, 1, 2, 3, 4, 4) },
		"1 altered or for": func(c *crowd) { arrive(c, 0, 1, 2, 3, 4); c.receive(0, message(c, 1, 0)) },
		"2 altered or for": func(c *crowd) { arrive(c, 0, 1, 2, 3, 4); c.receive(0, message(c, 0, 1)); c.receive(0, nil) },
	} {
		c := fresh()
		wrong(c)
		if err := c.finish(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%q wanted: %v", name, err)
		}
	}
}
