package redispubsub

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/peal-dev/peal/internal/lograte"
)

// GapCause says why messages of other nodes may be missing on this one.
type GapCause string

// The causes of a [Gap].
const (
	// GapReconnect: Redis could not be reached for a while.
	GapReconnect GapCause = "reconnect"
	// GapKilled: the connection ended although Redis could be reached. Redis ends it when too much waits to be sent on it,
	// because this node did not read for a while, or by an operator's CLIENT KILL.
	GapKilled GapCause = "killed"
	// GapOverflow: messages came faster than this node handles them, and its inbox was full.
	GapOverflow GapCause = "overflow"
	// GapStall: Redis took a probe and did not send it back in time.
	GapStall GapCause = "stall"
	// GapRefused: Redis refused a channel of a namespace that had been subscribed to before.
	GapRefused GapCause = "refused"
)

var gapCauses = []GapCause{GapReconnect, GapKilled, GapOverflow, GapStall, GapRefused}

// Gap is a time in which messages of other nodes may not have reached this one. Redis Pub/Sub does not tell whether there
// were any.
type Gap struct {
	Cause     GapCause
	Namespace string    // "" means all
	From      time.Time // what was published before was received
	To        time.Time // zero while it lasts
	Dropped   uint64    // how many messages are known to be missing
}

// gaps counts gaps and tells of them.
type gaps struct {
	often *lograte.Logger

	mu     sync.Mutex
	counts map[GapCause]uint64
	last   Gap
}

// begin counts a gap and returns it for its end.
func (g *gaps) begin(gap Gap) *Gap {
	g.mu.Lock()
	if g.counts == nil {
		g.counts = make(map[GapCause]uint64)
	}
	g.counts[gap.Cause]++
	g.last = gap
	g.mu.Unlock()
	if gap.Cause == GapOverflow || gap.Cause == GapStall { // of which no other line tells
		g.often.Log(context.Background(), slog.LevelWarn, "begin "+string(gap.Cause), "redispubsub: messages of other nodes are missing", gap.attrs()...)
	}
	return &gap
}

// end tells that a gap is over, which is when its length is known.
func (g *gaps) end(gap *Gap, to time.Time, dropped uint64) {
	gap.To, gap.Dropped = to, dropped
	g.mu.Lock()
	g.last = *gap
	g.mu.Unlock()
	g.often.Log(context.Background(), slog.LevelWarn, "gap "+string(gap.Cause), "redispubsub: messages of other nodes may be missing", gap.attrs()...)
}

func (gap *Gap) attrs() []slog.Attr {
	attrs := []slog.Attr{slog.String("cause", string(gap.Cause)), slog.Time("from", gap.From)}
	if !gap.To.IsZero() {
		attrs = append(attrs, slog.Time("to", gap.To))
	}
	if gap.Namespace != "" {
		attrs = append(attrs, slog.String("namespace", gap.Namespace))
	}
	if gap.Dropped > 0 {
		attrs = append(attrs, slog.Uint64("dropped", gap.Dropped))
	}
	return attrs
}

func (g *gaps) stats() (counts map[GapCause]uint64, last Gap) {
	counts = make(map[GapCause]uint64, len(gapCauses))
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, cause := range gapCauses {
		counts[cause] = g.counts[cause]
	}
	return counts, g.last
}
