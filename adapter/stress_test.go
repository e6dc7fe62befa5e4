package adapter_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/message"
)

// countMember counts deliveries without allocating.
type countMember struct {
	id string
	n  atomic.Int64
}

func (c *countMember) ID() string               { return c.id }
func (c *countMember) Deliver(*message.Message) { c.n.Add(1) }
func (c *countMember) Disconnect(bool)          {}

// TestStress lets members come, go and move between rooms while others broadcast. Members that stay must get every
// broadcast of their rooms exactly once, whatever the others do.
func TestStress(t *testing.T) {
	t.Parallel()
	link := newRoomLink(false)
	a := newAdapter(t, link)
	const stayers, movers, rounds = 50, 4, 400
	var stay []*countMember
	for i := range stayers {
		m := &countMember{id: fmt.Sprint("stay", i)}
		stay = append(stay, m)
		a.Add(t.Context(), m, "a", "b")
	}

	var work, broadcasts sync.WaitGroup
	stop := make(chan struct{})
	for w := range movers {
		work.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				// Movers share ids, so that Add and Remove of one id meet.
				id := fmt.Sprint("move", rng.IntN(movers*2))
				switch n % 4 {
				case 0:
					a.Add(t.Context(), &countMember{id: id}, "a")
				case 1:
					a.Join(t.Context(), id, "b", "c", fmt.Sprint("own", rng.IntN(3)))
				case 2:
					a.Leave(id, "a", "own0", "own1", "own2")
				case 3:
					a.Remove(id)
				}
			}
		})
	}
	var sent atomic.Int64
	for b := range 3 {
		broadcasts.Go(func() {
			targets := []message.Target{
				{},
				{Rooms: []string{"a"}},
				{Rooms: []string{"a", "b", "c", "own0"}},
				{Rooms: []string{"b", "a"}, Except: []string{"c", "move1"}},
				{Except: []string{"move0"}},
			}
			for i := range rounds {
				_ = a.Broadcast(context.Background(), newMessage("x"), targets[(i+b)%len(targets)])
				sent.Add(1)
			}
		})
	}
	broadcasts.Wait()
	close(stop)
	work.Wait()

	for _, m := range stay {
		if m.n.Load() != sent.Load() {
			t.Errorf("%s got %d of %d broadcasts", m.id, m.n.Load(), sent.Load())
		}
	}
	a.Each(message.Target{}, func(m adapter.Member) bool { a.Remove(m.ID()); return true })
	if a.Len() != 0 || len(a.Rooms()) != 0 {
		t.Errorf("%d members and rooms %v left behind", a.Len(), a.Rooms())
	}
	link.compare(t, nil)
}
