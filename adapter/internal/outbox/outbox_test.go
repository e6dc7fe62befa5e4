package outbox

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/adapter"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// held is a broker that takes no batch until it is let.
type held struct {
	batches chan []int
	release chan error
}

func newHeld() *held { return &held{make(chan []int, 1000), make(chan error)} }

func (h *held) flush(ctx context.Context, batch []*Item[int]) {
	var values []int
	for _, i := range batch {
		values = append(values, i.Value)
	}
	h.batches <- values
	select {
	case err := <-h.release:
		for _, i := range batch {
			i.Value *= 2
			i.Err = err
		}
	case <-ctx.Done():
		for _, i := range batch {
			i.Err = ctx.Err()
		}
	}
}

type outcome struct {
	value int
	err   error
	after time.Duration
}

// send sends v and returns how that will end.
func send(ctx context.Context, o *Outbox[int], v, size int) <-chan outcome {
	ended := make(chan outcome, 1)
	go func() {
		began := time.Now()
		value, err := o.Send(ctx, v, size)
		ended <- outcome{value, err, time.Since(began)}
	}()
	synctest.Wait()
	return ended
}

// TestBatches: what comes while a batch is under way leaves together in the next, in order, but no more than it may have.
func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeld()
		o := New(Options[int]{Flush: h.flush, Timeout: time.Hour})
		defer o.Close()
		var ends []<-chan outcome
		ends = append(ends, send(t.Context(), o, 0, 1))
		for i := 1; i <= 300; i++ {
			ends = append(ends, send(t.Context(), o, i, 1))
		}
		for _, size := range []int{maxBatchBytes, maxBatchBytes / 2, maxBatchBytes, maxBatchBytes * 2} {
			ends = append(ends, send(t.Context(), o, len(ends), size))
		}
		next := 0
		for _, want := range []int{1, 256, 44, 1, 1, 1, 1} {
			batch := <-h.batches
			if len(batch) != want {
				t.Errorf("a batch of %d, want %d", len(batch), want)
			}
			for _, v := range batch {
				if v != next {
					t.Fatalf("%d left, want %d", v, next)
				}
				next++
			}
			h.release <- nil
			synctest.Wait()
		}
		for i, end := range ends {
			if got := <-end; got.err != nil || got.value != 2*i {
				t.Errorf("%d: %+v", i, got)
			}
		}
	})
}

// TestCompany: a batch waits a moment for more where the one before had several items, and not where nothing came.
func TestCompany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		batches, hold := make(chan int, 1000), make(chan struct{})
		var holds atomic.Bool
		o := New(Options[int]{Flush: func(_ context.Context, batch []*Item[int]) {
			if batches <- len(batch); holds.Load() {
				<-hold
			}
		}})
		defer o.Close()
		post := func(n int) {
			for range n {
				if err := o.Post(0, 1); err != nil {
					t.Fatal(err)
				}
			}
		}
		began := time.Now()
		for range 3 {
			<-send(t.Context(), o, 0, 1)
		}
		if waited := time.Since(began); waited != 0 || len(batches) != 3 {
			t.Errorf("who was alone left in %d batches after %s", len(batches), waited)
		}
		// Two come while a batch is under way, and then one every 100 µs.
		holds.Store(true)
		post(1)
		synctest.Wait()
		post(2)
		holds.Store(false)
		hold <- struct{}{}
		synctest.Wait()
		for range 20 {
			time.Sleep(linger / 2)
			post(1)
		}
		time.Sleep(time.Hour)
		if n := len(batches) - 3; n < 2+5 || n > 2+12 {
			t.Errorf("1, 2 and 20 in turn left in %d batches", n)
		}
		// Two who go on when they have their answers: a few batches wait for others, those behind them know better.
		holds.Store(true)
		post(1)
		time.Sleep(time.Hour)
		for len(batches) > 0 {
			<-batches
		}
		began = time.Now()
		for range 4 * again {
			post(2)
			hold <- struct{}{}
			if n := <-batches; n != 2 {
				t.Errorf("a batch of %d", n)
			}
		}
		if waited := time.Since(began); waited < 2*linger || waited > 6*linger {
			t.Errorf("%d batches to which nobody came have waited %s", 4*again, waited)
		}
		holds.Store(false)
		hold <- struct{}{}
	})
}

