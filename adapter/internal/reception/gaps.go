package reception

import (
	"log/slog"
	"sync"
	"time"

	"github.com/peal-dev/peal/adapter"
)

// gaps counts gaps and tells of them.
type gaps struct {
	tell func(cause, text string, attrs ...slog.Attr)

	mu     sync.Mutex
	counts map[adapter.GapCause]uint64
	last   adapter.Gap
}

// begin counts a gap and returns it for its end.
func (g *gaps) begin(gap adapter.Gap) *adapter.Gap {
	g.mu.Lock()
	if g.counts == nil {
		g.counts = make(map[adapter.GapCause]uint64)
	}
	g.counts[gap.Cause]++
	g.last = gap
	g.mu.Unlock()
	if gap.Cause == adapter.GapOverflow || gap.Cause == adapter.GapStall { // of which no other line tells
		g.tell("begin "+string(gap.Cause), "messages of other nodes are missing", attrs(&gap)...)
	}
	return &gap
}

// end tells that a gap is over, which is when its length is known.
func (g *gaps) end(gap *adapter.Gap, to time.Time, dropped uint64) {
	gap.To, gap.Dropped = to, dropped
	g.mu.Lock()
	g.last = *gap
	g.mu.Unlock()
	g.tell("gap "+string(gap.Cause), "messages of other nodes may be missing", attrs(gap)...)
}

func attrs(gap *adapter.Gap) []slog.Attr {
	list := []slog.Attr{slog.String("cause", string(gap.Cause)), slog.Time("from", gap.From)}
	if !gap.To.IsZero() {
		list = append(list, slog.Time("to", gap.To))
	}
	if gap.Namespace != "" {
		list = append(list, slog.String("namespace", gap.Namespace))
	}
	if gap.Dropped > 0 {
		list = append(list, slog.Uint64("dropped", gap.Dropped))
	}
	return list
}

func (g *gaps) stats() (counts map[adapter.GapCause]uint64, last adapter.Gap) {
	causes := adapter.GapCauses()
	counts = make(map[adapter.GapCause]uint64, len(causes))
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, cause := range causes {
		counts[cause] = g.counts[cause]
	}
	return counts, g.last
}
