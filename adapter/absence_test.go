package adapter_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// guest is a member in the model: since when it is in its rooms, its id included, by the number of the message before.
type guest struct {
	rooms  map[string]int
	reader *reader
	got    []string // by the reader

	away *adapter.Absence // or nil
	at   int              // the last message before it went
}

type sentTo struct {
	n  int
	to message.Target
}

// meant reports whether a message was for g.
func (g *guest) meant(s sentTo) bool {
	for _, room := range s.to.Except {
		if _, in := g.rooms[room]; in {
			return false
		}
	}
	if len(s.to.Rooms) == 0 {
		return true
	}
	return slices.ContainsFunc(s.to.Rooms, func(room string) bool {
		since, in := g.rooms[room]
		return in && since < s.n
	})
}

// TestAbsenceAgainstModel has members go away and come back, join, leave and be disconnected meanwhile, and compares what
// can be seen with a model that remembers everything.
func TestAbsenceAgainstModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(16) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 2))
			link := newRoomLink(false)
			seen := &presence{t: t, in: make(map[string]bool)}
			a, err := adapter.New(t.Context(), "/", link, &adapter.Options{Shards: 1 << rng.IntN(4), Log: eventlog.NewMemory(nil), Observers: []adapter.Observer{seen}})
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close(t.Context())
			guests := map[string]*guest{}
			var sent []sentTo
			names := func(limit int) []string {
				var rooms []string
				for range rng.IntN(limit + 1) {
					if rng.IntN(8) == 0 {
						rooms = append(rooms, fmt.Sprint("m", rng.IntN(8)))
					} else {
						rooms = append(rooms, fmt.Sprint("r", rng.IntN(40)))
					}
				}
				return rooms
			}
			meant := func(to message.Target) (ids []string) {
				for id, g := range guests {
					if len(to.Rooms) > 0 && !slices.ContainsFunc(to.Rooms, func(r string) bool { _, in := g.rooms[r]; return in }) {
						continue
					}
					if !slices.ContainsFunc(to.Except, func(r string) bool { _, in := g.rooms[r]; return in }) {
						ids = append(ids, id)
					}
				}
				return ids
			}
			for step := range 1500 {
				id := fmt.Sprint("m", rng.IntN(8))
				g := guests[id]
				switch rng.IntN(9) {
				case 0:
					if g == nil || g.away != nil { // one that is away is forgotten
						g = &guest{rooms: map[string]int{id: len(sent)}, reader: &reader{id: id}}
						rooms := names(6)
						if added, _ := a.Add(t.Context(), g.reader, rooms...); !added {
							t.Fatalf("step %d: %s was not added", step, id)
						}
						for _, r := range rooms {
							g.rooms[r] = len(sent)
						}
						guests[id] = g
					}
				case 1, 2:
					if g != nil && g.away == nil {
						x, rooms := a.Suspend(g.reader)
						if x == nil || len(rooms) != len(g.rooms)-1 {
							t.Fatalf("step %d: suspended %v in %v, want %v", step, x, rooms, g.rooms)
						}
						g.away, g.at = x, len(sent)
					} else if g != nil {
						fresh := &reader{id: id}
						back(t, a, g.away, fresh, g.away.At)
						g.got = nil
						for _, s := range sent[g.at:] {
							if g.meant(s) {
								g.got = append(g.got, fmt.Sprintf("[%d]", s.n))
							}
						}
						g.reader, g.away = fresh, nil
					}
				case 3:
					if rng.IntN(4) == 0 {
						a.Remove(id)
						delete(guests, id)
					}
				case 4, 5:
					to := message.Target{Rooms: names(2), Except: names(1)}
					rooms := names(4)
					ids := meant(to)
					if rng.IntN(2) == 0 {
						err = a.JoinRooms(t.Context(), to, rooms...)
						for _, who := range ids {
							for _, r := range rooms {
								if _, in := guests[who].rooms[r]; !in {
									guests[who].rooms[r] = len(sent)
								}
							}
						}
					} else {
						err = a.LeaveRooms(t.Context(), to, rooms...)
						for _, who := range ids {
							for _, r := range rooms {
								if r != who {
									delete(guests[who].rooms, r)
								}
							}
						}
					}
					if err != nil {
						t.Fatal(err)
					}
				case 6:
					if rng.IntN(4) == 0 {
						to := message.Target{Rooms: []string{fmt.Sprint("r", rng.IntN(40)), id}}
						ids := meant(to)
						if err := a.Disconnect(t.Context(), to, false); err != nil {
							t.Fatal(err)
						}
						for _, who := range ids {
							if guests[who].away != nil {
								delete(guests, who)
							}
						}
					}
				default:
					s := sentTo{len(sent) + 1, message.Target{Rooms: names(3), Except: names(2)}}
					sent = append(sent, s)
					publish(t, a, s.n, s.to)
					for _, g := range guests {
						if g.away == nil && g.meant(s) {
							g.got = append(g.got, fmt.Sprintf("[%d]", s.n))
						}
					}
				}
				compareGuests(t, a, link, seen, guests)
			}
		})
	}
}

