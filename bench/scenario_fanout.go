package bench

import (
	"context"
	"time"

	"github.com/peal-dev/peal/internal/bench/hist"
	"github.com/peal-dev/peal/internal/bench/sequence"
)

const (
	warmUpRounds = 3
	burstRounds  = 4
)

// fanout measures broadcasts to everyone.
func (r *run) fanout(ctx context.Context) error {
	r.newAudience(r.Clients)
	if err := r.connectAll(ctx, r.Clients); err != nil {
		return err
	}
	if err := r.findSender(ctx); err != nil {
		return err
	}
	if ok, err := r.steps(ctx, warmUpRounds, r.Clients, nil); !ok || err != nil {
		return err
	}
	r.latency.Reset()
	round := new(hist.Histogram)
	before, from, err := r.costs()
	if err != nil {
		return err
	}
	if ok, err := r.steps(ctx, r.Rounds, r.Clients, round); !ok || err != nil {
		return err
	}
	if err := r.charge(StepCPU, StepRate, before, from, r.Rounds*r.Clients, r.Rounds); err != nil {
		return err
	}
	r.report.addLatency(latencyStep, r.latency)
	r.report.addLatency(latencyRound, round)
	if err := r.bursts(ctx); err != nil {
		return err
	}
	return r.listenOn(ctx)
}

// lateness bounds how long a run goes on listening for messages that come twice.
const lateness = 200 * time.Millisecond

func (r *run) listenOn(ctx context.Context) error { return r.pause(ctx, min(lateness, r.Settle)) }

func (r *run) bursts(ctx context.Context) error {
	if r.Burst < 1 {
		return nil
	}
	r.latency.Reset()
	before, from, err := r.costs()
	if err != nil {
		return err
	}
	for range burstRounds {
		for range r.Burst {
			r.publish(0, "")
		}
		ok, err := r.await(ctx, uint64(r.sent[0])*uint64(r.Clients))
		if !ok || err != nil {
			return err
		}
	}
	if err := r.charge(BurstCPU, BurstRate, before, from, burstRounds*r.Burst*r.Clients, 0); err != nil {
		return err
	}
	r.report.addLatency(latencyBurst, r.latency)
	return nil
}

// steps broadcasts one message at a time to so many receivers; it reports false if one of them did not arrive.
func (r *run) steps(ctx context.Context, rounds, receivers int, round *hist.Histogram) (bool, error) {
	for range rounds {
		start := time.Now()
		want := r.counts.Received + uint64(receivers)
		r.publish(0, "")
		if ok, err := r.await(ctx, want); !ok || err != nil {
			return ok, err
		}
		if round != nil {
			round.Record(time.Since(start))
		}
	}
	return true, nil
}

// costs reads the clocks of the receiving and of the publishing node.
func (r *run) costs() (target, from cost, err error) {
	if target, err = r.target.cost(); err == nil {
		from, err = r.from.cost()
	}
	return target, from, err
}

// charge divides what the server has used by the deliveries.
func (r *run) charge(cpu, rate string, before, from cost, deliveries, publications int) error {
	after, fromAfter, err := r.costs()
	if err != nil {
		return err
	}
	server, own, wall := after.since(before)
	if server > 0 {
		r.report.add(cpu, perUnit(server, deliveries), unitMicroseconds)
	}
	r.report.add(rate, float64(deliveries)/wall.Seconds(), unitPerSecond)
	if publications == 0 {
		return nil
	}
	if r.from != r.target {
		publisher, _, _ := fromAfter.since(from)
		r.report.add(PublisherCPU, perUnit(publisher, publications), unitMicroseconds)
		server += publisher
	}
	r.share(server, own)
	return nil
}

// rooms measures publications to many small rooms: room t holds the clients t, t+1, …
func (r *run) rooms(ctx context.Context) error {
	r.members, r.ring = r.RoomSize, r.Clients
	r.trackers = make([]sequence.Tracker, r.Clients*r.RoomSize)
	r.sent = make([]uint32, r.Rooms)
	r.newSwarm(func(i int) []string {
		var rooms []string
		for slot := range r.RoomSize {
			if topic := (i - slot + r.ring) % r.ring; topic < r.Rooms {
				rooms = append(rooms, roomName(topic))
			}
		}
		return rooms
	})
	if err := r.connectAll(ctx, r.Clients); err != nil {
		return err
	}
	if err := r.findSender(ctx); err != nil {
		return err
	}
	if ok, err := r.publications(ctx, max(r.Rounds/10, 1)); !ok || err != nil {
		return err
	}
	r.latency.Reset()
	before, from, err := r.costs()
	if err != nil {
		return err
	}
	if ok, err := r.publications(ctx, r.Rounds); !ok || err != nil {
		return err
	}
	if err := r.charge(RoomCPU, StepRate, before, from, r.Rounds*r.RoomSize, r.Rounds); err != nil {
		return err
	}
	if perDelivery, ok := r.report.Figure(RoomCPU); ok {
		r.report.add(PublishCPU, perDelivery*float64(r.RoomSize), unitMicroseconds)
	}
	r.report.addLatency(latencyRoom, r.latency)
	return r.listenOn(ctx)
}

// publications publishes to the rooms in turn, a few at a time.
func (r *run) publications(ctx context.Context, n int) (bool, error) {
	const underway = 32
	want := r.counts.Received
	topic := 0
	for i := range n {
		r.publish(topic, roomName(topic))
		want += uint64(r.RoomSize)
		// A stride that has no factor in common with the number of rooms visits all of them.
		topic = (topic + stride(r.Rooms)) % r.Rooms
		wait := want - uint64(underway*r.RoomSize)
		if i < underway {
			continue
		}
		if ok, err := r.await(ctx, wait); !ok || err != nil {
			return ok, err
		}
	}
	return r.await(ctx, want)
}
