package redisx

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// nodeOf returns the server that has a channel. The caller holds mu.
func (s *Shards) nodeOf(channel string) (*shardNode, error) {
	switch {
	case s.closed:
		return nil, ErrClosed
	case s.table == nil:
		return nil, s.cause
	}
	address, ok := s.table.addressOf(channel)
	if !ok {
		return nil, fmt.Errorf("redis: no server has the slot of %q", channel)
	}
	return s.node(address), nil
}

// await returns when there is a topology, or a newer one than that of before, if not nil.
func (s *Shards) await(ctx context.Context, before *topology) error {
	for {
		s.mu.Lock()
		table, learned, cause := s.table, s.learned, s.cause
		s.mu.Unlock()
		if table != nil && table != before {
			return nil
		}
		select {
		case <-learned:
		case <-s.done:
			return ErrClosed
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", ctx.Err(), cause)
		}
	}
}

// Single reports whether there is one server, and no cluster, as far as is known.
func (s *Shards) Single() bool { return s.single.Load() }

// Subscribers returns how many connections are subscribed to a shard channel on the server that has it.
func (s *Shards) Subscribers(ctx context.Context, channel string) (int64, error) {
	if err := s.await(ctx, nil); err != nil {
		return 0, err
	}
	s.mu.Lock()
	n, err := s.nodeOf(channel)
	s.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return n.client.ShardSubscribers(ctx, channel)
}

// Publish publishes the batch on shard channels, with one round trip to each server, and sets the messages' Err and
// Receivers as [Client.Publish] does. What goes to one server arrives in the order of the batch. What a server does not
// take because another has the channel by now is sent there.
func (s *Shards) Publish(ctx context.Context, batch []Message) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	all := make([]*Message, len(batch))
	for i := range batch {
		batch[i].Sharded = true
		all[i] = &batch[i]
	}
	var before *topology
	for len(all) > 0 {
		if err := s.await(ctx, before); err != nil {
			for _, m := range all {
				if m.Err == nil {
					m.Err = err
				}
			}
			return
		}
		before = s.publish(ctx, all)
		all = slices.DeleteFunc(all, func(m *Message) bool { return !isMoved(m.Err) })
		if len(all) > 0 {
			s.kick()
		}
	}
}

// publish sends each message to the server that has its channel, and returns by which topology.
func (s *Shards) publish(ctx context.Context, all []*Message) *topology {
	parts := make(map[*shardNode][]*Message)
	s.mu.Lock()
	table := s.table
	for _, m := range all {
		n, err := s.nodeOf(m.Channel)
		if m.Err = err; err == nil {
			parts[n] = append(parts[n], m)
		}
	}
	s.mu.Unlock()
	var wg sync.WaitGroup
	for n, part := range parts {
		send := func() {
			batch := make([]Message, len(part))
			for i, m := range part {
				batch[i] = *m
			}
			n.client.Publish(ctx, batch)
			for i, m := range part {
				*m = batch[i]
			}
		}
		if len(parts) == 1 {
			send()
		} else {
			wg.Go(send)
		}
	}
	wg.Wait()
	return table
}
