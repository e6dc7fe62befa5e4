package redissharded

import (
	"context"
	"fmt"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/emitting"
	"github.com/peal-dev/peal/adapter/nodewire"
	"github.com/peal-dev/peal/internal/redisx"
)

// Emitter is an [adapter.Driver] that only publishes; Node.js has none for sharded Pub/Sub, its nodes hear this one. It is no
// node of the cluster, which does not count it, and it hears nothing. Its links carry no calls: those fail with
// [adapter.ErrNoCalls]. It is safe for concurrent use.
type Emitter struct{ links *emitting.Emitter }

var _ adapter.Driver = (*Emitter)(nil)

// NewEmitter returns an emitter, with a connection to each server that it needs. Of the options, those about receiving mean
// nothing, and Mode is that of the nodes. Close it.
func NewEmitter(opts Options) (*Emitter, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	p, err := newPublisher(&opts, noHooks)
	if err != nil {
		return nil, err
	}
	open := func(namespace string) emitting.Channel {
		return &emission{way: newWay(p, &opts, namespace), namespace: namespace}
	}
	return &Emitter{emitting.New("redissharded", open, p.close)}, nil
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
	*way
	namespace string
}

// Publish implements [emitting.Channel].
func (c *emission) Publish(ctx context.Context, e *adapter.Envelope) error {
	m, err := nodewire.Publishing(e)
	if err != nil {
		return err
	}
	m.UID, m.Namespace = nodewire.Emitter, c.namespace
	return c.send(ctx, m, false) // there may be no node
}

// Ping implements [emitting.Channel].
func (c *emission) Ping(ctx context.Context) error {
	m := &nodewire.Message{Type: nodewire.Heartbeat, UID: nodewire.Emitter, Namespace: c.namespace}
	payload, err := m.Append(nil)
	if err != nil {
		return fmt.Errorf("redissharded: ping: %w", err)
	}
	return c.publish(ctx, job{message: redisx.Message{Channel: c.main + nodewire.Emitter + "#", Payload: payload}})
}
