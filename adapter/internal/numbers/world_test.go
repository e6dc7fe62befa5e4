package numbers

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

var errDoubt = errors.New("the connection ended")

// world is a publisher, a wire and a node that receives, with what is true of both.
type world struct {
	t        *testing.T
	random   *rand.Rand
	sender   Sender
	receiver Receiver
	now      time.Time

	away    bool // the receiver's connection is
	number  int
	sent    []sent
	open    map[Audience]uint64 // rooms, and what Opened wants to know
	steady  map[Audience]bool   // rooms that are never closed
	met     bool                // a first beat has come
	lost    uint64
	unknown bool
}

// sent is an accepted message.
type sent struct {
	to      Audience
	arrived bool
	judged  bool // it was published after the first beat that came
}

func (w *world) name() string { return "p" }

// publish publishes one message, of which anything may become.
func (w *world) publish(to Audience) {
	w.number++
	payload := fmt.Appendf(nil, "message %d", w.number)
	arrives := !w.away && w.random.IntN(50) > 0
	switch w.random.IntN(30) {
	case 0: // refused
		return
	case 1, 2:
		w.sender.Sent(to, payload, errDoubt)
		arrives = arrives && w.random.IntN(2) == 0
	default:
		w.sender.Sent(to, payload, nil)
		w.sent = append(w.sent, sent{to, arrives, w.met})
	}
	if _, heard := w.open[to]; arrives && (to == All || heard) {
		w.receiver.Came(w.name(), to, payload)
	}
}

// beat publishes a beat, which may be lost or be in doubt.
func (w *world) beat(surely bool) {
	b := w.sender.Next()
	if b == nil {
		return
	}
	arrives := surely || !w.away && w.random.IntN(10) > 0
	if !surely && w.random.IntN(10) == 0 {
		w.sender.Told(errDoubt)
	} else {
		w.sender.Told(nil)
	}
	if arrives {
		w.hear(b, surely)
	}
}

func (w *world) hear(b []byte, surely bool) {
	w.now = w.now.Add(time.Second)
	f, err := w.receiver.Beat(w.name(), b, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	w.met = true
	w.found(f, surely)
}

func (w *world) found(f Finding, surely bool) {
	w.lost += f.Lost
	w.unknown = w.unknown || f.Unknown
	w.answer(f.Ask, surely)
}

// answer is what the publisher sends when it is asked.
func (w *world) answer(a Ask, surely bool) {
	if a.Last == 0 || !surely && (w.away || w.random.IntN(4) == 0) {
		return
	}
	for _, b := range w.sender.Again(a.First, a.Last) {
		if surely || w.random.IntN(8) > 0 {
			w.hear(b, surely)
		}
	}
}

func (w *world) tick(surely bool) {
	w.now = w.now.Add(time.Second)
	asks, givenUp := w.receiver.Asks(w.now)
	for _, f := range givenUp {
		w.found(f, surely)
	}
	for _, a := range asks {
		w.answer(a, surely)
	}
}

func (w *world) toggle(room Audience) {
	if _, ok := w.open[room]; ok {
		delete(w.open, room)
		w.receiver.Closed(room)
		return
	}
	w.open[room] = w.receiver.Opening(room)
	w.receiver.Opened(room, w.open[room])
}
