package wheel_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/internal/wheel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type entry struct {
	timer wheel.Timer
	fired atomic.Int64 // nanoseconds since the test began, 0 if it has not fired
	count atomic.Int64
	begin time.Time
	again func(*entry)
}

func (e *entry) Expire() {
	e.fired.Store(int64(time.Since(e.begin)))
	e.count.Add(1)
	if e.again != nil {
		e.again(e)
	}
}

// hold is a timer whose Expire takes until it is let go.
type hold struct {
	timer wheel.Timer
	begun chan struct{}
	end   chan struct{}
}

func (h *hold) Expire() {
	h.begun <- struct{}{}
	<-h.end
}

func TestBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wheel.Wheel
		if w.Behind(time.Hour) {
			t.Error("a wheel without timers is behind")
		}
		slow := &hold{begun: make(chan struct{}), end: make(chan struct{})}
		keeper := &entry{begin: time.Now()}
		w.Set(&keeper.timer, keeper, time.Hour)
		defer w.Stop(&keeper.timer)
		w.Set(&slow.timer, slow, time.Second)
		<-slow.begun
		if w.Behind(time.Hour) {
			t.Error("behind though its timer fires in time")
		}
		time.Sleep(time.Second) // as if the process were stopped
		if !w.Behind(time.Second) {
			t.Error("not behind though it has been turned by nobody for a second")
		}
		slow.end <- struct{}{}
		synctest.Wait()
		time.Sleep(time.Second / 2)
		if !w.Behind(time.Second) || w.Behind(time.Second/4) {
			t.Error("half a second later it should remember for a second")
		}
	})
}

func TestFiresNeverEarlyAndOneTickLateAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wheel.Wheel
		begin := time.Now()
		rng := rand.New(rand.NewPCG(1, 2))
		entries := make([]*entry, 2000)
		delays := make([]time.Duration, len(entries))
		for i := range entries {
			entries[i] = &entry{begin: begin}
			delays[i] = time.Duration(rng.Int64N(int64(3 * time.Minute))) // up to four turns of the ring
			w.Set(&entries[i].timer, entries[i], delays[i])
		}
		time.Sleep(4 * time.Minute)
		for i, e := range entries {
			late := time.Duration(e.fired.Load()) - delays[i]
			if e.count.Load() != 1 || late < 0 || late > wheel.DefaultTick {
				t.Fatalf("timer of %v fired %d times, %v late", delays[i], e.count.Load(), late)
			}
		}
	})
}

func TestAnEarlierTimerWakesTheWheel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := wheel.Wheel{Tick: time.Millisecond}
		late, early := &entry{begin: time.Now()}, &entry{begin: time.Now()}
		w.Set(&late.timer, late, 3*time.Second)
		time.Sleep(100 * time.Millisecond)
		w.Set(&early.timer, early, 20*time.Millisecond)
		time.Sleep(30 * time.Millisecond)
		if early.count.Load() != 1 || late.count.Load() != 0 {
			t.Fatalf("fired %d and %d times, want 1 and 0", early.count.Load(), late.count.Load())
		}
		w.Stop(&late.timer)
		time.Sleep(5 * time.Second)
		if late.count.Load() != 0 {
			t.Fatal("a stopped timer fired")
		}
	})
}

func TestSetAgainMovesAndExpireMaySetAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wheel.Wheel
		e := &entry{begin: time.Now()}
		e.again = func(e *entry) {
			if e.count.Load() < 5 {
				w.Set(&e.timer, e, time.Second)
			}
		}
		w.Set(&e.timer, e, time.Second)
		w.Set(&e.timer, e, 2*time.Second)
		time.Sleep(1500 * time.Millisecond)
		if e.count.Load() != 0 {
			t.Fatal("the moved timer fired at its old time")
		}
		time.Sleep(10 * time.Second)
		if got := e.count.Load(); got != 5 {
			t.Fatalf("fired %d times, want 5", got)
		}
	})
}

func TestStopOfAStoppedTimerAndPastDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wheel.Wheel
		e := &entry{begin: time.Now()}
		w.Stop(&e.timer)
		w.Set(&e.timer, e, -time.Second)
		time.Sleep(time.Second)
		if e.count.Load() != 1 {
			t.Fatalf("fired %d times, want 1", e.count.Load())
		}
		// The wheel stood still meanwhile; the next timer must not fire early for that.
		time.Sleep(time.Hour)
		e = &entry{begin: time.Now()}
		w.Set(&e.timer, e, 50*time.Second)
		time.Sleep(time.Minute)
		if d := time.Duration(e.fired.Load()); d < 50*time.Second || d > 50*time.Second+wheel.DefaultTick {
			t.Fatalf("fired after %v", d)
		}
	})
}

// TestManyAtOnce has more timers fall due at once than are taken at a time, among others of the same slot.
func TestManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const (
			count = 5000
			delay = time.Second
			turn  = 4096 * wheel.DefaultTick
		)
		w, begin := new(wheel.Wheel), time.Now()
		entries := make([]*entry, 3*count)
		due := func(i int) time.Duration { return delay + time.Duration(i%3)*turn } // in this turn, the next, the one after
		for i := range entries {
			entries[i] = &entry{begin: begin}
			w.Set(&entries[i].timer, entries[i], due(i))
		}
		time.Sleep(3 * turn)
		for i, e := range entries {
			if late := time.Duration(e.fired.Load()) - due(i); e.count.Load() != 1 || late < 0 || late > wheel.DefaultTick {
				t.Fatalf("timer of %v fired %d times, %v late", due(i), e.count.Load(), late)
			}
		}
	})
}

// TestManyAtOnceHoldUpNobody stops timers while others that are due at the same time expire: the wheel is not locked until
// it has taken all of them.
func TestManyAtOnceHoldUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wheel.Wheel
		entries := make([]*entry, 100_000)
		stop := sync.OnceFunc(func() {
			for _, e := range entries {
				w.Stop(&e.timer)
			}
		})
		for i := range entries {
			entries[i] = &entry{begin: time.Now(), again: func(*entry) { stop() }}
		}
		for _, e := range entries {
			w.Set(&e.timer, e, time.Second)
		}
		time.Sleep(2 * time.Second)
		fired := 0
		for _, e := range entries {
			fired += int(e.count.Load())
		}
		if fired == 0 || fired > 1000 {
			t.Errorf("%d had been taken off when the first expired", fired)
		}
	})
}

func BenchmarkSet(b *testing.B) {
	var w wheel.Wheel
	entries := make([]entry, 10_000)
	i := 0
	for b.Loop() {
		e := &entries[i%len(entries)]
		w.Set(&e.timer, e, 25*time.Second)
		i++
	}
	for i := range entries {
		w.Stop(&entries[i].timer)
	}
}
