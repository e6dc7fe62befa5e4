package redispubsub

import "github.com/peal-dev/peal/adapter/internal/pealwire"

// maxHeard is of how many links it is known at least what came last.
const maxHeard = 1024

// heard is the number of the latest frame that came from each other Peal node. What one of them publishes comes in the order of
// its numbers, so what comes again, in the words of Node.js nodes, is known by its number. It belongs to one goroutine; the zero
// value has heard nothing.
type heard struct {
	latest, before map[pealwire.UID]uint64
}

// note notes a frame.
func (h *heard) note(uid pealwire.UID, number uint64) {
	if _, known := h.latest[uid]; !known && len(h.latest) >= maxHeard || h.latest == nil {
		h.before, h.latest = h.latest, make(map[pealwire.UID]uint64)
	}
	h.latest[uid] = number
}

// has reports whether the frame of that number has come, or one after it.
func (h *heard) has(uid pealwire.UID, number uint64) bool {
	latest, known := h.latest[uid]
	if !known {
		latest = h.before[uid]
	}
	return number <= latest
}
