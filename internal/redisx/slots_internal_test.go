package redisx

import (
	"fmt"
	"testing"

	"github.com/peal-dev/peal/internal/testredis"
)

// TestSlotOf asks a Redis Cluster in which slots keys are.
func TestSlotOf(t *testing.T) {
	t.Parallel()
	server := testredis.StartCluster(t).Servers()[0]
	for _, key := range []string{"", "socket.io#/#", "{a}b", "x{a}", "{}a", "{", "}{", "a{b}{c}", "ünï", "\x00\xff", "{a{b}c}"} {
		if got, want := fmt.Sprint(slotOf(key)), server.Do("CLUSTER", "KEYSLOT", key); got != want {
			t.Errorf("%q is in slot %s, want %s", key, got, want)
		}
	}
}
