package redisx

import (
	"context"
	"errors"
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

// Subscribers returns how many connections are subscribed to a channel: of a shard channel, on the server that has it, and
// else on all.
func (s *Shards) Subscribers(ctx context.Context, channel string) (int64, error) {
	if err := s.await(ctx, nil); err != nil {
		return 0, err
	}
	var clients []*Client
	s.mu.Lock()
	n, err := s.nodeOf(channel)
	if err == nil {
		clients = []*Client{n.client}
		if !s.sharded && s.table.servers != nil {
			clients = clients[:0]
			for _, address := range s.table.servers {
				clients = append(clients, s.node(address).client)
			}
		}
	}
	s.mu.Unlock()
	switch {
	case err != nil:
		return 0, err
	case s.sharded:
		return n.client.ShardSubscribers(ctx, channel)
	}
	count, err := sum(ctx, clients, channel)
	if err != nil {
		s.kick() // one of them may be gone
	}
	return count, err
}

// addressed is what goes to the server that has its key: a channel, or a stream.
type addressed interface {
	key() string
	fault() *error // what became of it
}

func (m *Message) key() string   { return m.Channel }
func (m *Message) fault() *error { return &m.Err }
func (a *Append) key() string    { return a.Stream }
func (a *Append) fault() *error  { return &a.Err }

// Publish publishes the batch, with one round trip to each server, and sets the messages' Err and Receivers as
// [Client.Publish] does. What goes to one server arrives in the order of the batch. What a server does not take because
// another has the channel by now is sent there.
func (s *Shards) Publish(ctx context.Context, batch []Message) {
	for i := range batch {
		batch[i].Sharded = s.sharded
	}
	spread(ctx, s, batch, (*Client).Publish)
}

// Append appends the batch, with one round trip to each server, and sets IDs and Errs as [Client.Append] does. What goes to
// one stream is appended in the order of the batch. What a server does not take because another has the stream by now, or is
// about to, is sent there.
func (s *Shards) Append(ctx context.Context, batch []Append) { spread(ctx, s, batch, (*Client).Append) }

// spread sends each part of a batch to the server that has it.
func spread[T any, P interface {
	*T
	addressed
}](ctx context.Context, s *Shards, batch []T, send func(*Client, context.Context, []T)) {
	if n := s.alone(); n != nil {
		send(n.client, ctx, batch)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	all := make([]P, len(batch))
	for i := range batch {
		all[i] = &batch[i]
	}
	var before *topology
	for len(all) > 0 {
		if err := s.await(ctx, before); err != nil {
			for _, p := range all {
				if *p.fault() == nil {
					*p.fault() = err
				}
			}
			return
		}
		before = spreadOnce(ctx, s, all, send)
		doubtful := false // whether the servers may be others than before
		for _, p := range all {
			err := p.fault()
			if errors.Is(*err, ErrClosed) && !s.ended() {
				*err = fmt.Errorf("redis: the server has left the cluster: %v", *err)
			}
			doubtful = doubtful || *err != nil && (isElsewhere(*err) || !isAnswer(*err))
		}
		if doubtful {
			s.kick()
		}
		all = slices.DeleteFunc(all, func(p P) bool { return !isElsewhere(*p.fault()) })
	}
}

// spreadOnce sends once, and returns by which topology.
func spreadOnce[T any, P interface {
	*T
	addressed
}](ctx context.Context, s *Shards, all []P, send func(*Client, context.Context, []T)) *topology {
	parts := make(map[*shardNode][]P)
	s.mu.Lock()
	table := s.table
	for _, p := range all {
		n, err := s.nodeOf(p.key())
		if *p.fault() = err; err == nil {
			parts[n] = append(parts[n], p)
		}
	}
	s.mu.Unlock()
	var wg sync.WaitGroup
	for n, part := range parts {
		do := func() {
			batch := make([]T, len(part))
			for i, p := range part {
				batch[i] = *p
			}
			send(n.client, ctx, batch)
			for i, p := range part {
				*p = batch[i]
			}
		}
		if len(parts) == 1 {
			do()
		} else {
			wg.Go(do)
		}
	}
	wg.Wait()
	return table
}

// alone returns the only server that there is, and nil if there are several, or if that is not known yet.
func (s *Shards) alone() *shardNode {
	if !s.Single() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.node("")
}

// ended reports whether s was closed.
func (s *Shards) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}
