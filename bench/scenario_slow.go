package bench

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/peal-dev/peal/internal/bench/hist"
	"github.com/peal-dev/peal/internal/bench/swarm"
	"github.com/peal-dev/peal/internal/bench/wire"
)

const (
	// paceRounds are broadcast one at a time to see how long one takes.
	paceRounds = 20
	// paceFactor leaves a server with room for what stalled clients may cost it: at a rate near what it can do any trifle
	// makes a queue, and the times are the queue's.
	paceFactor = 4
	// slowBudget bounds the time of all phases where Options.Interval does not say otherwise.
	slowBudget = 50 * time.Second
	// slowRest is before each phase, for the clients of the last to go.
	slowRest = 200 * time.Millisecond
)

// slow measures what stalled clients do to the others: phases in which some clients stop reading take turns with phases
// without them. The fast clients, the messages and their times are the same in both.
type slow struct {
	*run
	stalled  int // clients, in each phase with stalled ones
	interval time.Duration

	with, without phases
	disconnected  int
	found         []float64 // messages that each disconnected client had before it was
	caughtUp      int       // of the phase's stalled clients, how many have the last message
}

// phases are what was measured in phases of a kind.
type phases struct {
	latency hist.Histogram
	used    time.Duration // of processor, by the server
	lasted  time.Duration
	memory  int64 // highest growth
}

func (r *run) slow(ctx context.Context) error {
	s := &slow{run: r, stalled: max(1, int(float64(r.Clients)*r.Stalled))}
	fast := r.Clients - s.stalled
	r.newAudience(fast)
	if err := r.connectAll(ctx, fast); err != nil {
		return err
	}
	if err := r.findSender(ctx); err != nil {
		return err
	}
	if ok, err := s.pace(ctx, fast); !ok || err != nil {
		return err
	}
	for i := range r.Pairs {
		if ok, err := s.pair(ctx, i%2 == 1); !ok || err != nil {
			return err
		}
	}
	s.conclude()
	return r.listenOn(ctx)
}

// pace chooses the time between broadcasts.
func (s *slow) pace(ctx context.Context, fast int) (bool, error) {
	if ok, err := s.steps(ctx, warmUpRounds, fast, nil); !ok || err != nil {
		return ok, err
	}
	round := new(hist.Histogram)
	if ok, err := s.steps(ctx, paceRounds, fast, round); !ok || err != nil {
		return ok, err
	}
	if s.interval = s.Interval; s.interval == 0 {
		s.interval = min(paceFactor*round.Quantile(0.5), slowBudget/time.Duration(2*s.Pairs*s.Rounds))
	}
	return true, nil
}

// pair measures a phase of each kind. Which is first alternates, so that what changes with time does so for both.
func (s *slow) pair(ctx context.Context, withFirst bool) (bool, error) {
	var times [2]*hist.Histogram // without, with
	before := s.disconnected
	for _, stall := range []bool{withFirst, !withFirst} {
		var ok bool
		var err error
		if stall {
			times[1], ok, err = s.beside(ctx)
		} else {
			times[0], ok, err = s.phase(ctx, &s.without)
		}
		if !ok || err != nil {
			return ok, err
		}
	}
	p := Pair{Without: latencyOf(latencyFast, times[0]), With: latencyOf(latencyFastWithSlow, times[1]), Disconnected: s.disconnected - before}
	p.Factor = by(times[1], times[0], 0.99)
	s.report.Pairs = append(s.report.Pairs, p)
	return true, nil
}

// by returns how many times longer a quantile of a is than that of b.
func by(a, b *hist.Histogram, q float64) float64 {
	return float64(a.Quantile(q)) / float64(max(b.Quantile(q), 1))
}

// phase broadcasts at fixed times, whether or not the message before has arrived: a server that falls behind gets no
// time to recover.
func (s *slow) phase(ctx context.Context, kind *phases) (*hist.Histogram, bool, error) {
	if err := s.pause(ctx, min(slowRest, s.Settle)); err != nil {
		return nil, false, err
	}
	memory, err := s.target.memory()
	if err != nil {
		return nil, false, err
	}
	s.latency = new(hist.Histogram)
	before, err := s.target.cost()
	if err != nil {
		return nil, false, err
	}
	want := s.counts.Received
	for i := range s.Rounds {
		if err := s.pause(ctx, time.Until(before.at.Add(time.Duration(i)*s.interval))); err != nil {
			return nil, false, err
		}
		s.publish(0, "")
		want += uint64(len(s.trackers))
	}
	if ok, err := s.await(ctx, want); !ok || err != nil {
		return nil, ok, err
	}
	after, err := s.target.cost()
	if err != nil {
		return nil, false, err
	}
	grown, err := s.target.memory()
	if err != nil {
		return nil, false, err
	}
	server, _, wall := after.since(before)
	kind.used += server
	kind.lasted += wall
	kind.memory = max(kind.memory, grown-memory)
	kind.latency.Merge(s.latency)
	return s.latency, true, nil
}

