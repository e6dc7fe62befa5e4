package service_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/internal/service"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStopEndsTheContextAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false
		s := service.Start(func(ctx context.Context) {
			<-ctx.Done()
			time.Sleep(time.Second)
			ended = true
		})
		synctest.Wait()
		select {
		case <-s.Done():
			t.Fatal("it has ended and nobody stopped it")
		default:
		}
		go s.Stop()
		s.Stop()
		if !ended {
			t.Error("Stop has returned before the goroutine has")
		}
		<-s.Done()
		s.Stop() // does nothing
	})
}

func TestServiceThatEndsByItself(t *testing.T) {
	var of context.Context
	s := service.Start(func(ctx context.Context) { of = ctx })
	<-s.Done()
	if of.Err() == nil {
		t.Error("its context goes on")
	}
	s.Stop()
}

func TestWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if err := service.Within(t.Context(), func() { time.Sleep(time.Second) }); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		stopped := false
		if err := service.Within(ctx, func() { time.Sleep(2 * time.Second); stopped = true }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want that the time is over", err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if !stopped {
			t.Error("the stop did not go on")
		}
	})
}

// TestWithinThatWasInTime: of two things that have both happened, the one that matters counts.
func TestWithinThatWasInTime(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	g := new(service.Gate)
	for range 100 {
		if err := g.Close(ctx); err != nil {
			t.Fatalf("%v, though nothing ran", err)
		}
	}
}

func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if !service.Pause(t.Context(), time.Minute) || time.Since(began) != time.Minute {
			t.Errorf("it paused for %v", time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if service.Pause(ctx, time.Minute) || time.Since(began) != time.Minute+time.Second {
			t.Errorf("it paused for %v, to the end of the context and on", time.Since(began)-time.Minute)
		}
	})
}

func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g service.Gate
		release, ran := make(chan struct{}), false
		if !g.Enter() || !g.Go(func() { <-release; ran = true }) || g.IsShut() {
			t.Fatal("an open gate lets nothing in")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := g.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want that the time is over", err)
		}
		if g.Enter() || g.Go(func() { t.Error("a shut gate lets work begin") }) || !g.IsShut() {
			t.Error("a shut gate lets work begin")
		}
		closed := make(chan error, 1)
		go func() { closed <- g.Close(context.WithoutCancel(t.Context())) }()
		close(release)
		synctest.Wait()
		select {
		case err := <-closed:
			t.Fatalf("closed with %v while somebody is in", err)
		default:
		}
		g.Leave()
		if err := <-closed; err != nil || !ran {
			t.Errorf("%v, the goroutine has ended: %v", err, ran)
		}
	})
}

func TestBackoff(t *testing.T) {
	b := service.Backoff{Min: 100 * time.Millisecond, Max: 3 * time.Second}
	within := func(d, low, high time.Duration) {
		t.Helper()
		if d < low || d > high {
			t.Errorf("a pause of %v, want one from %v to %v", d, low, high)
		}
	}
	for range 2 {
		for base := b.Min; base < 2*time.Second; base *= 2 {
			within(b.Next(), base, base*3/2)
		}
		spread := map[time.Duration]bool{}
		for range 100 {
			d := b.Next()
			spread[d] = true
			within(d, 2*time.Second, b.Max)
		}
		if len(spread) < 50 {
			t.Errorf("%d different pauses of 100, want that chance has a part in each", len(spread))
		}
		b.Reset()
	}
}

// TestBackoffsMayBeNarrow: whatever the bounds, a pause lies between them.
func TestBackoffsMayBeNarrow(t *testing.T) {
	for _, b := range []service.Backoff{{Min: time.Second, Max: time.Second}, {Min: 2, Max: 3}, {Min: time.Second, Max: time.Second + 1}} {
		for range 10 {
			if d := b.Next(); d < b.Min || d > b.Max {
				t.Errorf("%v is not from %v to %v", d, b.Min, b.Max)
			}
		}
	}
}

// TestBackoffInUse fails some times and counts the pauses on the clock.
func TestBackoffInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := service.Backoff{Min: time.Second, Max: time.Minute}
		began := time.Now()
		for range 4 { // 1, 2, 4 and 8 s, and up to half more
			if !service.Pause(t.Context(), b.Next()) {
				t.Fatal("the pause was cut")
			}
		}
		if took := time.Since(began); took < 15*time.Second || took > 23*time.Second {
			t.Errorf("four failures took %v", took)
		}
	})
}
