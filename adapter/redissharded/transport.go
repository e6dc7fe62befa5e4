package redissharded

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/nodecluster"
	"github.com/peal-dev/peal/adapter/internal/outbox"
	"github.com/peal-dev/peal/adapter/internal/recentrooms"
	"github.com/peal-dev/peal/adapter/nodewire"
	"github.com/peal-dev/peal/internal/redisx"
)

// transport is the channels of one namespace.
type transport struct {
	driver   *Driver
	link     *nodecluster.Link
	listener *redisx.ShardListener
	main     string // channel; a room, or the name of a node, is appended to it
	own      string
	names    []string // what this node hears whatever rooms it has
	joins    recentrooms.Rooms
}

var _ nodecluster.Counter = (*transport)(nil)

func (d *Driver) open(l *nodecluster.Link) *transport {
	t := &transport{driver: d, link: l, main: d.opts.Prefix + "#" + l.Namespace() + "#"}
	t.own = t.main + l.UID() + "#"
	t.names = []string{t.main, t.own}
	t.listener = d.redis.Listen(t.message)
	return t
}

// message takes what Redis sends. It must not be held up: all namespaces receive by it.
func (t *transport) message(channel string, payload []byte) {
	t.link.Receive(nodecluster.Incoming{Channel: channel, Type: nodewire.TypeOf(payload), Size: len(channel) + len(payload),
		Decode: func() (*nodewire.Message, error) { return t.decode(channel, payload) }})
}

func (t *transport) decode(channel string, payload []byte) (*nodewire.Message, error) {
	// The room may have been closed meanwhile.
	room := strings.TrimSuffix(strings.TrimPrefix(channel, t.main), "#")
	if room != "" && channel != t.own && !t.link.HasRoom(room) {
		return nil, nil
	}
	m, err := nodewire.Decode(payload)
	if err == nil && m.Type == nodewire.SocketsJoin {
		t.note(m)
	}
	return m, err
}

// note remembers the rooms of a join that goes through the cluster. Nobody waits for such a join: what is published to
// the room right after it takes the channel that all nodes hear.
func (t *transport) note(m *nodewire.Message) {
	if t.driver.opts.Mode != Static {
		t.joins.Note(m.ChangeRooms, t.driver.opts.Timeout)
	}
}

// channel returns where m is published.
func (t *transport) channel(m *nodewire.Message) string {
	if m.Type != nodewire.Broadcast || m.RequestID != "" || len(m.Rooms) != 1 || !t.driver.opts.Mode.named(m.Rooms[0]) {
		return t.main
	}
	if t.joins.Has(m.Rooms[0]) || !t.driver.opts.SpreadRooms && t.driver.redis.Clustered() {
		return t.main
	}
	return t.main + m.Rooms[0] + "#"
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
	payload, err := m.Append(nil)
	if err != nil {
		return err
	}
	if m.Type == nodewire.SocketsJoin {
		t.note(m)
	}
	channel := t.channel(m)
	_, err = t.driver.outbox.Send(ctx, job{message: redisx.Message{Channel: channel, Payload: payload}, needed: channel == t.main}, len(payload))
	return err
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
	return t.driver.outbox.Post(job{message: redisx.Message{Channel: channel, Payload: payload}}, len(payload))
}

// Probe implements [nodecluster.Transport]: only this node listens to its own channel. When Redis refuses the namespace's,
// or its server is away, the probe could come back and messages would not.
func (t *transport) Probe(ctx context.Context, m *nodewire.Message) error {
	if err := t.listener.Refusal(t.names...); err != nil {
		return fmt.Errorf("%w: %v", adapter.ErrUnavailable, err)
	}
	if _, cause := t.driver.redis.Away(t.main); cause != nil {
		return fmt.Errorf("%w: %v", adapter.ErrUnavailable, cause)
	}
	payload, err := m.Append(nil)
	if err != nil {
		return err
	}
	_, err = t.driver.outbox.Send(ctx, job{message: redisx.Message{Channel: t.own, Payload: payload}, needed: true}, len(payload))
	return err
}

// Nodes implements [nodecluster.Counter]: the connections that are subscribed to the namespace's channel, as Node.js nodes
// count. It is asked anew for each call.
func (t *transport) Nodes(ctx context.Context) (int, error) {
	bounded, cancel := context.WithTimeout(ctx, t.driver.opts.Timeout)
	defer cancel()
	n, err := t.driver.redis.Subscribers(bounded, t.main)
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

// job is one message on its way.
type job struct {
	message redisx.Message
	needed  bool // this node subscribes to the channel itself
}

// flush sends a batch with one round trip to each server.
func (d *Driver) flush(ctx context.Context, batch []*outbox.Item[job]) {
	messages := make([]redisx.Message, len(batch))
	for i, item := range batch {
		messages[i] = item.Value.message
	}
	d.redis.Publish(ctx, messages)
	for i, item := range batch {
		item.Err = d.explain(&messages[i], item.Value.needed)
	}
}

// explain says what became of a message. The server of a shard channel counts all that are subscribed to it: that it went
// to no connection, on a channel that this node subscribes to itself, means that the subscription is gone, and with Redis
// just restarted that of the other nodes too.
func (d *Driver) explain(m *redisx.Message, needed bool) error {
	switch {
	case m.Err == nil && m.Receivers == 0 && needed:
		return fmt.Errorf("%w: no node received it, not even this one", adapter.ErrUnavailable)
	case m.Err == nil:
		return nil
	case errors.Is(m.Err, redisx.ErrClosed):
		return adapter.ErrClosed
	}
	// Not wrapped: a deadline in it is the client's own and none of the caller's context.
	return fmt.Errorf("%w: %v", adapter.ErrUnavailable, m.Err)
}
