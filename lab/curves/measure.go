package main

import (
	"context"
	"errors"
	"time"
)

// cost is what a load needs of the servers.
type cost struct {
	Idle  float64 // bytes for all clients, connected and left alone
	After float64 // bytes for all clients, after the fan-out
	CPU   float64 // seconds for one message to each client
}

const (
	// firstClients are connected before memory is compared, so that what a server loads for its first clients, and keeps
	// for the handshakes of those that come at once, does not count as theirs.
	firstClients = 200
	// settle is the pause before memory is measured.
	settle = time.Second
	// warmUpRounds come before the processor time is measured.
	warmUpRounds = 3
	// lateness is how long the clients go on listening for messages that come twice.
	lateness = 100 * time.Millisecond
)

// measure starts servers, loads them, and stops them.
func measure(ctx context.Context, p programs, l load, floor bool) (measured cost, err error) {
	s, err := start(ctx, p, l, floor)
	defer func() { err = errors.Join(err, s.stop()) }()
	if err != nil {
		return measured, err
	}
	c, err := newCrowd(l, s.addrs)
	if err != nil {
		return measured, err
	}
	defer c.close()
	m := memory{servers: s, scale: 1}
	// The memory of a cluster is that of its nodes, empty or not; that of a node alone is what its clients need.
	if l.nodes == 0 {
		first := min(firstClients, l.clients/4)
		if err := c.connect(ctx, first); err != nil {
			return measured, err
		}
		if m.empty, err = s.memory(); err != nil {
			return measured, err
		}
		m.scale = float64(l.clients) / float64(l.clients-first)
	}
	if err := c.connect(ctx, l.clients); err != nil {
		return measured, err
	}
	if err := c.pause(ctx, settle); err != nil {
		return measured, err
	}
	if measured.Idle, err = m.now(); err != nil {
		return measured, err
	}
	for range warmUpRounds {
		if err := c.round(ctx); err != nil {
			return measured, err
		}
	}
	before, err := s.cpu()
	if err != nil {
		return measured, err
	}
	for range l.rounds {
		if err := c.round(ctx); err != nil {
			return measured, err
		}
	}
	after, err := s.cpu()
	if err != nil {
		return measured, err
	}
	measured.CPU = (after - before).Seconds() / float64(l.rounds)
	if measured.After, err = m.now(); err != nil {
		return measured, err
	}
	if err := c.pause(ctx, lateness); err != nil {
		return measured, err
	}
	return measured, c.finish()
}

// memory compares what the servers hold with what they held before.
type memory struct {
	servers *servers
	empty   float64
	scale   float64 // clients by those that came since
}

func (m memory) now() (float64, error) {
	bytes, err := m.servers.memory()
	return (bytes - m.empty) * m.scale, err
}
