package recentrooms

import (
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRooms(t *testing.T) {
	t.Parallel()
	var r Rooms
	start := time.Now()
	at := func(d time.Duration) func() time.Time { return func() time.Time { return start.Add(d) } }
	check := func(room string, d time.Duration, want bool) {
		t.Helper()
		if got := r.has(room, at(d)); got != want {
			t.Errorf("has(%q) after %v = %v, want %v", room, d, got, want)
		}
	}
	check("a", 0, false)
	r.note([]string{"a", "b"}, start, start.Add(time.Second))
	r.note([]string{"b"}, start, start.Add(2*time.Second))
	check("a", 0, true)
	check("c", 0, false)
	check("a", time.Second, false)
	check("b", time.Second, true)
	check("b", 2*time.Second, false)
	if r.any.Load() {
		t.Error("something is remembered when all is over")
	}

	// Those that nobody asks for are over as well.
	r.note([]string{"a", "b"}, start.Add(2*time.Second), start.Add(3*time.Second))
	check("c", 3*time.Second, false)
	if r.any.Load() || len(r.until) > 0 {
		t.Errorf("%d rooms are remembered that are over", len(r.until))
	}

	// What is over makes room for what is new; when there is none, every room counts.
	many := make([]string, maxRecent)
	for i := range many {
		many[i] = fmt.Sprint("room", i)
	}
	r.note(many, start, start.Add(time.Second))
	r.note([]string{"late"}, start.Add(time.Second), start.Add(2*time.Second))
	check("late", time.Second, true)
	check("room0", time.Second, false)
	r.note(many, start.Add(time.Second), start.Add(3*time.Second))
	check("any", 2*time.Second, true)
	if len(r.until) > 0 {
		t.Errorf("%d rooms are kept although every room counts", len(r.until))
	}
	check("any", 3*time.Second, false)
	if r.any.Load() {
		t.Error("every room is remembered when that is over")
	}
}
