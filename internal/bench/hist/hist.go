// Package hist counts durations in logarithmic buckets: a fixed few kilobytes for any number of values, with quantiles
// that are at most about 3 % too high.
package hist

import (
	"math/bits"
	"time"
)

const (
	subBits = 5 // 32 buckets between powers of two
	sub     = 1 << subBits
	count   = (64 - subBits) * sub
)

// Histogram counts durations. Its zero value is empty and ready to use. It is not safe for concurrent use.
type Histogram struct {
	counts [count]uint64
	n      uint64
	sum    time.Duration
	max    time.Duration
}

func bucket(v uint64) int {
	if v < sub {
		return int(v)
	}
	shift := bits.Len64(v) - 1 - subBits
	return (shift+1)*sub + int(v>>shift) - sub
}

// upper returns the largest value of a bucket.
func upper(i int) uint64 {
	if i < sub {
		return uint64(i)
	}
	shift := i/sub - 1
	return (uint64(i%sub+sub+1) << shift) - 1
}

// Record counts d; a negative duration, which a clock that was set back makes, counts as zero.
func (h *Histogram) Record(d time.Duration) {
	d = max(d, 0)
	h.counts[min(bucket(uint64(d)), count-1)]++
	h.n++
	h.sum += d
	h.max = max(h.max, d)
}

// Add counts the durations of a bucket of another histogram, as its upper bound.
func (h *Histogram) Add(b Bucket) {
	h.counts[min(bucket(uint64(b.Upper)), count-1)] += b.Count
	h.n += b.Count
	h.sum += b.Upper * time.Duration(b.Count)
	h.max = max(h.max, b.Upper)
}

// Merge counts what another histogram has counted.
func (h *Histogram) Merge(o *Histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.n += o.n
	h.sum += o.sum
	h.max = max(h.max, o.max)
}

// Count returns how many durations were recorded.
func (h *Histogram) Count() uint64 { return h.n }

// Max returns the longest duration.
func (h *Histogram) Max() time.Duration { return h.max }

// Mean returns the mean, zero if nothing was recorded.
func (h *Histogram) Mean() time.Duration {
	if h.n == 0 {
		return 0
	}
	return h.sum / time.Duration(h.n)
}

// Quantile returns a duration that the fraction q of the recorded ones does not exceed, zero if nothing was recorded.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	want := uint64(q*float64(h.n) + 0.999999)
	want = min(max(want, 1), h.n)
	var seen uint64
	for i, n := range h.counts {
		if seen += n; seen >= want {
			return min(time.Duration(upper(i)), h.max)
		}
	}
	return h.max
}

// Bucket is a part of a histogram: how many durations were not longer than Upper, and longer than the bucket before.
type Bucket struct {
	Upper time.Duration
	Count uint64
}

// Buckets returns the buckets that are not empty, shortest first.
func (h *Histogram) Buckets() []Bucket {
	var out []Bucket
	for i, n := range h.counts {
		if n > 0 {
			out = append(out, Bucket{Upper: time.Duration(upper(i)), Count: n})
		}
	}
	return out
}

// Reset empties the histogram.
func (h *Histogram) Reset() { *h = Histogram{} }
