//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/peal-dev/peal/internal/bench/evloop"
	"github.com/peal-dev/peal/internal/bench/wire"
)

// measurement is one run.
type measurement struct {
	*settings
	cluster *cluster
	crowd   *crowd
	clock   clock
	began   time.Time
	result  result
	idleCPU []float64 // of each node, left alone: seconds per second
	sent    uint32
}

// run checks, starts, measures, stops and reports.
func run(ctx context.Context, s *settings) (err error) {
	ctx, stop := context.WithTimeoutCause(ctx, s.limit, fmt.Errorf("the run took longer than %s (--limit)", s.limit))
	defer stop()
	if err := s.divide(evloop.MaxOpen()); err != nil {
		return err
	}
	before, err := readKernel()
	if err != nil {
		return err
	}
	if err := s.preflight(before); err != nil {
		return err
	}
	note, restore, err := s.tcpMemory(before)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, restore()) }()
	if note != "" {
		s.say("%s", note)
	}
	removeBuilt, err := s.build(ctx)
	defer removeBuilt()
	if err != nil {
		return err
	}
	r := &measurement{settings: s, began: time.Now()}
	if r.clock, err = newClock(); err != nil {
		return err
	}
	r.result = result{Date: time.Now().UTC(), Command: s.command(), Asked: s.clients, Nodes: s.nodes, Generators: s.generators,
		GOGC: s.gogc, Size: s.size, PingInterval: s.pingInterval.Seconds(), Note: note, Before: before}
	r.result.describe(ctx)
	if err := r.measure(ctx); err != nil {
		return err
	}
	return r.result.write(s)
}

// say prints a line of progress.
func (s *settings) say(format string, args ...any) { fmt.Fprintf(s.progress, format+"\n", args...) }

// build builds the program peal if none was given.
func (s *settings) build(ctx context.Context) (remove func(), err error) {
	remove = func() {}
	if s.peal != "" {
		return remove, nil
	}
	dir, err := os.MkdirTemp("", "peal-million-")
	if err != nil {
		return remove, fmt.Errorf("a directory for the program: %w", err)
	}
	remove = func() { _ = os.RemoveAll(dir) } // the system cleans up what is left
	s.peal = filepath.Join(dir, "peal")
	build := exec.CommandContext(ctx, "go", "build", "-o", s.peal, "./cmd/peal")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return remove, fmt.Errorf("building peal (run this at the root of the repository, or use --peal): %w", err)
	}
	return remove, nil
}

