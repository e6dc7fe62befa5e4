package eventlog_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// Names are forgotten too. Then a reader may be refused who misses nothing, but nobody is given less than all.
func TestInterestIsBounded(t *testing.T) {
	t.Parallel()
	const rooms, limit = 2000, 40_000
	l := eventlog.NewMemory(&eventlog.Limits{Count: 1600, Bytes: limit})
	defer l.Close()
	rng := rand.New(rand.NewPCG(1, 4))
	first, last := l.Bounds().Floor, map[string]message.Offset{}
	var before, after runtime.MemStats
	covered := 0
	for n := range 20_000 {
		if n == 1000 {
			runtime.GC()
			runtime.ReadMemStats(&before)
		}
		room := fmt.Sprint("room ", rng.IntN(rooms))
		last[room] = l.Append(message.New([]byte(`["n"]`)), message.Target{Rooms: []string{room}})
		asked := fmt.Sprint("room ", rng.IntN(rooms))
		in := &eventlog.Interest{ID: "id", Rooms: map[string]message.Offset{"id": first, asked: first}}
		had := last[asked]
		if had.IsZero() || rng.IntN(4) == 0 {
			had = first
		}
		err := l.Cover(had, in)
		if missing := last[asked].Compare(had) > 0 && last[asked].Compare(l.Bounds().Floor) <= 0; missing && err == nil {
			t.Fatalf("covered at %v, but %v was trimmed", had, last[asked])
		}
		if err == nil {
			covered++
		}
	}
	clear(last)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if covered < 200 {
		t.Errorf("only %d of 20000 are covered", covered)
	}
	if grown := int(after.HeapAlloc) - int(before.HeapAlloc); grown > limit {
		t.Errorf("grown by %d bytes", grown)
	}
	runtime.KeepAlive(l)
}
