package service

import (
	"math/rand/v2"
	"time"
)

// Backoff says how long to wait before what has failed is tried again: Min at first and twice as long with each further
// failure, with up to half more by chance, so that those whom one event has cut off do not all come back at once; and never
// longer than Max. It is for one goroutine.
type Backoff struct {
	Min, Max time.Duration // Max is at least Min

	base time.Duration // of the next pause; 0 means Min
}

// Next returns the pause after one more failure.
func (b *Backoff) Next() time.Duration {
	d := max(b.base, b.Min)
	b.base = max(min(2*d, b.Max/3*2), b.Min) // what is added by chance must have room below Max
	return min(d+rand.N(d/2+1), b.Max)
}

// Reset begins again with Min: it went well.
func (b *Backoff) Reset() { b.base = 0 }
