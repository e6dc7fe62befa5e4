package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/peal-dev/peal/internal/bench/evloop"
	"github.com/peal-dev/peal/internal/bench/hist"
	"github.com/peal-dev/peal/internal/bench/sequence"
	"github.com/peal-dev/peal/internal/bench/swarm"
	"github.com/peal-dev/peal/internal/bench/wire"
)

// run is one run of a scenario.
type run struct {
	Options
	id        uint32
	began     time.Time // times of messages count from here
	loop      *evloop.Loop
	target    *target
	from      *target // the node to publish on; the same unless there are two
	swarm     *swarm.Swarm
	sender    *swarm.Client // who publishes
	publisher *swarm.Swarm  // of a sender by HTTP; else nil
	report    *Report

	members  int                // clients that a topic's messages are for
	ring     int                // topic t is for the clients t, t+1, … t+members-1, modulo ring
	trackers []sequence.Tracker // members for each client
	sent     []uint32           // messages by topic
	counts   sequence.Counts
	latency  *hist.Histogram
	frame    []byte
	data     []byte
}

// Run runs a scenario and returns what it measured. It fails if nothing could be measured; what the server did wrong is
// in the report's Problems. It ends when ctx is done.
func Run(ctx context.Context, o *Options) (report *Report, err error) {
	opts, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, opts.Timeout, fmt.Errorf("the scenario took longer than %s", opts.Timeout))
	defer cancel()
	const spare = 100
	if n := evloop.MaxOpen(); n < opts.Clients+spare && n > 0 {
		return nil, fmt.Errorf("%d clients need as many open files and this process may have %d; raise the limit (ulimit -n) or take fewer clients", opts.Clients, n)
	}
	r := &run{Options: opts, id: rand.Uint32(), began: time.Now(), latency: new(hist.Histogram),
		report: &Report{Scenario: opts.Scenario, Transport: opts.Transport, Dialect: opts.Dialect, Clients: opts.Clients, Size: opts.Size}}
	if r.loop, err = evloop.New(); err != nil {
		return nil, err
	}
	defer r.loop.Close()
	if r.target, err = open(ctx, opts.URL, opts.Command, opts.PID, opts.AllowRemote, opts.Stderr); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.target.close()) }()
	r.from = r.target
	if opts.Scenario == Cluster {
		if r.from, err = open(ctx, opts.PublishURL, opts.PublishCommand, opts.PublishPID, opts.AllowRemote, opts.Stderr); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, r.from.close()) }()
	}
	scenario := map[Scenario]func(context.Context) error{
		Idle: r.idle, Connect: r.connect, Fanout: r.fanout, Rooms: r.rooms, Echo: r.echo, Slow: r.slow, Cluster: r.fanout,
	}[opts.Scenario]
	if err := scenario(ctx); err != nil {
		return nil, fmt.Errorf("scenario %s: %w", opts.Scenario, err)
	}
	r.finish()
	return r.report, nil
}

func (r *run) problem(format string, args ...any) {
	r.report.Problems = append(r.report.Problems, fmt.Sprintf(format, args...))
}

// handshakeLimit is after how long a client that is not ready connects again: 20 s, as Socket.IO's own client has it.
const handshakeLimit = 20 * time.Second

// newSwarm makes the swarm of the clients; roomsOf names their rooms, nil for none.
func (r *run) newSwarm(roomsOf func(i int) []string) {
	r.swarm = swarm.New(r.loop, r.clients(roomsOf, r.receive))
}

// clients returns the configuration of a swarm of such clients.
func (r *run) clients(roomsOf func(i int) []string, receive func(*swarm.Client, []byte)) swarm.Config {
	cfg := swarm.Config{Target: r.target.addr, Message: receive, Again: handshakeLimit}
	r.endpoint(&cfg)
	if roomsOf != nil {
		cfg.Subscribe = func(i int) string { return r.subscription(roomsOf(i)) }
	}
	return cfg
}

// everyone is the room that the clients are in where the dialect has no broadcast to all.
const everyone = "everyone"

// newAudience makes a swarm of n clients that all receive topic 0.
func (r *run) newAudience(n int) {
	r.members, r.ring = 1, 0
	r.trackers = make([]sequence.Tracker, n)
	r.sent = make([]uint32, 1)
	r.newSwarm(r.inAudience())
}

// inAudience returns what makes clients receive topic 0.
func (r *run) inAudience() (roomsOf func(i int) []string) {
	if r.Dialect.roomed() {
		return func(int) []string { return []string{everyone} }
	}
	return nil
}