// TestFirst: what depends on what became of all before it begins a batch.
func TestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeld()
		o := New(Options[int]{Flush: h.flush, Timeout: time.Hour, First: func(v *int) bool { return *v%10 == 0 }})
		defer o.Close()
		var ends []<-chan outcome
		for _, v := range []int{1, 2, 3, 10, 4, 20, 30, 5} {
			ends = append(ends, send(t.Context(), o, v, 1))
		}
		for _, want := range [][]int{{1}, {2, 3}, {10, 4}, {20}, {30, 5}} {
			if batch := <-h.batches; !slices.Equal(batch, want) {
				t.Errorf("a batch of %v, want %v", batch, want)
			}
			h.release <- nil
			synctest.Wait()
		}
		for _, end := range ends {
			<-end
		}
	})
}

// TestFaults: whatever keeps an item from leaving ends the waiting, with an error that says so.
func TestFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeld()
		o := New(Options[int]{Flush: h.flush, Size: 2, Timeout: 4 * time.Second})
		cause := errors.New("no")
		first := send(t.Context(), o, 1, 1)
		if batch := <-h.batches; len(batch) != 1 {
			t.Errorf("%d in the first batch", len(batch))
		}
		ctx, cancel := context.WithCancel(t.Context())
		waits, givenUp := send(t.Context(), o, 2, 1), send(ctx, o, 3, 1)
		crowded := send(t.Context(), o, 4, 1)
		cancel()
		if got := <-givenUp; !errors.Is(got.err, context.Canceled) {
			t.Errorf("given up: %v", got.err)
		}
		if got := <-crowded; !errors.Is(got.err, adapter.ErrOverloaded) || got.after != 2*time.Second {
			t.Errorf("without room: %+v", got)
		}
		if err := o.Post(5, 1); !errors.Is(err, adapter.ErrOverloaded) {
			t.Errorf("posted without room: %v", err)
		}
		time.Sleep(3 * time.Second)
		h.release <- cause
		if got := <-first; !errors.Is(got.err, cause) {
			t.Errorf("refused: %v", got.err)
		}
		if got := <-waits; !errors.Is(got.err, adapter.ErrUnavailable) {
			t.Errorf("waited too long: %v", got.err)
		}
		last := send(t.Context(), o, 6, 1)
		if batch := <-h.batches; len(batch) != 1 || batch[0] != 6 {
			t.Errorf("%v left, want 6 alone", batch)
		}
		queued := send(t.Context(), o, 7, 1)
		o.Close()
		for _, end := range []<-chan outcome{last, queued, send(t.Context(), o, 8, 1)} {
			if got := <-end; !errors.Is(got.err, adapter.ErrClosed) {
				t.Errorf("closed: %v", got.err)
			}
		}
	})
}

// TestPostedIsBounded posts what nobody takes: what waits is bounded by bytes, and one that is larger goes alone.
func TestPostedIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeld()
		o := New(Options[int]{Flush: h.flush, Timeout: time.Hour})
		defer o.Close()
		for i, want := range []bool{true, true, false} {
			if err := o.Post(i, maxPosted/2); (err == nil) != want {
				t.Errorf("answer %d: %v", i, err)
			}
		}
		for range 2 {
			<-h.batches
			h.release <- nil
		}
		synctest.Wait()
		if got := o.posted.Load(); got != 0 {
			t.Errorf("%d bytes wait of none", got)
		}
		if o.Post(3, maxPosted+1) != nil || o.Post(4, 1) == nil {
			t.Error("a large answer does not go alone")
		}
	})
}
