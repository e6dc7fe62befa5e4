// Package tally counts by reason.
package tally

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// maxReasons bounds what is kept; further reasons count as [Other].
const maxReasons = 64

// Other stands for the reasons that came when there were too many.
const Other = "other"

// Tally counts how often something happened for each reason. The zero value is ready; it is safe for concurrent use.
// Reasons are words of a program: they become labels of metrics.
type Tally struct {
	mu     sync.Mutex
	counts map[string]uint64
}

// Add counts once more for a reason.
func (t *Tally) Add(reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = make(map[string]uint64)
	}
	if _, known := t.counts[reason]; !known && len(t.counts) >= maxReasons {
		reason = Other
	}
	t.counts[reason]++
}

// Counts returns the reasons there were and how often. The map is the caller's, and not nil.
func (t *Tally) Counts() map[string]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		return make(map[string]uint64)
	}
	return maps.Clone(t.counts)
}

// Fixed counts for reasons that are known beforehand: those that did not occur are zero in what it returns, not missing. Make
// it with [Of]. It is safe for concurrent use and takes no lock.
type Fixed[R ~string] struct {
	reasons []R
	counts  []atomic.Uint64
}

// Of returns a tally for these reasons.
func Of[R ~string](reasons ...R) Fixed[R] {
	return Fixed[R]{reasons, make([]atomic.Uint64, len(reasons)+1)}
}

// Add counts once more for a reason. What is none of the known ones counts as [Other].
func (f *Fixed[R]) Add(reason R) {
	at := slices.Index(f.reasons, reason)
	if at < 0 {
		at = len(f.reasons)
	}
	f.counts[at].Add(1)
}

// Counts returns how often each reason occurred, and [Other] if that did. The map is the caller's.
func (f *Fixed[R]) Counts() map[R]uint64 {
	counts := make(map[R]uint64, len(f.counts))
	for i, reason := range f.reasons {
		counts[reason] = f.counts[i].Load()
	}
	if others := f.counts[len(f.reasons)].Load(); others > 0 {
		counts[Other] += others
	}
	return counts
}
