// Package wheel keeps many coarse timers cheaply: heartbeats of a hundred thousand connections cost a list entry each,
// and no runtime timer.
//
// Timers live in the slots of one ring. Setting and stopping a timer is a list operation under one mutex; the wheel's
// goroutine sleeps until the next slot that holds a timer, exists only while there are timers, and so needs no Close.
package wheel

import (
	"math/bits"
	"sync"
	"time"
)

const (
	slots = 4096
	// DefaultTick is how finely a Wheel with a zero Tick tells time. With 4096 slots one turn takes 41 s, longer than
	// the default heartbeat, so that a timer is looked at once before it fires.
	DefaultTick = 10 * time.Millisecond
)

// Expirer is told when its timer has run out.
type Expirer interface {
	// Expire runs on the wheel's goroutine: it must not block. It may set the timer again.
	Expire()
}

// Timer is an entry of a Wheel, meant to be a field of what it times. Its zero value is a stopped timer. All its fields
// belong to the wheel.
type Timer struct {
	next, prev *Timer
	owner      Expirer
	tick       int64
}

// Wheel is a set of timers. Its zero value is ready to use. It is safe for concurrent use.
type Wheel struct {
	// Tick is the resolution: a timer fires up to one tick late and never early. Zero means DefaultTick. It must not
	// change once a timer was set.
	Tick time.Duration

	mu       sync.Mutex
	start    time.Time
	done     int64 // ticks up to this one have been handled
	count    int
	running  bool
	sleepsTo int64         // the tick the goroutine sleeps to
	late     time.Duration // when it last came later than by lateness, since start; 0 if never
	wake     chan struct{} // tells the goroutine of an earlier timer
	heads    [slots]*Timer
	used     [slots / 64]uint64
}

func (w *Wheel) tickOf(d time.Duration) int64 { return int64(d / w.Tick) }

// Set makes t call owner.Expire after d. A timer that is already set is moved.
func (w *Wheel) Set(t *Timer, owner Expirer, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.start.IsZero() {
		if w.Tick <= 0 {
			w.Tick = DefaultTick
		}
		w.start = time.Now()
		w.wake = make(chan struct{}, 1)
	}
	w.unlink(t)
	now := time.Since(w.start)
	if !w.running {
		w.done = w.tickOf(now) // nothing was set, so nothing was missed while nobody turned the wheel
	}
	// The tick that has begun is partly over; the one after the due time is the first that is never early.
	t.tick = max(w.tickOf(now+max(d, 0))+1, w.done+1)
	t.owner = owner
	w.link(t)
	switch {
	case !w.running:
		w.running = true
		go w.run() // ends by itself when the last timer has gone
	case t.tick < w.sleepsTo:
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// Stop takes t off the wheel. A call of Expire that has begun is not waited for.
func (w *Wheel) Stop(t *Timer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlink(t)
	if w.count == 0 && w.running {
		select {
		case w.wake <- struct{}{}: // nothing left to wait for
		default:
		}
	}
}

// lateness is what a wheel may be late by and nobody minds.
const lateness = 50 * time.Millisecond

// Behind reports whether the wheel is late now or was within the last d: the process was stopped, or has more to do than
// it can. What a timer says about others is then to be taken with care.
func (w *Wheel) Behind(d time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.running {
		return false
	}
	now := time.Since(w.start)
	return w.isLate(now) || w.late > 0 && now-w.late < d
}

// isLate reports whether the goroutine should have looked by now.
func (w *Wheel) isLate(now time.Duration) bool {
	return w.sleepsTo > 0 && now-time.Duration(w.sleepsTo)*w.Tick > lateness
}

func (w *Wheel) link(t *Timer) {
	slot := t.tick % slots
	head := w.heads[slot]
	if head == nil {
		t.next, t.prev = t, t
	} else {
		t.next, t.prev = head, head.prev
		head.prev.next, head.prev = t, t
	}
	w.heads[slot] = t
	w.used[slot/64] |= 1 << (slot % 64)
	w.count++
}

func (w *Wheel) unlink(t *Timer) {
	if t.next == nil {
		return
	}
	slot := t.tick % slots
	if t.next == t {
		w.heads[slot] = nil
		w.used[slot/64] &^= 1 << (slot % 64)
	} else {
		t.next.prev, t.prev.next = t.prev, t.next
		if w.heads[slot] == t {
			w.heads[slot] = t.next
		}
	}
	t.next, t.prev, t.owner = nil, nil, nil
	w.count--
}

// nextUsed returns the first tick after done whose slot holds a timer; there must be one.
func (w *Wheel) nextUsed() int64 {
	from := w.done + 1
	for skipped := int64(0); skipped < slots; {
		slot := (from + skipped) % slots
		word := w.used[slot/64] >> (slot % 64)
		if word != 0 {
			return from + skipped + int64(bits.TrailingZeros64(word))
		}
		skipped += 64 - slot%64
	}
	return from + slots
}

// run turns the wheel until no timer is left.
func (w *Wheel) run() {
	sleep := time.NewTimer(0)
	defer sleep.Stop()
	var due []Expirer
	for {
		w.mu.Lock()
		since := time.Since(w.start)
		if w.isLate(since) {
			w.late = since
		}
		due = w.advance(w.tickOf(since), due[:0])
		if w.count == 0 && len(due) == 0 {
			w.running, w.sleepsTo = false, 0
			w.mu.Unlock()
			return
		}
		var until time.Duration
		if w.count > 0 && len(due) == 0 {
			w.sleepsTo = w.nextUsed()
			until = time.Until(w.start.Add(time.Duration(w.sleepsTo) * w.Tick))
		}
		w.mu.Unlock()

		for _, e := range due {
			e.Expire()
		}
		if len(due) > 0 {
			clear(due)
			continue
		}
		sleep.Reset(until)
		select {
		case <-sleep.C:
		case <-w.wake:
		}
	}
}

// batch is how many timers are taken off the wheel under one lock, so that whoever sets one, such as a poller, does not wait
// for a hundred thousand that are due.
const batch = 512

// advance unlinks timers that are due up to tick now, a batch at the most, and appends their owners to due.
func (w *Wheel) advance(now int64, due []Expirer) []Expirer {
	last := min(now, w.done+slots) // one turn visits every slot
	for w.count > 0 {
		next := w.nextUsed()
		if next > last {
			break
		}
		if due = w.take(next%slots, now, due); len(due) == batch {
			w.done = next - 1 // there may be more in the slot
			return due
		}
		w.done = next
	}
	w.done = max(w.done, now)
	return due
}

// take unlinks the timers of a slot that are due up to tick now, as long as due is no batch. The others are due a turn later.
func (w *Wheel) take(slot, now int64, due []Expirer) []Expirer {
	t, last := w.heads[slot], w.heads[slot].prev
	for {
		following, end := t.next, t == last
		if t.tick <= now {
			due = append(due, t.owner)
			w.unlink(t)
		}
		if end || len(due) == batch {
			return due
		}
		t = following
	}
}