// beside is a phase in which clients that have just connected do not read. What the server did with them shows when they
// read again: they get all that they have missed, or their connection ends.
func (s *slow) beside(ctx context.Context) (*hist.Histogram, bool, error) {
	s.caughtUp = 0
	cfg := s.clients(s.inAudience(), func(c *swarm.Client, payload []byte) {
		c.Count++
		if stamp, ok := wire.FindStamp(payload); ok && stamp.Seq+1 == s.sent[0] {
			s.caughtUp++
		}
	})
	cfg.First, cfg.Narrow = len(s.trackers), max(s.StalledBuffer, 0)
	stalled := swarm.New(s.loop, cfg)
	defer stalled.Close()
	if err := stalled.Connect(ctx, s.stalled, s.AtOnce); err != nil {
		return nil, false, err
	}
	for _, c := range stalled.Clients() {
		c.Pause()
	}
	times, ok, err := s.phase(ctx, &s.with)
	if !ok || err != nil {
		return nil, ok, err
	}
	for _, c := range stalled.Clients() {
		c.Resume()
	}
	err = stalled.Until(ctx, s.Patience, func() bool { return s.caughtUp+stalled.Lost() >= s.stalled })
	if errors.Is(err, swarm.ErrTimeout) {
		s.problem("of %d stalled clients %d were disconnected and %d received the rest when they read again; the others hang",
			s.stalled, stalled.Lost(), s.caughtUp)
	} else if err != nil {
		return nil, false, err
	}
	s.disconnected += stalled.Lost()
	for _, c := range stalled.Clients() {
		if c.Lost() {
			s.found = append(s.found, float64(c.Count))
		}
	}
	return times, true, nil
}

// conclude reports what all phases together say.
func (s *slow) conclude() {
	factors := make([]float64, len(s.report.Pairs))
	with, without := s.report.Pairs[0].With.P99, s.report.Pairs[0].Without.P99
	for i, p := range s.report.Pairs {
		factors[i] = p.Factor
		with, without = min(with, p.With.P99), min(without, p.Without.P99)
	}
	r := s.report
	r.add(SlowFactor, middle(factors), unitTimes)
	r.add(SlowFactorLowest, slices.Min(factors), unitTimes)
	r.add(SlowFactorHighest, slices.Max(factors), unitTimes)
	r.add(SlowFactorAll, by(&s.with.latency, &s.without.latency, 0.99), unitTimes)
	// All stages are in every phase with stalled clients, and what disturbs from outside only adds: the best phases are
	// the least disturbed.
	r.add(SlowFactorQuiet, float64(with)/float64(max(without, 1)), unitTimes)
	r.add(SlowFactorTail, by(&s.with.latency, &s.without.latency, 0.999), unitTimes)
	r.add(SlowInterval, float64(s.interval)/float64(time.Millisecond), "ms")
	r.add(StalledClients, float64(s.Pairs*s.stalled), "")
	r.add(StalledDisconnected, float64(s.disconnected), "")
	r.add(StalledSent, float64(s.Rounds), "")
	if len(s.found) > 0 {
		r.add(StalledReceived, middle(s.found), "")
	}
	if s.target.pid != 0 {
		r.add(SlowLoad, 100*s.with.used.Seconds()/s.with.lasted.Seconds(), "%")
		r.add(FastLoad, 100*s.without.used.Seconds()/s.without.lasted.Seconds(), "%")
		r.add(MemoryStalled, float64(s.with.memory)/(1<<20), unitMiB)
		r.add(MemoryFast, float64(s.without.memory)/(1<<20), unitMiB)
	}
	r.addLatency(latencyFast, &s.without.latency)
	r.addLatency(latencyFastWithSlow, &s.with.latency)
}

// middle returns the median of values, of which there is at least one.
func middle(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
