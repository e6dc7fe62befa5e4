package crossing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/peal-dev/peal/internal/bench/sequence"
)

// Result is what a load measured.
type Result struct {
	Asked      int           // messages that were to be published
	Published  int           // messages that were: fewer if the generator could not keep the pace
	Expected   uint64        // deliveries of those
	Received   uint64        // deliveries, each counted once
	P50, P99   time.Duration // from when a message was due to its delivery
	Took       time.Duration // from the first message to the last delivery, or the end of the patience
	CPU        CPU           // used meanwhile
	Lost       uint64        // deliveries that did not come in time
	Duplicated uint64
	Reordered  uint64
	Strays     uint64 // deliveries to clients that are not in the room
}

// Rate returns deliveries per second and client that a message was for: messages that went all the way.
func (r *Result) Rate() float64 {
	if r.Expected == 0 || r.Took <= 0 {
		return 0
	}
	return float64(r.Published) * float64(r.Received) / float64(r.Expected) / r.Took.Seconds()
}

// Per returns processor time as microseconds per message.
func (r *Result) Per(used time.Duration) float64 {
	return used.Seconds() * 1e6 / float64(max(r.Published, 1))
}

// Problem says what was not as it should be, and "" if all was well.
func (r *Result) Problem() string {
	switch {
	case r.Duplicated+r.Reordered+r.Strays > 0:
		return fmt.Sprintf("of %d deliveries %d came twice, %d out of order, %d to the wrong client", r.Expected, r.Duplicated, r.Reordered, r.Strays)
	case r.Lost > 0:
		return fmt.Sprintf("of %d deliveries %d did not come within the time", r.Expected, r.Lost)
	case r.Published < r.Asked:
		return fmt.Sprintf("of %d messages only %d could be published in time", r.Asked, r.Published)
	}
	return ""
}

// Load is what is published.
type Load struct {
	ToAll bool // to the room of all members, not to the rooms of one member in turn
	// Rate is how many messages a second, for so many seconds; 0 is as many as go through, with Window of them under way.
	Rate    int
	Window  int
	Seconds float64
}

// burst is how many messages may leave before what has arrived is looked at.
const burst = 64

// Run publishes and waits for the deliveries. It fails when ctx is done or a publisher is disconnected.
func (f *Field) Run(ctx context.Context, l Load) (*Result, error) {
	f.reset()
	r := &Result{}
	before, err := f.cluster.cpu()
	if err != nil {
		return nil, err
	}
	began := time.Since(f.epoch)
	send := f.paced
	if l.Rate == 0 {
		send = f.windowed
	}
	if err := send(ctx, l, began, r); err != nil {
		return nil, err
	}
	each := f.each(l)
	r.Expected = uint64(r.Published) * each
	if err := f.await(ctx, r.Expected); err != nil {
		return nil, err
	}
	r.Took = time.Since(f.epoch) - began
	after, err := f.cluster.cpu()
	if err != nil {
		return nil, err
	}
	r.CPU = after.since(before)
	r.Received, r.Lost = f.counts.Received, r.Expected-f.counts.Received
	r.Duplicated, r.Reordered, r.Strays = f.counts.Duplicated, f.counts.Reordered, f.strays
	r.P50, r.P99 = f.latency.Quantile(0.5), f.latency.Quantile(0.99)
	return r, nil
}

// await waits for deliveries, as long as there is one now and then: what is late must not be in the way of the next load,
// and the processors' time is for all.
func (f *Field) await(ctx context.Context, expected uint64) error {
	for received, last := f.counts.Received, time.Since(f.epoch); f.counts.Received < expected; {
		now := time.Since(f.epoch)
		if f.counts.Received > received {
			received, last = f.counts.Received, now
		}
		if now-last >= f.Patience {
			return nil
		}
		if err := f.poll(ctx, last+f.Patience-now); err != nil {
			return err
		}
	}
	return nil
}

// Rest returns the processor time that the cluster uses in a second in which nothing is published, as measured over d.
func (f *Field) Rest(ctx context.Context, d time.Duration) (CPU, error) {
	before, err := f.cluster.cpu()
	if err != nil {
		return CPU{}, err
	}
	began := time.Now()
	for time.Since(began) < d {
		if err := f.poll(ctx, d-time.Since(began)); err != nil {
			return CPU{}, err
		}
	}
	after, err := f.cluster.cpu()
	if err != nil {
		return CPU{}, err
	}
	used, seconds := after.since(before), time.Since(began).Seconds()
	for _, part := range []*time.Duration{&used.Broker, &used.Publishing, &used.Members, &used.Bystander} {
		*part = time.Duration(float64(*part) / seconds)
	}
	return used, nil
}

// each is how many deliveries a message of a load should have.
func (f *Field) each(l Load) uint64 {
	if l.ToAll {
		return uint64(f.Rooms)
	}
	return 1
}

// paced publishes a message when it is due, whatever became of the others. What is late leaves at once, with the time at
// which it was due; it ends when it is later than the patience.
func (f *Field) paced(ctx context.Context, l Load, began time.Duration, r *Result) error {
	r.Asked = int(float64(l.Rate) * l.Seconds)
	due := func(n int) time.Duration {
		return began + time.Duration(float64(n)/float64(l.Rate)*float64(time.Second))
	}
	end := due(r.Asked) + f.Patience
	for r.Published < r.Asked {
		now := time.Since(f.epoch)
		if now > end {
			return nil
		}
		for range burst {
			if r.Published == r.Asked || due(r.Published) > now {
				break
			}
			f.publish(r.Published, l.ToAll, due(r.Published))
			r.Published++
		}
		if err := f.poll(ctx, due(r.Published)-time.Since(f.epoch)); err != nil {
			return err
		}
	}
	return nil
}

// errStalled is returned when nothing arrives any more.
var errStalled = errors.New("nothing arrives any more")

// windowed publishes as fast as messages arrive, so that there are always as many under way.
func (f *Field) windowed(ctx context.Context, l Load, began time.Duration, r *Result) error {
	each, end := f.each(l), began+time.Duration(l.Seconds*float64(time.Second))
	progress, last := sequence.Counts{}, began
	for now := began; now < end; now = time.Since(f.epoch) {
		if f.counts != progress {
			progress, last = f.counts, now
		}
		if now-last > f.Patience {
			return errStalled
		}
		for range burst {
			if uint64(r.Published)-f.counts.Received/each >= uint64(l.Window) {
				break
			}
			f.publish(r.Published, l.ToAll, now)
			r.Published++
		}
		wait := 10 * time.Millisecond
		if uint64(r.Published)-f.counts.Received/each < uint64(l.Window) {
			wait = 0
		}
		if err := f.poll(ctx, wait); err != nil {
			return err
		}
	}
	r.Asked = r.Published
	return nil
}
