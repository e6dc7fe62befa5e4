package redispubsub

import (
	"context"
	"fmt"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/emitting"
	"github.com/peal-dev/peal/internal/redisx"
)

// emitterUID is what emitters call themselves.
const emitterUID = "emitter"

// Emitter is an [adapter.Driver] that only publishes, as @socket.io/redis-emitter does: it is no node of the cluster, which
// does not count it, and it hears nothing. Its links carry no calls: those fail with [adapter.ErrNoCalls]. It is safe for
// concurrent use.
type Emitter struct{ links *emitting.Emitter }

var _ adapter.Driver = (*Emitter)(nil)

// NewEmitter returns an emitter, with one connection that is made when it is first needed. Of the options, those about
// receiving mean nothing. Close it.
func NewEmitter(opts Options) (*Emitter, error) {
	if opts.Key == "" {
		opts.Key = DefaultKey
	}
	if opts.QueueSize <= 0 {
		opts.QueueSize = DefaultQueueSize
	}
	client, err := redisx.New(opts.redis())
	if err != nil {
		return nil, fmt.Errorf("redispubsub: %w", err)
	}
	opts.Timeout = client.Timeout()
	// That nobody received it is no fault of it: there may be no node.
	p := newPublisher(client, opts.QueueSize, func(bool) error { return nil }, func() bool { return false })
	open := func(namespace string) emitting.Channel {
		return &emission{opts: &opts, namespace: namespace, publisher: p}
	}
	return &Emitter{emitting.New("redispubsub", open, func() {
		client.Close() // first, for it ends an attempt to connect
		p.outbox.Close()
	})}, nil
}

// Subscribe implements [adapter.Driver]. It does not wait for the connection, and r is never called.
func (e *Emitter) Subscribe(ctx context.Context, namespace string, r adapter.Receiver) (adapter.Link, error) {
	return e.links.Subscribe(ctx, namespace, r)
}

// Close closes all links and connections. What waits to be published fails with [adapter.ErrClosed]. When ctx ends before,
// Close returns its error and the closing goes on.
func (e *Emitter) Close(ctx context.Context) error { return e.links.Close(ctx) }

// emission is one namespace of an emitter.
type emission struct {
	opts      *Options
	namespace string
	publisher *publisher
}

// Publish implements [emitting.Channel].
func (c *emission) Publish(ctx context.Context, e *adapter.Envelope) error {
	channel, payload := c.opts.Key+"-request#"+c.namespace+"#", []byte(nil)
	var err error
	switch e.Kind {
	case adapter.KindBroadcast:
		channel = c.opts.Key + "#" + c.namespace + "#"
		if len(e.Rooms) == 1 {
			channel += e.Rooms[0] + "#"
		}
		payload, err = appendBroadcast(nil, emitterUID, c.namespace, e)
	case adapter.KindEvent:
		payload, err = encodeEvent(emitterUID, "", e.Message, 0)
	default:
		payload, err = encodeChange("", e)
	}
	if err != nil {
		return err
	}
	return c.publish(ctx, channel, payload)
}

// Ping implements [emitting.Channel].
func (c *emission) Ping(ctx context.Context) error {
	return c.publish(ctx, c.opts.Key+"-response#"+c.namespace+"#"+emitterUID+"#", []byte(`{"peal":"ping"}`))
}

func (c *emission) publish(ctx context.Context, channel string, payload []byte) error {
	return c.publisher.send(ctx, job{message: redisx.Message{Channel: channel, Payload: payload}})
}
