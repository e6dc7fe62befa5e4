package redisstreams

import (
	"context"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/emitting"
	"github.com/peal-dev/peal/adapter/nodewire"
)

// Emitter is an [adapter.Driver] that only appends, for Peal and Node.js nodes. It is no node of the cluster, which does not
// count it, and it hears nothing. Its links carry no calls: those fail with [adapter.ErrNoCalls]. It is safe for concurrent
// use.
type Emitter struct{ links *emitting.Emitter }

var _ adapter.Driver = (*Emitter)(nil)

// NewEmitter returns an emitter, with a connection to each server that it needs. Of the options, those about receiving mean
// nothing. Close it.
func NewEmitter(opts Options) (*Emitter, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	opts.setDefaults()
	p, err := newPublisher(&opts, noHooks)
	if err != nil {
		return nil, err
	}
	open := func(namespace string) emitting.Channel {
		w, _ := opts.way(namespace)
		return &emission{publisher: p, way: w, namespace: namespace}
	}
	return &Emitter{emitting.New("redisstreams", open, p.close)}, nil
}

// Subscribe implements [adapter.Driver]. It does not wait for the connection, and r is never called.
func (e *Emitter) Subscribe(ctx context.Context, namespace string, r adapter.Receiver) (adapter.Link, error) {
	return e.links.Subscribe(ctx, namespace, r)
}

// Close closes all links and the connection. What waits to be published fails with [adapter.ErrClosed]. When ctx ends before,
// Close returns its error and the closing goes on.
func (e *Emitter) Close(ctx context.Context) error { return e.links.Close(ctx) }

// emission is one namespace of an emitter.
type emission struct {
	publisher *publisher
	way       way
	namespace string
}

// Publish implements [emitting.Channel].
func (c *emission) Publish(ctx context.Context, e *adapter.Envelope) error {
	m, err := nodewire.Publishing(e)
	if err != nil {
		return err
	}
	m.UID, m.Namespace = nodewire.Emitter, c.namespace
	j, err := c.publisher.job(c.way, m, "")
	if err != nil {
		return err
	}
	_, err = c.publisher.outbox.Send(ctx, j, j.size())
	return err
}

// Ping implements [emitting.Channel].
func (c *emission) Ping(ctx context.Context) error {
	if err := c.publisher.redis.Appendable(ctx, c.way.stream); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return unavailable(err)
	}
	return nil
}