func compareGuests(t *testing.T, a *adapter.Adapter, link *roomLink, seen *presence, guests map[string]*guest) {
	t.Helper()
	all, there, in := model{}, model{}, []string{}
	for id, g := range guests {
		all[id] = map[string]bool{}
		for room := range g.rooms {
			all[id][room] = true
		}
		if g.away == nil {
			there[id] = all[id]
			for room := range g.rooms {
				in = append(in, id+" in "+room)
			}
			if got := g.reader.got(); !slices.Equal(got, g.got) {
				t.Fatalf("%s was given %v, want %v", id, got, g.got)
			}
		}
	}
	link.compare(t, all) // messages of other nodes are for those who are away too
	slices.Sort(in)
	if got := seen.now(); got != fmt.Sprint(in) {
		t.Fatalf("observers see %s, want %v", got, in)
	}
	if a.Away() != len(all)-len(there) {
		t.Fatalf("%d are away, want %d", a.Away(), len(all)-len(there))
	}
	who := ""
	for id := range there {
		who = id
	}
	compare(t, a, there, who)
	if n := a.RoomCount(); n != len(a.Rooms()) {
		t.Fatalf("%d rooms, and a list of %d", n, len(a.Rooms()))
	}
}

// Of those who come back as one that is away only the last who claimed it does.
func TestOneComesBack(t *testing.T) {
	t.Parallel()
	a := logged(t, nil)
	old := &reader{id: "m"}
	if _, err := a.Add(t.Context(), old, "room"); err != nil {
		t.Fatal(err)
	}
	for range 2000 {
		var rivals sync.WaitGroup
		x, _ := a.Suspend(old)
		publish(t, a, 1, message.Target{Rooms: []string{"room"}})
		var mu sync.Mutex
		var in []*reader
		for range 3 {
			rivals.Go(func() {
				m := &reader{id: "m"}
				if _, away := a.Claim(x, m); !away {
					return
				}
				_, err := a.Resume(t.Context(), m, adapter.Resumption{Absence: x, After: x.At})
				if err != nil && !errors.Is(err, adapter.ErrNotAway) {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					in = append(in, m)
				} else if len(m.got()) != 0 {
					t.Errorf("one that is not in was given %v", m.got())
				}
			})
		}
		rivals.Wait()
		if len(in) != 1 || a.Member("m") != adapter.Member(in[0]) || fmt.Sprint(in[0].got()) != "[[1]]" || a.Len() != 1 || a.Away() != 0 {
			t.Fatalf("%d are in, %d members", len(in), a.Len())
		}
		old = in[0]
	}
}

// stopper is a member whose Deliver waits.
type stopper struct {
	reader
	reached, goOn chan struct{}
}

func (s *stopper) Deliver(*message.Message) {
	s.reached <- struct{}{}
	<-s.goOn
}

// Who joins while a message is on its way, and is reached by it, has joined before it.
func TestJoinDuringDelivery(t *testing.T) {
	t.Parallel()
	a := logged(t, nil)
	slow := &stopper{reader{id: "slow"}, make(chan struct{}), make(chan struct{})}
	m := &reader{id: "m"}
	for who, room := range map[adapter.Member]string{slow: "first", m: "lobby"} {
		if _, err := a.Add(t.Context(), who, room); err != nil {
			t.Fatal(err)
		}
	}
	from := a.Bounds().Top
	publish(t, a, 1, message.Target{Rooms: []string{"second"}})
	done := make(chan struct{})
	go func() {
		defer close(done)
		publish(t, a, 2, message.Target{Rooms: []string{"first", "second"}})
	}()
	<-slow.reached
	if _, err := a.Join(t.Context(), "m", "second"); err != nil {
		t.Fatal(err)
	}
	slow.goOn <- struct{}{}
	<-done
	if got := fmt.Sprint(m.got()); got != "[[2]]" {
		t.Fatalf("given %s", got)
	}
	x, _ := a.Suspend(m)
	again := &reader{id: "m"}
	back(t, a, x, again, from) // it has nothing of that
	if got := fmt.Sprint(again.got()); got != "[[2]]" {
		t.Fatalf("given %s when it came back", got)
	}
}