// measure starts everything, measures, and stops everything.
func (r *measurement) measure(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	defer func() {
		began := time.Now()
		// All at once, and then wait: nobody has to learn of the end of the others.
		if r.crowd != nil {
			r.crowd.kill()
			defer r.crowd.wait()
		}
		if r.cluster != nil {
			r.cluster.kill()
			r.cluster.wait()
		}
		r.say("stopped everything in %.1f s", time.Since(began).Seconds())
	}()
	r.say("starting a Redis, %d nodes and %d generators", r.nodes, r.generators)
	var err error
	if r.cluster, err = startCluster(ctx, r.settings, fail); err != nil {
		return err
	}
	if r.crowd, err = startCrowd(r.settings, fail); err != nil {
		return err
	}
	if r.result.Empty, err = r.memory(); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{r.connect, r.idleTime, r.broadcasts, r.foreignRoom, r.finish} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (r *measurement) connect(ctx context.Context) error {
	before, err := r.usage()
	if err != nil {
		return err
	}
	short := func() string {
		k, err := readKernel()
		if err != nil {
			return err.Error()
		}
		if k.Available < int64(r.keepFree)<<20 {
			return fmt.Sprintf("memory: %s are available and %d MiB stay free (--keep-free)", gib(k.Available), r.keepFree)
		}
		return ""
	}
	last, began, told := 0, time.Now(), time.Now()
	progress := func(n int) {
		since := time.Since(told)
		if since < 4*time.Second {
			return
		}
		k, err := readKernel()
		if err != nil {
			return // short says so
		}
		r.say("%4.0f s: %d of %d clients connected, %d/s; %s available", time.Since(began).Seconds(), n, r.clients, int(float64(n-last)/since.Seconds()), gib(k.Available))
		last, told = n, time.Now()
	}
	if r.result.Connect, err = r.crowd.connect(ctx, r.settings, r.cluster.addrs, short, progress); err != nil {
		return err
	}
	after, err := r.usage()
	if err != nil {
		return err
	}
	r.result.ConnectCPU = after.since(before)
	r.result.Clients = r.crowd.clients()
	if r.result.Clients == 0 {
		return fmt.Errorf("no client could connect: %s", r.result.Connect.Stopped)
	}
	if why := r.result.Connect.Stopped; why != "" {
		r.say("no more than %d clients: %s", r.result.Clients, why)
	}
	return nil
}

// idleTime leaves the clients alone.
func (r *measurement) idleTime(ctx context.Context) error {
	r.say("%d clients are connected; leaving them alone for %s", r.result.Clients, r.idle)
	before, err := r.usage()
	if err != nil {
		return err
	}
	if err := sleep(ctx, r.idle); err != nil {
		return err
	}
	after, err := r.usage()
	if err != nil {
		return err
	}
	r.result.Idle = after.since(before)
	for i := range after.each {
		r.idleCPU = append(r.idleCPU, (after.each[i]-before.each[i]).Seconds()/r.result.Idle.Seconds)
	}
	r.result.Connected, err = r.memory()
	return err
}

// broadcasts publishes on the first node for everybody.
func (r *measurement) broadcasts(ctx context.Context) error {
	before, err := r.cluster.traffics(ctx)
	if err != nil {
		return err
	}
	for n := range r.rounds {
		round, err := r.broadcast(ctx)
		if err != nil {
			return err
		}
		r.result.Rounds = append(r.result.Rounds, *round)
		r.say("broadcast %d of %d: %d of %d clients have it, the last after %.2f s", n+1, r.rounds, round.Received, r.result.Clients, round.Last)
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
	}
	after, err := r.cluster.traffics(ctx)
	if err != nil {
		return err
	}
	for i := range after {
		r.result.Traffic = append(r.result.Traffic, nodeTraffic{
			Members:    after[i].Members,
			Envelopes:  after[i].Envelopes - before[i].Envelopes,
			Deliveries: after[i].Deliveries - before[i].Deliveries,
		})
	}
	r.result.AfterRounds, err = r.memory()
	return err
}

// body is a request to publish a stamped message.
func body(rooms string, run, seq uint32, at time.Duration, size int) []byte {
	text := append([]byte(nil), `{`+rooms+`"event":"tick","args":["`...)
	return append(wire.AppendPadded(text, wire.Stamp{Run: run, Seq: seq, At: at}, size), `"]}`...)
}

func (r *measurement) broadcast(ctx context.Context) (*round, error) {
	before, err := r.usage()
	if err != nil {
		return nil, err
	}
	_, bytesBefore, err := r.cluster.sent(ctx)
	if err != nil {
		return nil, err
	}
	watching, stop := context.WithCancel(ctx)
	watched := make(chan extremes, 1)
	go func() { watched <- watch(watching) }()
	seq, at := r.sent, r.clock.now()
	r.sent++
	// The answer comes when Redis and this node have taken the message; clients may have it before.
	answered := make(chan error, 1)
	var answer time.Duration
	go func() {
		err := r.cluster.publish(ctx, 0, body("", r.crowd.run, seq, at, r.size))
		answer = r.clock.now() - at
		answered <- err
	}()
	a, awaitErr := r.crowd.await(ctx, seq, r.patience)
	stop()
	extremes := <-watched
	if err := errors.Join(<-answered, awaitErr); err != nil {
		return nil, fmt.Errorf("broadcast %d: %w", seq, err)
	}
	after, err := r.usage()
	if err != nil {
		return nil, err
	}
	bytesAfter, _, err := r.cluster.sent(ctx)
	if err != nil {
		return nil, err
	}
	return &round{
		Received: a.received, Last: (a.last - at).Seconds(), Answer: answer.Seconds(),
		Half: a.times.Quantile(0.5).Seconds(), Most: a.times.Quantile(0.99).Seconds(),
		CPU: after.since(before), RedisBytes: bytesAfter - bytesBefore,
		TCPPeak: extremes.TCP, LeastAvailable: extremes.Available,
	}, nil
}

// finish closes the accounts.
func (r *measurement) finish(ctx context.Context) error {
	total, err := r.crowd.finish(ctx, r.sent)
	if err != nil {
		return err
	}
	r.result.Delivery = *total
	r.result.After, err = readKernel()
	r.result.Seconds = time.Since(r.began).Seconds()
	return err
}
