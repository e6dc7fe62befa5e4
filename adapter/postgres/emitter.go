package postgres

import (
	"context"
	"log/slog"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/emitting"
	"github.com/peal-dev/peal/adapter/nodewire"
	"github.com/peal-dev/peal/internal/lograte"
)

// Emitter is an [adapter.Driver] that only publishes, as the official emitters do: it is no node of the cluster, which does
// not count it, and hears nothing. Its links carry no calls: those fail with [adapter.ErrNoCalls]. It is safe for concurrent
// use.
type Emitter struct{ links *emitting.Emitter }

var _ adapter.Driver = (*Emitter)(nil)

// NewEmitter returns an emitter that starts to connect; it has one connection. Of the options, those about receiving mean
// nothing. Close it.
func NewEmitter(opts Options) (*Emitter, error) {
	config, err := opts.parse()
	if err != nil {
		return nil, err
	}
	opts.setDefaults()
	server, often := newServer(config, &opts), lograte.New(opts.Logger, lograte.Every)
	p := newPublisher(publisherOptions{
		server: server, table: opts.Table, size: opts.QueueSize, self: channelOf(opts.Key, "@"+nodewire.Emitter),
		again: func(publish func() error) error { return publish() },
		warn: func(err error) {
			often.Log(context.Background(), slog.LevelWarn, "table", "postgres: the table of large messages cannot be used",
				slog.String("table", opts.Table), slog.Any("error", err))
		},
	})
	open := func(namespace string) emitting.Channel {
		return &emission{publisher: p, namespace: namespace, channel: channelOf(opts.Key, namespace)}
	}
	return &Emitter{emitting.New("postgres", open, func() {
		p.close()
		server.close()
		often.Close()
	})}, nil
}

// Subscribe implements [adapter.Driver]. It does not wait for the connection, and r is never called.
func (e *Emitter) Subscribe(ctx context.Context, namespace string, r adapter.Receiver) (adapter.Link, error) {
	return e.links.Subscribe(ctx, namespace, r)
}

// Close closes all links and the connection. What waits to be published fails with [adapter.ErrClosed]. When ctx ends
// before, Close returns its error and the closing goes on.
func (e *Emitter) Close(ctx context.Context) error { return e.links.Close(ctx) }

// emission is one namespace of an emitter.
type emission struct {
	publisher          *publisher
	namespace, channel string
}

// Publish implements [emitting.Channel].
func (c *emission) Publish(ctx context.Context, e *adapter.Envelope) error {
	m, err := nodewire.Publishing(e)
	if err != nil {
		return err
	}
	// With the namespace, which the official emitter leaves out: without it, Node.js nodes do not hear it.
	m.UID, m.Namespace = nodewire.Emitter, c.namespace
	p, err := c.publisher.encode(c.channel, m)
	if err != nil {
		return err
	}
	return c.publisher.publish(ctx, p)
}

// Ping implements [emitting.Channel]: the server takes a notification that is for nobody.
func (c *emission) Ping(ctx context.Context) error {
	return c.publisher.publish(ctx, c.publisher.forNobody())
}
