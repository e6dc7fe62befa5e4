// Package tally counts by reason.
package tally

import (
	"maps"
	"sync"
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
