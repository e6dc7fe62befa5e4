package hist_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/internal/bench/hist"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A quantile is the true one or up to one bucket, a 32nd, longer.
func TestQuantiles(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var h hist.Histogram
	var all []time.Duration
	var sum time.Duration
	for range 10_000 {
		d := time.Duration(random.Int64N(1 << random.IntN(40)))
		h.Record(d)
		all = append(all, d)
		sum += d
	}
	slices.Sort(all)
	for _, q := range []float64{0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1} {
		exact := all[min(max(int(q*float64(len(all))+0.999999)-1, 0), len(all)-1)]
		if got := h.Quantile(q); got < exact || got > exact+exact/32 {
			t.Errorf("quantile %g is %d, exactly it is %d", q, got, exact)
		}
	}
	if h.Count() != 10_000 || h.Max() != all[len(all)-1] || h.Mean() != sum/10_000 {
		t.Errorf("count %d, max %d, mean %d", h.Count(), h.Max(), h.Mean())
	}
}

// Histograms of several processes add up to one.
func TestAdd(t *testing.T) {
	t.Parallel()
	var parts [3]hist.Histogram
	var whole, sum, merged hist.Histogram
	for i := range 3000 {
		d := time.Duration(i) * time.Millisecond
		parts[i%3].Record(d)
		whole.Record(d)
	}
	for i := range parts {
		merged.Merge(&parts[i])
		for _, b := range parts[i].Buckets() {
			sum.Add(b)
		}
	}
	if !slices.Equal(sum.Buckets(), whole.Buckets()) || sum.Count() != whole.Count() || sum.Quantile(0.9) != whole.Quantile(0.9) ||
		sum.Mean() < whole.Mean() || sum.Max() < whole.Max() || sum.Max() > whole.Max()+whole.Max()/32 {
		t.Errorf("count %d, mean %s, max %s; want %d, %s, %s", sum.Count(), sum.Mean(), sum.Max(), whole.Count(), whole.Mean(), whole.Max())
	}
	if merged != whole {
		t.Errorf("merged: count %d, mean %s, max %s", merged.Count(), merged.Mean(), merged.Max())
	}
}

func TestBuckets(t *testing.T) {
	t.Parallel()
	var h hist.Histogram
	for _, d := range []time.Duration{-5, 0, 31, 32, 33, 63, 64, 65, 1 << 62} {
		h.Record(d)
	}
	got := ""
	for _, b := range h.Buckets() {
		got += fmt.Sprintf("%d:%d ", b.Upper, b.Count)
	}
	want := fmt.Sprintf("0:2 31:1 32:1 33:1 63:1 65:2 %d:1 ", 1<<62+1<<57-1)
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	h.Reset()
	if h.Count() != 0 || h.Quantile(0.5) != 0 || h.Mean() != 0 || len(h.Buckets()) != 0 {
		t.Error("something is left after Reset")
	}
}
