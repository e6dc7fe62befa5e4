package logtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// interest compares what is covered with a model that has trimmed nothing: a reader is refused if something that was for it
// is not there any more, and only then.
func interest(t *testing.T, fresh New) {
	const rooms = 6
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 3))
		l := fresh(t, 60)
		offsets := []message.Offset{l.Bounds().Top}
		sent := [][]string{nil}
		name := func() string { return fmt.Sprint("r", rng.IntN(rooms)) }
		covered, refused := 0, 0
		for range 400 {
			var to []string
			if rng.IntN(15) > 0 {
				to = append(to, name())
				if rng.IntN(4) == 0 {
					to = append(to, name())
				}
			}
			offsets = append(offsets, l.Append(message.New([]byte(`["n"]`)), message.Target{Rooms: to, Except: []string{"x"}}))
			sent = append(sent, to)
			in := &eventlog.Interest{ID: "id", Rooms: map[string]message.Offset{}}
			born := rng.IntN(len(offsets))
			since := map[string]int{"id": born}
			in.Rooms["id"] = offsets[born]
			for range rng.IntN(3) {
				room, at := name(), rng.IntN(len(offsets))
				since[room], in.Rooms[room] = at, offsets[at]
			}
			after := rng.IntN(len(offsets))
			var want []message.Offset
			for n := after + 1; n < len(sent); n++ {
				meant := sent[n] == nil && n > born
				for room, from := range since {
					meant = meant || n > from && slices.Contains(sent[n], room)
				}
				if meant {
					want = append(want, offsets[n])
				}
			}
			lost := len(want) > 0 && want[0].Compare(l.Bounds().Floor) <= 0
			got, err := l.Read(offsets[after], in)
			var e *eventlog.OffsetError
			if cover := l.Cover(offsets[after], in); lost != errors.As(err, &e) || lost != (cover != nil) {
				t.Fatalf("seed %d: a reader of %v at number %d of %d, of which it has lost some: %v, is told %v, and %v", seed, since, after, len(sent), lost, err, cover)
			}
			if lost {
				refused++
				continue
			}
			covered++
			for _, offset := range want {
				if !slices.ContainsFunc(got, func(e *eventlog.Entry) bool { return e.Offset == offset }) {
					t.Fatalf("seed %d: %v is not among what was read", seed, offset)
				}
			}
		}
		if covered == 0 || refused == 0 {
			t.Fatalf("%d covered, %d refused: nothing was tested", covered, refused)
		}
	}
}
