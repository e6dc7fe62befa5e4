package tally_test

import (
	"strconv"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/internal/tally"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTally(t *testing.T) {
	t.Parallel()
	var c tally.Tally
	if got := c.Counts(); got == nil || len(got) != 0 {
		t.Errorf("at first: %v", got)
	}
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range 100 {
				c.Add("a")
				c.Add("b")
				c.Counts()["a"] = 7 // the caller's
			}
		})
	}
	wg.Wait()
	if got := c.Counts(); len(got) != 2 || got["a"] != 1000 || got["b"] != 1000 {
		t.Errorf("counted %v", got)
	}
}

// However many reasons a caller makes up, what is kept has a bound and nothing goes uncounted.
func TestBound(t *testing.T) {
	t.Parallel()
	var c tally.Tally
	for i := range 10_000 {
		c.Add(strconv.Itoa(i))
	}
	c.Add("0")
	got, sum := c.Counts(), uint64(0)
	for _, n := range got {
		sum += n
	}
	if len(got) > 65 || sum != 10_001 || got["0"] != 2 || got[tally.Other] == 0 {
		t.Errorf("%d reasons, %d in all: %v", len(got), sum, got)
	}
}

func TestFixed(t *testing.T) {
	t.Parallel()
	type reason string
	c := tally.Of[reason]("a", "b")
	if got := c.Counts(); len(got) != 2 || got["a"] != 0 || got["b"] != 0 {
		t.Errorf("at first: %v, want all reasons that are known", got)
	}
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range 100 {
				c.Add("b")
				c.Add("from outside")
			}
		})
	}
	wg.Wait()
	if got := c.Counts(); len(got) != 3 || got["a"] != 0 || got["b"] != 1000 || got[tally.Other] != 1000 {
		t.Errorf("counted %v", got)
	}
}

// A reason that is known may be called [tally.Other] too.
func TestFixedOther(t *testing.T) {
	t.Parallel()
	c := tally.Of(tally.Other)
	c.Add(tally.Other)
	c.Add("unknown")
	if got := c.Counts(); len(got) != 1 || got[tally.Other] != 2 {
		t.Errorf("counted %v", got)
	}
}
