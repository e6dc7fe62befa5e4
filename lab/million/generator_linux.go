package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"github.com/peal-dev/peal/internal/bench/evloop"
	"github.com/peal-dev/peal/internal/bench/hist"
	"github.com/peal-dev/peal/internal/bench/sequence"
	"github.com/peal-dev/peal/internal/bench/swarm"
	"github.com/peal-dev/peal/internal/bench/wire"
)

// clock reads the monotonic clock, which is the same in all processes of a machine.
type clock struct {
	began time.Time
	at    time.Duration
}

func newClock() (clock, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return clock{}, fmt.Errorf("monotonic clock: %w", err)
	}
	return clock{time.Now(), time.Duration(ts.Nano())}, nil
}

func (c clock) now() time.Duration { return c.at + time.Since(c.began) }

// generator plays a part of the clients. It belongs to one goroutine.
type generator struct {
	orders <-chan order
	out    *json.Encoder
	clock  clock
	loop   *evloop.Loop
	parts  []*swarm.Swarm
	run    uint32

	ready  int
	rounds []*tally // by number
	counts sequence.Counts
	alien  uint64 // messages of another run
}

// tally counts the arrivals of one broadcast.
type tally struct {
	roundNotice
	times hist.Histogram
	told  bool
}

// generate obeys orders until there are no more.
func generate(in io.Reader, out io.Writer) error {
	debug.SetGCPercent(50) // its heap does not change once all clients are connected
	loop, err := evloop.New()
	if err != nil {
		return err
	}
	defer loop.Close()
	clock, err := newClock()
	if err != nil {
		return err
	}
	evloop.MaxOpen() // raises the limit
	orders := make(chan order)
	g := &generator{orders: orders, out: json.NewEncoder(out), clock: clock, loop: loop}
	done := make(chan struct{})
	defer close(done)
	go func() { // ends at the latest with the process: the parent closes its end of the pipe
		defer close(orders)
		for d := json.NewDecoder(in); ; {
			var o order
			if d.Decode(&o) != nil {
				return
			}
			select {
			case orders <- o:
			case <-done:
				return
			}
		}
	}()
	return g.work()
}

// errNoOrders ends a generator.
var errNoOrders = errors.New("no more orders")

func (g *generator) work() error {
	const wait = 20 * time.Millisecond // for an order, while nothing happens
	for {
		select {
		case o, ok := <-g.orders:
			if !ok {
				return nil
			}
			if err := g.obey(o); err != nil {
				if errors.Is(err, errNoOrders) {
					return nil
				}
				return err
			}
		default:
			if err := g.loop.Poll(wait); err != nil {
				return err
			}
			if err := g.tellComplete(); err != nil {
				return err
			}
		}
	}
}

func (g *generator) obey(o order) error {
	switch {
	case o.Connect != nil:
		return g.connect(o.Connect)
	case o.Collect != nil:
		return g.tell(*o.Collect)
	case o.Finish != nil:
		return g.finish(*o.Finish)
	}
	return nil // Stop, and nobody is connecting any more
}

// connect connects the clients until all are there, one fails, or the order is taken back.
func (g *generator) connect(o *connectOrder) error {
	g.run = o.Run
	problem := ""
	for _, part := range o.Parts {
		target, err := netip.ParseAddrPort(part.Node)
		if err != nil {
			return fmt.Errorf("address of a node: %w", err)
		}
		trackers := make([]sequence.Tracker, part.Count)
		s := swarm.New(g.loop, swarm.Config{Target: target, First: part.First, Message: func(c *swarm.Client, payload []byte) {
			g.receive(&trackers[c.Index], payload)
		}})
		g.parts = append(g.parts, s)
		stopped, err := g.fill(s, part.Count, o.AtOnce)
		if err != nil && (errors.Is(err, errNoOrders)) {
			return err
		}
		g.ready += int(s.Joining().Count())
		if err != nil {
			problem = err.Error()
		}
		if err != nil || stopped {
			break
		}
	}
	return g.out.Encode(notice{Ready: &readyNotice{Clients: g.ready, Problem: problem}})
}

// fill connects the clients of a part and says now and then how far it is.
func (g *generator) fill(s *swarm.Swarm, count, atOnce int) (stopped bool, err error) {
	const step = 500
	for connected := 0; connected < count; {
		n := min(step, count-connected)
		if err := s.Connect(context.Background(), n, atOnce); err != nil {
			return false, err
		}
		connected += n
		progress := g.ready + connected
		if err := g.out.Encode(notice{Progress: &progress}); err != nil {
			return false, fmt.Errorf("telling the progress: %w", err)
		}
		select {
		case o, ok := <-g.orders:
			if !ok {
				return true, errNoOrders
			}
			if o.Stop {
				return true, nil
			}
		default:
		}
	}
	return false, nil
}

// receive accounts for a message that a client received.
func (g *generator) receive(t *sequence.Tracker, payload []byte) {
	stamp, ok := wire.FindStamp(payload)
	if !ok || stamp.Run != g.run || stamp.Seq > 1<<16 {
		g.alien++
		return
	}
	now := g.clock.now()
	if !t.Arrived(stamp.Seq, &g.counts) {
		return
	}
	for int(stamp.Seq) >= len(g.rounds) {
		g.rounds = append(g.rounds, &tally{roundNotice: roundNotice{Seq: uint32(len(g.rounds))}})
	}
	round := g.rounds[stamp.Seq]
	if round.Received == 0 {
		round.First = now
	}
	round.Received++
	round.Last = now
	round.times.Record(now - stamp.At)
}

// tellComplete tells of the last broadcast once all clients have it.
func (g *generator) tellComplete() error {
	if len(g.rounds) == 0 {
		return nil
	}
	if last := g.rounds[len(g.rounds)-1]; last.told || last.Received < g.ready {
		return nil
	}
	return g.tell(uint32(len(g.rounds) - 1))
}

func (g *generator) tell(seq uint32) error {
	n := roundNotice{Seq: seq}
	if int(seq) < len(g.rounds) {
		round := g.rounds[seq]
		if round.told {
			return nil
		}
		round.told = true
		n = round.roundNotice
		n.Times = round.times.Buckets()
	}
	return g.out.Encode(notice{Round: &n})
}

// finish closes the accounts.
func (g *generator) finish(sent uint32) error {
	n := deliveryNotice{Received: g.counts.Received, Duplicated: g.counts.Duplicated, Reordered: g.counts.Reordered, Strange: g.alien}
	n.Lost = uint64(sent)*uint64(g.ready) - g.counts.Received
	for _, s := range g.parts {
		n.Gone += s.Lost()
		if err := s.Err(); err != nil && n.Problem == "" {
			n.Problem = err.Error()
		}
	}
	return g.out.Encode(notice{Final: &n})
}
