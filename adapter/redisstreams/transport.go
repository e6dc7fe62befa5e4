package redisstreams

import (
	"context"
	"fmt"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/nodecluster"
	"github.com/peal-dev/peal/adapter/internal/reception"
	"github.com/peal-dev/peal/adapter/nodewire"
	"github.com/peal-dev/peal/internal/redisx"
)

// transport is how the messages of one namespace travel.
type transport struct {
	driver *Driver
	link   *nodecluster.Link
	way
	readers  []*reader
	listener *redisx.ShardListener
	names    []string // the channels
	// questions have come by the channel and wait for the stream, where what was published before them is.
	questions *reception.Inbox[nodecluster.Incoming]
}

var _ nodecluster.Counter = (*transport)(nil)

// open begins to receive for a link.
func (d *Driver) open(ctx context.Context, l *nodecluster.Link) (nodecluster.Transport, error) {
	way, read := d.opts.way(l.Namespace())
	t := &transport{driver: d, link: l, way: way}
	t.names = []string{t.main, t.main + l.UID() + "#"}
	t.questions = reception.NewInbox(d.hub.Monitor, l.Namespace(), d.opts.InboxSize, d.opts.InboxBytes, t.question)
	t.listener = d.publisher.redis.Listen(t.message)
	for _, name := range read {
		t.readers = append(t.readers, d.join(name, l, name == t.stream))
	}
	if err := t.hear(ctx); err != nil {
		_ = t.Close(ctx)
		return nil, err
	}
	return t, nil
}

// hear returns when what is published from now on is received.
func (t *transport) hear(ctx context.Context) error {
	if err := t.listener.Add(t.names...).Wait(ctx); err != nil {
		return closed(err)
	}
	for _, r := range t.readers {
		select {
		case <-r.known:
		case <-ctx.Done():
			if err := r.away(); err != nil {
				return closed(err)
			}
			return ctx.Err()
		}
	}
	return nil
}

// Close implements [nodecluster.Transport].
func (t *transport) Close(context.Context) error {
	t.listener.Close()
	t.questions.Close()
	for _, r := range t.readers {
		t.driver.leave(r, t.link)
	}
	return nil
}

// message takes what Redis sends on a channel. It must not be held up: all namespaces receive by it.
func (t *transport) message(channel string, payload []byte) {
	in := nodecluster.Incoming{Channel: channel, Type: nodewire.TypeOf(payload), Size: len(channel) + len(payload),
		Decode: func() (*nodewire.Message, error) { return nodewire.Decode(payload) }}
	if channel == t.main && in.Type != nodewire.InitialHeartbeat && in.Type != nodewire.Heartbeat {
		t.questions.Put(in, in.Size, false)
		return
	}
	t.link.Receive(in)
}

// question hands over what came by the channel when the stream is read as far as it was then. If it cannot be read now, that
// does not keep anybody from an answer.
func (t *transport) question(in nodecluster.Incoming) {
	ctx, cancel := context.WithTimeout(context.Background(), t.driver.opts.Timeout)
	defer cancel()
	go func() {
		select {
		case <-t.link.Done():
			cancel()
		case <-ctx.Done():
		}
	}()
	for _, r := range t.readers {
		_ = r.await(ctx)
	}
	t.link.Receive(in)
}

// Send implements [nodecluster.Transport].
func (t *transport) Send(ctx context.Context, m *nodewire.Message) error {
	j, err := t.driver.publisher.job(t.way, m, "")
	if err == nil {
		_, err = t.driver.publisher.outbox.Send(ctx, j, j.size())
	}
	return err
}

// Post implements [nodecluster.Transport].
func (t *transport) Post(to string, m *nodewire.Message) error {
	select {
	case <-t.link.Done():
		return adapter.ErrClosed
	default:
	}
	j, err := t.driver.publisher.job(t.way, m, to)
	if err == nil {
		err = t.driver.publisher.outbox.Post(j, j.size())
	}
	return err
}

// Probe implements [nodecluster.Transport]: the stream has been read to its end and could be appended to, and what is
// published on this node's own channel comes back. No entry is appended, which would take the place of a message.
func (t *transport) Probe(ctx context.Context, m *nodewire.Message) error {
	if err := t.listener.Refusal(t.names...); err != nil {
		return fmt.Errorf("%w: %v", adapter.ErrUnavailable, err)
	}
	if _, cause := t.driver.publisher.redis.Away(t.main); cause != nil {
		return fmt.Errorf("%w: %v", adapter.ErrUnavailable, cause)
	}
	bounded, cancel := context.WithTimeout(ctx, t.driver.opts.Timeout)
	defer cancel()
	err := t.driver.publisher.redis.Appendable(bounded, t.stream)
	for _, r := range t.readers {
		if err == nil {
			err = r.await(bounded)
		}
	}
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return unavailable(err)
	}
	j, err := t.driver.publisher.job(t.way, m, t.link.UID())
	if err != nil {
		return err
	}
	j.needed = true
	_, err = t.driver.publisher.outbox.Send(ctx, j, j.size())
	return err
}

// Nodes implements [nodecluster.Counter]: the connections that are subscribed to the namespace's channel, as Node.js nodes
// count. It is asked anew for each call.
func (t *transport) Nodes(ctx context.Context) (int, error) {
	bounded, cancel := context.WithTimeout(ctx, t.driver.opts.Timeout)
	defer cancel()
	n, err := t.driver.publisher.redis.Subscribers(bounded, t.main)
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
	bounded, cancel := context.WithTimeout(ctx, t.driver.opts.Timeout)
	defer cancel()
	n, err := t.driver.publisher.redis.Subscribers(bounded, t.main+uid+"#")
	return n > 0, err
}
