package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"time"

	"github.com/peal-dev/peal/internal/bench/evloop"
	"github.com/peal-dev/peal/internal/bench/sequence"
	"github.com/peal-dev/peal/internal/bench/swarm"
	"github.com/peal-dev/peal/internal/bench/wire"
)

const (
	// atOnce is how many connections are on their way at a time. What a server needs for so many at once it has needed
	// for the first clients, before memory is compared.
	atOnce = 64
	// underWay is how many publications are under way at a time.
	underWay = 32
	// patience is how long a message may take before it counts as lost.
	patience = 20 * time.Second
)

// crowd is the clients of a point, spread evenly over the nodes. Client i is in room i modulo rooms.
type crowd struct {
	load
	run      uint16 // tells this crowd's messages from others
	loop     *evloop.Loop
	swarms   []*swarm.Swarm // one for each node
	trackers []sequence.Tracker
	sent     []uint32 // messages by room
	expected uint64
	counts   sequence.Counts
	strange  uint64 // messages that were altered, not sent, or for another room
	data     []byte
	frame    []byte
}

// newCrowd returns the clients of nodes at these addresses, none connected yet.
func newCrowd(l load, addrs []netip.AddrPort) (*crowd, error) {
	loop, err := evloop.New()
	if err != nil {
		return nil, err
	}
	c := &crowd{load: l, run: uint16(rand.Uint32()), loop: loop, trackers: make([]sequence.Tracker, l.clients), sent: make([]uint32, max(l.rooms, 1))}
	for node, addr := range addrs {
		cfg := swarm.Config{Target: addr, First: node * l.clients}
		cfg.Message = func(client *swarm.Client, payload []byte) { c.receive(c.number(node, client.Index), payload) }
		if l.rooms > 0 {
			cfg.Subscribe = func(i int) string { return `20["join","` + roomName(c.topic(c.number(node, i))) + `"]` }
		}
		c.swarms = append(c.swarms, swarm.New(loop, cfg))
	}
	return c, nil
}

func (c *crowd) close() { c.loop.Close() }

func roomName(topic int) string { return "room-" + strconv.Itoa(topic) }

// number returns the number in the crowd of a node's client.
func (c *crowd) number(node, index int) int { return index*len(c.swarms) + node }

// topic returns what a client is to receive: the number of its room, or 0.
func (c *crowd) topic(client int) int { return client % len(c.sent) }

// members returns how many clients receive a topic's messages.
func (c *crowd) members(topic int) int {
	return (c.clients - topic + len(c.sent) - 1) / len(c.sent)
}

// connect adds clients until there are so many.
func (c *crowd) connect(ctx context.Context, upTo int) error {
	for node, s := range c.swarms {
		have := len(s.Clients())
		want := (upTo - node + len(c.swarms) - 1) / len(c.swarms)
		if err := s.Connect(ctx, want-have, atOnce); err != nil {
			return err
		}
	}
	return nil
}

// A stamp is run, topic and number of a message in hexadecimal digits: the least that a message of 16 bytes can say.
const (
	stampSize  = 4 + 4 + 8
	beforeData = `["broadcast","`
	afterData  = `"]`
)

func appendStamped(dst []byte, run, topic uint16, seq uint32, size int) []byte {
	dst = fmt.Appendf(dst, "%04x%04x%08x", run, topic, seq)
	return append(dst, bytes.Repeat([]byte("x"), max(0, size-stampSize))...)
}

// stamped reads the stamp of an event; it is not ok if the event is another, or has another length.
func stamped(payload []byte, size int) (run, topic uint16, seq uint32, ok bool) {
	data, found := bytes.CutPrefix(payload, []byte(beforeData))
	if !found || len(data) != size+len(afterData) || size < stampSize {
		return 0, 0, 0, false
	}
	// It runs for each delivery, and the clients share the machine with the server: no allocation.
	var v [3]uint64
	for i, digits := range [3][]byte{data[:4], data[4:8], data[8:stampSize]} {
		for _, d := range digits {
			switch {
			case d >= '0' && d <= '9':
				d -= '0'
			case d >= 'a' && d <= 'f':
				d -= 'a' - 10
			default:
				return 0, 0, 0, false
			}
			v[i] = v[i]<<4 | uint64(d)
		}
	}
	return uint16(v[0]), uint16(v[1]), uint32(v[2]), true
}

func (c *crowd) receive(client int, payload []byte) {
	run, topic, seq, ok := stamped(payload, c.size)
	if !ok || run != c.run || int(topic) != c.topic(client) || seq >= c.sent[topic] {
		c.strange++
		return
	}
	c.trackers[client].Arrived(seq, &c.counts)
}

// publish has the first client send the next message of a topic.
func (c *crowd) publish(topic int) {
	c.data = appendStamped(c.data[:0], c.run, uint16(topic), c.sent[topic], c.size)
	c.sent[topic]++
	c.expected += uint64(c.members(topic))
	packet := fmt.Appendf(nil, `42["broadcast","%s"]`, c.data)
	if c.rooms > 0 {
		packet = fmt.Appendf(nil, `42["publish",%q,"%s"]`, roomName(topic), c.data)
	}
	c.frame = wire.AppendFrame(c.frame[:0], wire.Text, packet)
	c.swarms[0].Clients()[0].Send(c.frame)
}

// round sends a message to every topic and returns when all clients have theirs.
func (c *crowd) round(ctx context.Context) error {
	start := c.expected
	for topic := range c.sent {
		if topic >= underWay {
			start += uint64(c.members(topic - underWay))
			if err := c.await(ctx, start); err != nil {
				return err
			}
		}
		c.publish(topic)
	}
	return c.await(ctx, c.expected)
}

// await polls until so many messages were received in all.
func (c *crowd) await(ctx context.Context, received uint64) error {
	err := c.swarms[0].Until(ctx, patience, func() bool { return c.counts.Received >= received })
	if errors.Is(err, swarm.ErrTimeout) {
		return errors.Join(fmt.Errorf("of %d messages %d did not come within %s", c.expected, received-c.counts.Received, patience), c.lost())
	}
	return err
}

// pause serves the connections for a time.
func (c *crowd) pause(ctx context.Context, d time.Duration) error {
	err := c.swarms[0].Until(ctx, d, func() bool { return false })
	if errors.Is(err, swarm.ErrTimeout) {
		return nil
	}
	return err
}

// lost returns why clients were lost.
func (c *crowd) lost() error {
	for _, s := range c.swarms {
		if s.Lost() > 0 {
			return fmt.Errorf("%d clients lost their connection: %w", s.Lost(), s.Err())
		}
	}
	return nil
}

// finish returns what was wrong with the deliveries.
func (c *crowd) finish() error {
	for client := range c.trackers {
		c.trackers[client].Finish(c.sent[c.topic(client)], &c.counts)
	}
	if n := c.counts; n.Received != c.expected || n.Lost+n.Duplicated+n.Reordered+c.strange > 0 {
		return errors.Join(fmt.Errorf("of %d messages %d were lost, %d came twice, %d out of order, %d altered or for others",
			c.expected, n.Lost, n.Duplicated, n.Reordered, c.strange), c.lost())
	}
	return c.lost()
}
