package redissharded

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/nodecluster"
	"github.com/peal-dev/peal/adapter/internal/numbers"
	"github.com/peal-dev/peal/adapter/nodewire"
	"github.com/peal-dev/peal/internal/redisx"
)

// transport is the channels of one namespace.
type transport struct {
	*way
	listener *redisx.ShardListener
	own      string
	names    []string // what this node hears whatever rooms it has
}

var (
	_ nodecluster.Counter = (*transport)(nil)
	_ nodecluster.Beater  = (*transport)(nil)
)

func (d *Driver) open(l *nodecluster.Link) *transport {
	t := &transport{way: newWay(d.publisher, &d.opts, l.Namespace())}
	t.link = l
	t.own = t.main + l.UID() + "#"
	t.names = []string{t.main, t.own}
	t.listener = d.publisher.redis.Listen(t.message)
	return t
}

// message takes what Redis sends. It must not be held up: all namespaces receive by it.
func (t *transport) message(channel string, payload []byte) {
	in := nodecluster.Incoming{Channel: channel, Type: nodewire.TypeOf(payload), Size: len(channel) + len(payload), Body: payload,
		Decode: func() (*nodewire.Message, error) { return t.decode(channel, payload) }}
	if room := t.room(channel); room != "" {
		in.Audience = numbers.Room(room)
	}
	t.link.Receive(in)
}

// room returns the room of which a channel is, or "".
func (t *transport) room(channel string) string {
	if channel == t.main || channel == t.own {
		return ""
	}
	return strings.TrimSuffix(strings.TrimPrefix(channel, t.main), "#")
}

func (t *transport) decode(channel string, payload []byte) (*nodewire.Message, error) {
	// The room may have been closed meanwhile.
	if room := t.room(channel); room != "" && !t.link.HasRoom(room) {
		return nil, nil
	}
	m, err := nodewire.Decode(payload)
	if err == nil {
		t.note(m)
	}
	return m, err
}

// idLen is the length of a socket's id.
const idLen = 20

// named reports whether publishers use the channel of room.
func (m Mode) named(room string) bool {
	return m == DynamicPrivate || m == Dynamic && utf16Len(room) != idLen
}

// utf16Len is the length of s in JavaScript, by which Node.js nodes know a socket's id.
func utf16Len(s string) int {
	n := 0
	for _, r := range s {
		if n++; r > 0xFFFF {
			n++
		}
	}
	return n
}

// Send implements [nodecluster.Transport].
func (t *transport) Send(ctx context.Context, m *nodewire.Message) error {
	return t.send(ctx, m, true)
}

// Post implements [nodecluster.Transport].
func (t *transport) Post(to string, m *nodewire.Message) error {
	select {
	case <-t.link.Done():
		return adapter.ErrClosed
	default:
	}
	payload, err := m.Append(nil)
	if err != nil {
		return err
	}
	channel := t.main
	if to != "" {
		channel += to + "#"
	}
	return t.publisher.outbox.Post(job{message: redisx.Message{Channel: channel, Payload: payload}}, len(payload))
}

// Beat implements [nodecluster.Beater].
func (t *transport) Beat(make func() *nodewire.Message, told func(error)) error {
	return t.publisher.outbox.Post(job{message: redisx.Message{Channel: t.main}, make: make, told: told}, 0)
}

// Probe implements [nodecluster.Transport]: only this node listens to its own channel. When Redis refuses the namespace's,
// or its server is away, the probe could come back and messages would not.
func (t *transport) Probe(ctx context.Context, m *nodewire.Message) error {
	if err := t.listener.Refusal(t.names...); err != nil {
		return fmt.Errorf("%w: %v", adapter.ErrUnavailable, err)
	}
	if _, cause := t.publisher.redis.Away(t.main); cause != nil {
		return fmt.Errorf("%w: %v", adapter.ErrUnavailable, cause)
	}
	payload, err := m.Append(nil)
	if err != nil {
		return err
	}
	return t.publish(ctx, job{message: redisx.Message{Channel: t.own, Payload: payload}, needed: true})
}

// Nodes implements [nodecluster.Counter]: the connections that are subscribed to the namespace's channel, as Node.js nodes
// count. It is asked anew for each call.
func (t *transport) Nodes(ctx context.Context) (int, error) {
	bounded, cancel := context.WithTimeout(ctx, t.opts.Timeout)
	defer cancel()
	n, err := t.publisher.redis.Subscribers(bounded, t.main)
	switch {
	case err != nil && ctx.Err() != nil:
		return 0, ctx.Err()
	case err != nil:
		return 0, closed(err)
	case n == 0:
		return 0, fmt.Errorf("%w: this node is not subscribed itself", adapter.ErrUnavailable)
	}
	return int(n), nil
}

// Counts implements [nodecluster.Counter], by the channel that only the node itself hears.
func (t *transport) Counts(ctx context.Context, uid string) (bool, error) {
	bounded, cancel := context.WithTimeout(ctx, t.opts.Timeout)
	defer cancel()
	n, err := t.publisher.redis.Subscribers(bounded, t.main+uid+"#")
	return n > 0, err
}

// Close implements [nodecluster.Transport].
func (t *transport) Close(context.Context) error {
	t.listener.Close()
	return nil
}

// closed makes [adapter.ErrClosed] of the client's.
func closed(err error) error {
	if errors.Is(err, redisx.ErrClosed) {
		return adapter.ErrClosed
	}
	return err
}
