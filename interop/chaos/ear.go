package chaos

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/peal-dev/peal/message"
)

// ear is an [adapter.Member] that notes what it hears, by audience and publisher.
type ear struct {
	mu    sync.Mutex
	heard [][][]receipt
}

// receipt is a message that arrived.
type receipt struct {
	number    int
	published time.Time
	arrived   time.Time
}

func newEar(publishers int) *ear {
	e := &ear{heard: make([][][]receipt, len(audiences))}
	for a := range e.heard {
		e.heard[a] = make([][]receipt, publishers)
	}
	return e
}

// ID implements [adapter.Member].
func (*ear) ID() string { return "ear" }

// Disconnect implements [adapter.Member].
func (*ear) Disconnect(bool) {}

// Deliver implements [adapter.Member].
func (e *ear) Deliver(m *message.Message) {
	now := time.Now()
	parts := strings.Split(m.Event(), ":")
	var numbers [4]int
	for i, part := range parts {
		numbers[i], _ = strconv.Atoi(part) // of our own making
	}
	audience, publisher := numbers[0], numbers[1]
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard[audience][publisher] = append(e.heard[audience][publisher], receipt{numbers[2], time.UnixMicro(int64(numbers[3])), now})
}

// last returns what arrived last; number -1 if nothing did.
func (e *ear) last(audience, publisher int) receipt {
	e.mu.Lock()
	defer e.mu.Unlock()
	heard := e.heard[audience][publisher]
	if len(heard) == 0 {
		return receipt{number: -1}
	}
	return heard[len(heard)-1]
}
