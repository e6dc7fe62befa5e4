//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/peal-dev/peal/internal/bench/evloop"
	"github.com/peal-dev/peal/internal/bench/sequence"
	"github.com/peal-dev/peal/internal/bench/swarm"
	"github.com/peal-dev/peal/internal/bench/wire"
)

// publishers is how many requests to publish are under way at a time.
const publishers = 8

// foreignRoom publishes to a room that only the first node has a member of, and looks what that costs the others, which
// subscribe to the rooms they have.
func (r *measurement) foreignRoom(ctx context.Context) error {
	if r.foreign == 0 || len(r.cluster.nodes) < 2 {
		return nil
	}
	r.say("publishing %d messages to a room of the first node only", r.foreign)
	loop, err := evloop.New()
	if err != nil {
		return err
	}
	defer loop.Close()
	target, err := netip.ParseAddrPort(r.cluster.addrs[0])
	if err != nil {
		return fmt.Errorf("address of the first node: %w", err)
	}
	var tracker sequence.Tracker
	var counts sequence.Counts
	member := swarm.New(loop, swarm.Config{Target: target, First: r.clients,
		Subscribe: func(int) string { return `20["subscribe","first"]` },
		Message: func(_ *swarm.Client, payload []byte) {
			if stamp, ok := wire.FindStamp(payload); ok && stamp.Run == r.crowd.run {
				tracker.Arrived(stamp.Seq, &counts)
			}
		}})
	if err := member.Connect(ctx, 1, 1); err != nil {
		return fmt.Errorf("the room's only member: %w", err)
	}
	trafficBefore, err := r.cluster.traffics(ctx)
	if err != nil {
		return err
	}
	_, bytesBefore, err := r.cluster.sent(ctx)
	if err != nil {
		return err
	}
	before, err := r.usage()
	if err != nil {
		return err
	}
	publishing, failed := context.WithCancelCause(ctx)
	defer failed(nil)
	published := make(chan struct{})
	go func() {
		defer close(published)
		if err := r.publishForeign(publishing); err != nil {
			failed(err)
		}
	}()
	err = member.Until(publishing, r.patience, func() bool { return counts.Received >= uint64(r.foreign) })
	if err != nil {
		failed(err)
	}
	<-published
	if err != nil {
		return fmt.Errorf("a room of the first node: %d of %d messages arrived: %w", counts.Received, r.foreign, err)
	}
	// What Redis has sent to the nodes they read at once; a moment suffices.
	if err := sleep(ctx, 500*time.Millisecond); err != nil {
		return err
	}
	after, err := r.usage()
	if err != nil {
		return err
	}
	bytesAfter, _, err := r.cluster.sent(ctx)
	if err != nil {
		return err
	}
	trafficAfter, err := r.cluster.traffics(ctx)
	if err != nil {
		return err
	}
	cpu := after.since(before)
	f := &foreignResult{Messages: r.foreign, Received: counts.Received, Seconds: cpu.Seconds, RedisCPU: cpu.Redis, RedisBytes: bytesAfter - bytesBefore}
	var each []float64
	for i := 1; i < len(after.each); i++ {
		own := (after.each[i] - before.each[i]).Seconds() - r.idleCPU[i]*cpu.Seconds
		each = append(each, max(0, own)/float64(r.foreign)*1e6) // it may have been idler than before
		f.Elsewhere = max(f.Elsewhere, trafficAfter[i].FromRedis-trafficBefore[i].FromRedis)
	}
	slices.Sort(each)
	f.Microseconds, f.Least, f.Greatest = each[len(each)/2], each[0], each[len(each)-1]
	f.FirstNode = (after.each[0] - before.each[0]).Seconds() / float64(r.foreign) * 1e6
	r.result.Foreign = f
	return nil
}

// publishForeign publishes all messages for the room, several at a time.
func (r *measurement) publishForeign(ctx context.Context) error {
	var next atomic.Uint32
	var workers sync.WaitGroup
	errs := make([]error, publishers)
	for i := range publishers {
		workers.Go(func() {
			for errs[i] == nil {
				seq := next.Add(1) - 1
				if int(seq) >= r.foreign {
					return
				}
				errs[i] = r.cluster.publish(ctx, 0, body(`"rooms":["first"],`, r.crowd.run, seq, 0, r.size))
			}
		})
	}
	workers.Wait()
	return errors.Join(errs...)
}
