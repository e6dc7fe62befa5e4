package adapter_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/message"
)

// model is the index done naively: a set of rooms per member, its id included.
type model map[string]map[string]bool

func (m model) in(id string, rooms []string) bool {
	return slices.ContainsFunc(rooms, func(r string) bool { return m[id][r] })
}

func (m model) meant(t message.Target) []string {
	var ids []string
	for id := range m {
		if (len(t.Rooms) == 0 || m.in(id, t.Rooms)) && !m.in(id, t.Except) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// TestAgainstModel runs random operations on the adapter and on the model and compares all that can be seen.
func TestAgainstModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(16) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 0))
			link := newRoomLink(false)
			a, err := adapter.New(t.Context(), "/", link, &adapter.Options{Shards: 1 << rng.IntN(4)})
			if err != nil {
				t.Fatal(err)
			}
			want := model{}
			members := map[string]*fakeMember{}
			id := func() string { return fmt.Sprint("m", rng.IntN(12)) }
			// Some names of rooms are ids too, and there are more rooms than a member keeps in its list.
			names := func(limit int) []string {
				var rooms []string
				for range rng.IntN(limit + 1) {
					if rng.IntN(4) == 0 {
						rooms = append(rooms, id())
					} else {
						rooms = append(rooms, fmt.Sprint("r", rng.IntN(60)))
					}
				}
				return rooms
			}
			for step := range 1500 {
				who := id()
				switch rng.IntN(8) {
				case 0:
					rooms := names(5)
					m := &fakeMember{id: who}
					if added, _ := a.Add(t.Context(), m, rooms...); added {
						members[who] = m
						want[who] = map[string]bool{who: true}
					}
					for _, r := range rooms {
						want[who][r] = true
					}
				case 1:
					if rng.IntN(3) == 0 {
						a.Remove(who)
						delete(want, who)
						delete(members, who)
					}
				case 2, 3, 4:
					rooms := names(10)
					if present, _ := a.Join(t.Context(), who, rooms...); present != (want[who] != nil) {
						t.Fatalf("step %d: Join(%s) reports the wrong thing", step, who)
					}
					for _, r := range rooms {
						if want[who] != nil {
							want[who][r] = true
						}
					}
				case 5:
					rooms := names(6)
					a.Leave(who, rooms...)
					for _, r := range rooms {
						if r != who {
							delete(want[who], r)
						}
					}
				default:
					target := message.Target{Rooms: names(3), Except: names(6)}
					if err := a.Broadcast(t.Context(), newMessage("x"), target); err != nil {
						t.Fatal(err)
					}
					if got, want := receivers(members), want.meant(target); !slices.Equal(got, want) {
						t.Fatalf("step %d: %+v reached %v, want %v", step, target, got, want)
					}
				}
				compare(t, a, want, who)
				link.compare(t, want)
			}
		})
	}
}

func compare(t *testing.T, a *adapter.Adapter, want model, who string) {
	t.Helper()
	if a.Len() != len(want) {
		t.Fatalf("Len = %d, want %d", a.Len(), len(want))
	}
	var rooms []string
	for r := range want[who] {
		if r != who {
			rooms = append(rooms, r)
		}
	}
	if got := sorted(a.RoomsOf(who)); !slices.Equal(got, sorted(rooms)) {
		t.Fatalf("RoomsOf(%s) = %v, want %v", who, got, sorted(rooms))
	}
	all := map[string]int{}
	for _, in := range want {
		for r := range in {
			all[r]++
		}
	}
	for r, n := range all {
		if got := a.RoomLen(r); got != n {
			t.Fatalf("RoomLen(%s) = %d, want %d", r, got, n)
		}
	}
	for _, r := range a.Rooms() {
		if all[r] == 0 {
			t.Fatalf("empty room %s is still there", r)
		}
	}
}
