package eventlog_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peal-dev/peal/eventlog"
)

func addr(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}) }

func TestSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var forgotten []int
		s := eventlog.NewSessions(eventlog.SessionLimits{Age: time.Minute, Count: 3, Bytes: 1000}, func(v int) { forgotten = append(forgotten, v) })
		defer s.Close()
		s.Save("a", 1, 1, addr(1))
		for range 2 { // looking at it does not take it
			if v, ok := s.Get("a"); v != 1 || !ok {
				t.Fatalf("got %d, %v", v, ok)
			}
		}
		s.Remove("a", 2) // another
		s.Remove("a", 1)
		if _, ok := s.Get("a"); ok || s.Len() != 0 {
			t.Fatal("it is there still")
		}
		s.Save("a", 2, 1, addr(1))
		time.Sleep(50 * time.Second)
		s.Save("a", 3, 1, addr(2)) // away again
		time.Sleep(50 * time.Second)
		if v, ok := s.Get("a"); v != 3 || !ok {
			t.Fatalf("got %d, %v", v, ok)
		}
		time.Sleep(15 * time.Second)
		if n := s.Len(); n != 0 || fmt.Sprint(forgotten) != "[3]" {
			t.Fatalf("%d left when their time is over, forgotten: %v", n, forgotten)
		}
		for i := range 3 {
			if !s.Save(fmt.Sprint(i), i, 1, addr(i)) {
				t.Fatalf("no room for number %d", i)
			}
		}
		if s.Save("one more", 9, 1, addr(9)) {
			t.Fatal("room for a fourth")
		}
		if _, ok := s.Get("0"); ok || s.Len() != 3 || fmt.Sprint(forgotten) != "[3 0]" {
			t.Fatalf("it was not the oldest that went: %v", forgotten)
		}
	})
}

func TestSessionsAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	forgotten := 0
	s := eventlog.NewSessions(eventlog.SessionLimits{Age: time.Minute, Count: 100, Bytes: 1000}, func(int) { forgotten++ })
	defer s.Close()
	for i := range 20 { // what is replaced or removed does not count
		if !s.Save("again", i, 600, addr(1)) {
			t.Fatal("no room in place of itself")
		}
	}
	s.Remove("again", 19)
	for i, want := range []bool{true, true, false, false} {
		if got := s.Save(fmt.Sprint(i), i, 450, addr(i)); got != want {
			t.Errorf("number %d: room %v", i, got)
		}
	}
	if _, ok := s.Get("1"); ok || s.Len() != 2 || forgotten != 2 {
		t.Errorf("%d are left, %d were forgotten", s.Len(), forgotten)
	}
	if s.Save("large", 0, 1001, addr(1)) || s.Len() != 2 || forgotten != 3 {
		t.Errorf("%d are left beside one that is too large", s.Len())
	}
}

// One client that comes and goes pushes out only what it has left itself.
func TestSessionsOfOneAddress(t *testing.T) {
	t.Parallel()
	s := eventlog.NewSessions(eventlog.SessionLimits{Age: time.Minute, Count: 50, Bytes: 1 << 20}, func(int) {})
	defer s.Close()
	for i := range 10 {
		s.Save(fmt.Sprint("user", i), i, 1, addr(i))
	}
	for i := range 1000 {
		s.Save(fmt.Sprint("flood", i), i, 1, addr(99))
	}
	for i := range 10 {
		if _, ok := s.Get(fmt.Sprint("user", i)); !ok {
			t.Errorf("user %d was pushed out", i)
		}
	}
	if _, ok := s.Get("flood999"); !ok || s.Len() != 50 || s.Most() != 40 {
		t.Errorf("%d are left, %d of one address, its last: %v", s.Len(), s.Most(), ok)
	}
}

// TestSessionsAgainstModel compares with a list in order of departure.
func TestSessionsAgainstModel(t *testing.T) {
	t.Parallel()
	type kept struct {
		id         string
		value, len int
		addr       netip.Addr
	}
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		limits := eventlog.SessionLimits{Age: time.Hour, Count: 1 + rng.IntN(8), Bytes: 20 + rng.IntN(60)}
		gone := map[int]bool{}
		s := eventlog.NewSessions(limits, func(v int) { gone[v] = true })
		var model []kept
		for step := range 600 {
			id := fmt.Sprint(rng.IntN(12))
			at := slices.IndexFunc(model, func(k kept) bool { return k.id == id })
			if rng.IntN(3) == 0 {
				if at >= 0 {
					s.Remove(id, model[at].value)
					model = slices.Delete(model, at, at+1)
				}
				continue
			}
			if at >= 0 {
				model = slices.Delete(model, at, at+1)
			}
			k := kept{id, step, 1 + rng.IntN(25), addr(rng.IntN(4))}
			model = append(model, k)
			lost := map[int]bool{}
			if k.len > limits.Bytes {
				model, lost[k.value] = model[:len(model)-1], true
			}
			for {
				bytes, per := 0, map[netip.Addr]int{}
				for _, m := range model {
					bytes += m.len
					per[m.addr]++
				}
				if len(model) <= limits.Count && bytes <= limits.Bytes {
					break
				}
				most := slices.Max(slices.Collect(maps.Values(per)))
				i := slices.IndexFunc(model, func(m kept) bool { return per[m.addr] == most })
				lost[model[i].value] = true
				model = slices.Delete(model, i, i+1)
			}
			clear(gone)
			if room := s.Save(k.id, k.value, k.len, k.addr); room != (len(lost) == 0) || !maps.Equal(gone, lost) {
				t.Fatalf("seed %d, step %d: forgot %v, want %v (room: %v)", seed, step, gone, lost, room)
			}
			if s.Len() != len(model) {
				t.Fatalf("seed %d, step %d: %d kept, want %d", seed, step, s.Len(), len(model))
			}
			for _, m := range model {
				if v, ok := s.Get(m.id); !ok || v != m.value {
					t.Fatalf("seed %d, step %d: %s has %d (%v), want %d", seed, step, m.id, v, ok, m.value)
				}
			}
		}
		s.Close()
	}
}
