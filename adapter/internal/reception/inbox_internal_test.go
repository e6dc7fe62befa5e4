package reception

import (
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/adapter"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newMonitor(t *testing.T) *Monitor {
	m := New(Options{Driver: "test", Broker: "the test", Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(m.Close)
	return m
}

// TestInboxAgainstModel puts and takes at random and compares with the plainest queue that has the same bounds.
func TestInboxAgainstModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 0))
		monitor := newMonitor(t)
		const maxLen, maxBytes = 16, 400
		b := newInbox(monitor, "/", maxLen, maxBytes, func(int) {})
		var model []item[int]
		size, full, overflows, dropped := 0, false, uint64(0), uint64(0)
		for i := range 5000 {
			if random.IntN(100) < 50+int(seed%10)-5 {
				m := item[int]{i, 1 + random.IntN(60), time.Unix(int64(i), 0)}
				change := random.IntN(8) == 0
				room := 1
				if change {
					room = 2
				}
				ok := len(model) == 0 || len(model) < room*maxLen && size+m.size <= room*maxBytes && (change || !full)
				switch {
				case ok:
					model = append(model, m)
					size += m.size
				default:
					dropped++
					if !full {
						full, overflows = true, overflows+1
					}
				}
				if got := b.put(m, change); got != ok {
					t.Fatalf("seed %d, step %d: put = %v, want %v", seed, i, got, ok)
				}
			} else {
				m, ok := b.take()
				if ok != (len(model) > 0) || ok && m != model[0] {
					t.Fatalf("seed %d, step %d: took %v, %v, want one of %d", seed, i, m, ok, len(model))
				}
				if ok {
					size -= model[0].size
					model = model[1:]
				}
				if full && len(model) <= maxLen/2 && size <= maxBytes/2 {
					full = false
					if last := monitor.Stats().LastGap; last.To.IsZero() || last.Dropped != dropped {
						t.Fatalf("seed %d, step %d: the gap is %+v, want %d dropped", seed, i, last, dropped)
					}
					dropped = 0
				}
			}
			if counts := monitor.Stats().Gaps; counts[adapter.GapOverflow] != overflows || b.Len() != len(model) {
				t.Fatalf("seed %d, step %d: %d overflows and %d waiting, want %d and %d", seed, i, counts[adapter.GapOverflow], b.Len(), overflows, len(model))
			}
		}
	}
}
