package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/peal-dev/peal/internal/bench/evloop"
)

// warmUp is how many clients connect before memory is measured, so that what a server loads for its first clients does
// not count as theirs.
const warmUp = 50

// connectAll connects the clients and reports how the server took it.
func (r *run) connectAll(ctx context.Context, n int) error {
	before, err := r.target.cost()
	if err != nil {
		return err
	}
	again := r.swarm.Again()
	if err := r.swarm.Connect(ctx, n, r.AtOnce); err != nil {
		return err
	}
	again = r.swarm.Again() - again
	after, err := r.target.cost()
	if err != nil {
		return err
	}
	server, own, wall := after.since(before)
	prompt := n
	if again > 0 && again < n { // a client that waits to connect again says nothing of how fast the others were let in
		prompt, wall = n-again, r.swarm.Prompt().Sub(before.at)
	}
	r.report.add(ConnectRate, float64(prompt)/wall.Seconds(), unitPerSecond)
	if server > 0 {
		r.report.add(ConnectCPU, perUnit(server, n), unitMicroseconds)
	}
	if r.Scenario == Connect {
		r.share(server, own)
		r.report.addLatency(latencyJoin, r.swarm.Joining())
	}
	return nil
}

// connect measures how fast clients get in.
func (r *run) connect(ctx context.Context) error {
	r.newAudience(r.Clients)
	if err := r.swarm.Connect(ctx, min(warmUp, r.Clients), r.AtOnce); err != nil {
		return err
	}
	r.swarm.Joining().Reset()
	defer evloop.Pin()()
	return r.connectAll(ctx, max(r.Clients-warmUp, 1))
}

// idle measures what clients cost that do nothing. Each is in one room, with RoomSize-1 others.
func (r *run) idle(ctx context.Context) error {
	r.newAudience(r.Clients)
	if r.Dialect != Floor {
		r.newSwarm(func(i int) []string { return []string{roomName(i / r.RoomSize)} })
	}
	if err := r.swarm.Connect(ctx, warmUp, r.AtOnce); err != nil {
		return err
	}
	empty, err := r.target.memory()
	if err != nil {
		return err
	}
	if err := r.connectAll(ctx, r.Clients); err != nil {
		return err
	}
	if err := r.memoryPer(PeakPerConnection, empty, r.Clients); err != nil {
		return err
	}
	if err := r.pause(ctx, r.Settle); err != nil {
		return err
	}
	before, err := r.target.cost()
	if err != nil {
		return err
	}
	if err := r.pause(ctx, r.Window); err != nil {
		return err
	}
	after, err := r.target.cost()
	if err != nil {
		return err
	}
	server, _, wall := after.since(before)
	if r.target.pid != 0 {
		r.report.add(IdleCPU, perUnit(server, r.Clients+warmUp)/wall.Seconds(), unitMicrosecondsPerS)
	}
	return r.memoryPer(MemoryPerConnection, empty, r.Clients)
}

func (r *run) memoryPer(name string, before int64, n int) error {
	now, err := r.target.memory()
	if err != nil {
		return err
	}
	if now > 0 {
		r.report.add(name, float64(now-before)/1024/float64(n), unitKiB)
	}
	return nil
}

// echo has clients send an event each and the next when it was acknowledged.
func (r *run) echo(ctx context.Context) error {
	e := &echo{run: r}
	r.members, r.trackers = 0, nil
	e.connectSwarm()
	if err := r.swarm.Connect(ctx, r.Clients, r.AtOnce); err != nil {
		return err
	}
	for _, c := range r.swarm.Clients() {
		e.send(c)
	}
	if err := r.pause(ctx, min(time.Second, r.Window/5)); err != nil { // warms up both sides
		return err
	}
	r.latency.Reset()
	before, err := r.target.cost()
	if err != nil {
		return err
	}
	start := e.answers
	if err := r.pause(ctx, r.Window); err != nil {
		return err
	}
	after, err := r.target.cost()
	if err != nil {
		return err
	}
	server, own, wall := after.since(before)
	n := e.answers - start
	if n == 0 {
		return fmt.Errorf("no event was acknowledged in %s", r.Window)
	}
	e.stopping = true
	if err := r.swarm.Until(ctx, r.Patience, func() bool { return e.answers == e.events }); err != nil {
		r.problem("%d events were not acknowledged: %v", e.events-e.answers, err)
	}
	if server > 0 {
		r.report.add(EventCPU, perUnit(server, n), unitMicroseconds)
	}
	r.report.add(EventRate, float64(n)/wall.Seconds(), unitPerSecond)
	r.share(server, own)
	r.report.addLatency(latencyEcho, r.latency)
	return nil
}
