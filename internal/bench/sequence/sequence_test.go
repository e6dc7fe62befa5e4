package sequence_test

import (
	"math/rand/v2"
	"testing"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/internal/bench/sequence"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTracker(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		arrive []uint32
		total  uint32
		want   sequence.Counts
	}{
		"nothing sent":             {nil, 0, sequence.Counts{}},
		"all well":                 {[]uint32{0, 1, 2}, 3, sequence.Counts{Received: 3}},
		"none came":                {nil, 3, sequence.Counts{Lost: 3}},
		"the first is lost":        {[]uint32{1, 2}, 3, sequence.Counts{Received: 2, Lost: 1}},
		"the last is lost":         {[]uint32{0, 1}, 3, sequence.Counts{Received: 2, Lost: 1}},
		"twice at once":            {[]uint32{0, 0, 1}, 2, sequence.Counts{Received: 2, Duplicated: 1}},
		"twice later":              {[]uint32{0, 1, 2, 1}, 3, sequence.Counts{Received: 3, Duplicated: 1}},
		"swapped":                  {[]uint32{0, 2, 1}, 3, sequence.Counts{Received: 3, Reordered: 1}},
		"swapped and twice":        {[]uint32{1, 0, 0}, 2, sequence.Counts{Received: 2, Reordered: 1, Duplicated: 1}},
		"a gap beyond the window":  {[]uint32{0, 200, 199}, 201, sequence.Counts{Received: 3, Reordered: 1, Lost: 198}},
		"twice beyond the window":  {[]uint32{0, 200, 0}, 201, sequence.Counts{Received: 2, Duplicated: 1, Lost: 199}},
		"a gap of the window":      {[]uint32{0, 64, 1}, 65, sequence.Counts{Received: 3, Reordered: 1, Lost: 62}},
		"just behind the window":   {[]uint32{0, 64, 0}, 65, sequence.Counts{Received: 2, Duplicated: 1, Lost: 63}},
		"a gap of the window less": {[]uint32{0, 63, 0}, 64, sequence.Counts{Received: 2, Duplicated: 1, Lost: 62}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var tracker sequence.Tracker
			var got sequence.Counts
			for _, n := range test.arrive {
				tracker.Arrived(n, &got)
			}
			tracker.Finish(test.total, &got)
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

// What arrives after the end is either new, and was counted as lost, or a repetition.
func TestArrivalsAfterFinish(t *testing.T) {
	t.Parallel()
	var tracker sequence.Tracker
	var got sequence.Counts
	tracker.Arrived(0, &got)
	tracker.Finish(3, &got)
	tracker.Arrived(0, &got)
	tracker.Arrived(2, &got)
	if want := (sequence.Counts{Received: 2, Duplicated: 1, Reordered: 1, Lost: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	tracker.Skip(10)
	tracker.Arrived(9, &got)
	tracker.Arrived(10, &got)
	if want := (sequence.Counts{Received: 3, Duplicated: 2, Reordered: 1, Lost: 1}); got != want {
		t.Errorf("after Skip: got %+v, want %+v", got, want)
	}
}

// Whatever the order within the window, what was received and lost adds up to what was sent.
func TestShuffled(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		const total = 40
		order := random.Perm(total)
		lost := random.IntN(total)
		var tracker sequence.Tracker
		var got sequence.Counts
		for _, n := range order[lost:] {
			if !tracker.Arrived(uint32(n), &got) {
				t.Fatalf("message %d of %v counted as a repetition", n, order[lost:])
			}
			if tracker.Arrived(uint32(n), &got) {
				t.Fatalf("message %d of %v counted twice", n, order[lost:])
			}
		}
		tracker.Finish(total, &got)
		if got.Received != uint64(total-lost) || got.Lost != uint64(lost) || got.Duplicated != uint64(total-lost) {
			t.Fatalf("%v: %+v", order[lost:], got)
		}
	}
}