// findSender decides who publishes: the first client, or one more where the clients cannot.
func (r *run) findSender(ctx context.Context) error {
	if r.Dialect.published() {
		return r.findPublisher(ctx)
	}
	if r.Transport == WebSocket && r.from == r.target {
		r.sender = r.swarm.Clients()[0]
		return nil
	}
	s := swarm.New(r.loop, swarm.Config{Target: r.from.addr})
	if err := s.Connect(ctx, 1, 1); err != nil {
		return fmt.Errorf("the publisher: %w", err)
	}
	r.sender = s.Clients()[0]
	return nil
}

// publish sends the next message of a topic to the server.
func (r *run) publish(topic int, room string) {
	if r.Dialect.roomed() && room == "" {
		room = everyone
	}
	stamp := wire.Stamp{Run: r.id, Topic: uint32(topic), Seq: r.sent[topic], At: time.Since(r.began)}
	r.data = wire.AppendPadded(r.data[:0], stamp, r.Size)
	r.sent[topic]++
	if r.Dialect.published() {
		r.frame = r.post(r.frame[:0], r.from.addr.String(), room, r.data)
	} else {
		r.frame = wire.AppendFrame(r.frame[:0], wire.Text, r.publication(room, r.data))
	}
	r.sender.Send(r.frame)
}

// receive accounts for a message that a client received.
func (r *run) receive(c *swarm.Client, payload []byte) {
	stamp, ok := wire.FindStamp(payload)
	if !ok {
		return // not a message of ours: a comment in a stream, say
	}
	topic := int(stamp.Topic)
	if stamp.Run != r.id || topic >= len(r.sent) || stamp.Seq >= r.sent[topic] {
		r.report.Delivery.Strange++
		return
	}
	slot := 0
	if r.ring > 0 {
		if slot = (c.Index - topic + r.ring) % r.ring; slot >= r.members {
			r.report.Delivery.Misdirected++
			return
		}
	}
	if r.trackers[c.Index*r.members+slot].Arrived(stamp.Seq, &r.counts) {
		r.latency.Record(time.Since(r.began) - stamp.At)
	}
}

// await polls until so many messages have been received in all; it reports false when they do not come.
func (r *run) await(ctx context.Context, received uint64) (bool, error) {
	err := r.swarm.Until(ctx, r.Patience, func() bool { return r.counts.Received >= received })
	if errors.Is(err, swarm.ErrTimeout) {
		return false, nil
	}
	return err == nil, err
}

// pause polls for a time, in which clients answer heartbeats.
func (r *run) pause(ctx context.Context, d time.Duration) error {
	err := r.swarm.Until(ctx, d, func() bool { return false })
	if errors.Is(err, swarm.ErrTimeout) {
		return nil
	}
	return err
}

// finish closes the accounts.
func (r *run) finish() {
	d := &r.report.Delivery
	for client := range len(r.trackers) / max(r.members, 1) {
		for slot := range r.members {
			topic := 0
			if r.ring > 0 {
				topic = (client - slot + r.ring) % r.ring
			}
			if topic >= len(r.sent) {
				continue
			}
			d.Expected += uint64(r.sent[topic])
			r.trackers[client*r.members+slot].Finish(r.sent[topic], &r.counts)
		}
	}
	d.Received, d.Lost = r.counts.Received, r.counts.Lost
	d.Duplicated, d.Reordered = r.counts.Duplicated, r.counts.Reordered
	if !d.Perfect() {
		r.problem("of %d messages %d were lost, %d came twice, %d out of order, %d to the wrong client, %d nobody had sent",
			d.Expected, d.Lost, d.Duplicated, d.Reordered, d.Misdirected, d.Strange)
	}
	if r.publisher != nil && r.publisher.Err() != nil {
		r.problem("the publisher: %v", r.publisher.Err())
	}
	if n := r.swarm.Again(); n > 0 {
		r.problem("%d clients were not ready %s after they had connected, and connected again", n, handshakeLimit)
	}
	if n := r.swarm.Lost(); n > 0 {
		r.problem("%d clients lost their connection; the first: %v", n, r.swarm.Err())
	}
}

// perUnit returns microseconds per unit.
func perUnit(d time.Duration, units int) float64 {
	return float64(d.Nanoseconds()) / 1000 / float64(units)
}

// share adds the load generator's part of the processor time.
func (r *run) share(server, own time.Duration) {
	if server > 0 {
		r.report.add(GeneratorShare, 100*own.Seconds()/(own+server).Seconds(), "%")
	}
}
