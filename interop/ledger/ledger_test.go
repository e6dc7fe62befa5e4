package ledger_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/interop/ledger"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The client and the room of the stories, and two publishers.
const (
	client = 0
	room   = 1
	p, q   = 0, 1
)

// told is a ledger in which a story is entered.
type told struct{ *ledger.Ledger }

func (l told) publish(publisher int, numbers int) {
	for range numbers {
		l.Publish(publisher, room)
	}
}

func (l told) arrive(publisher int, numbers ...int) {
	for _, n := range numbers {
		l.Arrived(client, room, publisher, n, time.Millisecond)
	}
}

func (l told) join() {
	l.Joining(client, room)
	l.Joined(client, room)
}

func (l told) leave() {
	l.Leaving(client, room)
	l.Left(client, room)
}

func TestJudges(t *testing.T) {
	t.Parallel()
	for _, story := range []struct {
		name string
		tell func(told)
		want ledger.Report // but for what was published, joined and left
	}{
		{"all well", func(l told) {
			l.publish(p, 2)
			l.join()
			l.publish(p, 2)
			l.publish(q, 1)
			l.arrive(p, 2)
			l.arrive(q, 0)
			l.arrive(p, 3)
			l.leave()
			l.publish(p, 1)
		}, ledger.Report{Due: 3, Arrived: 3}},
		{"what is on the way when a client asks to be let in may arrive", func(l told) {
			l.publish(p, 3)
			l.Joining(client, room)
			l.publish(p, 1)
			l.arrive(p, 1, 3)
			l.Joined(client, room)
			l.publish(p, 1)
			l.arrive(p, 4)
		}, ledger.Report{Due: 1, Arrived: 3}},
		{"lost, and nothing behind it", func(l told) {
			l.join()
			l.publish(p, 2)
			l.arrive(p, 0)
		}, ledger.Report{Due: 2, Arrived: 1, Lost: 1}},
		{"lost in a stay that has ended", func(l told) {
			l.join()
			l.publish(p, 3)
			l.arrive(p, 0, 2)
			l.leave()
		}, ledger.Report{Due: 3, Arrived: 2, Lost: 1}},
		{"what is on the way when a client asks to leave need not arrive", func(l told) {
			l.join()
			l.publish(p, 2)
			l.Leaving(client, room)
			l.publish(p, 3)
			l.arrive(p, 0, 3)
			l.Left(client, room)
		}, ledger.Report{Due: 2, Arrived: 2, Lost: 1}},
		{"a leaving that is never confirmed", func(l told) {
			l.join()
			l.publish(p, 2)
			l.Leaving(client, room)
			l.publish(p, 2)
			l.arrive(p, 0)
		}, ledger.Report{Due: 2, Arrived: 1, Lost: 1}},
		{"twice", func(l told) {
			l.join()
			l.publish(p, 2)
			l.arrive(p, 0, 1, 0)
		}, ledger.Report{Due: 2, Arrived: 2, Twice: 1}},
		{"out of order", func(l told) {
			l.join()
			l.publish(p, 2)
			l.publish(q, 1)
			l.arrive(p, 1)
			l.arrive(q, 0)
			l.arrive(p, 0)
		}, ledger.Report{Due: 3, Arrived: 3, Disordered: 1}},
		{"behind the end", func(l told) {
			l.join()
			l.publish(p, 1)
			l.leave()
			l.arrive(p, 0)
		}, ledger.Report{Astray: 1}},
		{"never there, and never published", func(l told) {
			l.publish(p, 1)
			l.arrive(p, 0)
			l.join()
			l.arrive(p, 1)
			l.arrive(2, 0)
			l.Arrived(client, 2, p, 0, 0)
			l.Arrived(client, -1, p, 0, 0)
			l.arrive(-1, 0)
			l.arrive(p, -1)
		}, ledger.Report{Astray: 7}},
		{"a second stay has nothing of the first", func(l told) {
			l.join()
			l.publish(p, 1)
			l.arrive(p, 0)
			l.leave()
			l.publish(p, 1)
			l.join()
			l.publish(p, 1)
			l.arrive(p, 2)
		}, ledger.Report{Due: 2, Arrived: 2}},
		{"who has another join is heard by it from then on", func(l told) {
			l.publish(p, 1)
			l.JoiningBy(client, room, p)
			l.publish(p, 2)
			l.publish(q, 1)
			l.arrive(p, 2)
			l.Joined(client, room)
			l.publish(q, 1)
		}, ledger.Report{Due: 3, Arrived: 1, Lost: 2}},
		{"who has another leave is not heard by it any more", func(l told) {
			l.join()
			l.LeavingBy(client, room, p)
			l.publish(p, 1)
			l.publish(q, 1)
			l.arrive(p, 0)
			l.arrive(q, 0)
			l.Left(client, room)
		}, ledger.Report{Arrived: 1, Astray: 1}},
	} {
		t.Run(story.name, func(t *testing.T) {
			t.Parallel()
			l := told{ledger.New(2, 2)}
			story.tell(l)
			got := l.Close()
			if got.Arrived > 0 && (got.P50 != time.Millisecond || got.P99 != time.Millisecond || got.Longest != time.Millisecond) {
				t.Errorf("messages took %v, %v, %v", got.P50, got.P99, got.Longest)
			}
			if got.Faults() != story.want.Lost+story.want.Twice+story.want.Disordered+story.want.Astray {
				t.Errorf("%d faults", got.Faults())
			}
			got.Published, got.Joins, got.Leaves, got.P50, got.P99, got.Longest = 0, 0, 0, 0, 0, 0
			if got != story.want {
				t.Errorf("%+v, want %+v", got, story.want)
			}
		})
	}
}

func TestSettled(t *testing.T) {
	t.Parallel()
	l := told{ledger.New(2, 2)}
	if l.Open(client, room) {
		t.Error("there is a stay before anybody asks to be let in")
	}
	l.join()
	if !l.Open(client, room) || l.Open(client+1, room) || !l.Settled(client, room) || l.Waiting() != 0 {
		t.Error("a new stay is not settled")
	}
	l.publish(q, 1)
	if l.Settled(client, room) || l.Waiting() != 1 {
		t.Error("a stay that waits for a message is settled")
	}
	l.arrive(q, 0)
	if !l.Settled(client, room) || l.Waiting() != 0 {
		t.Error("a stay that has everything is not settled")
	}
	l.leave()
	if l.Open(client, room) {
		t.Error("a stay is open when it has ended")
	}
}
