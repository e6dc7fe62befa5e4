package mongodb

import (
	"context"
	"log/slog"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/emitting"
	"github.com/peal-dev/peal/adapter/internal/outbox"
	"github.com/peal-dev/peal/adapter/nodewire"
	"github.com/peal-dev/peal/internal/lograte"
)

// Emitter is an [adapter.Driver] that only publishes, as the official emitters do: it is no node of the cluster, which does
// not count it, and hears nothing. Its links carry no calls: those fail with [adapter.ErrNoCalls]. It is safe for concurrent
// use.
type Emitter struct {
	*store
	outbox *outbox.Outbox[document]
	often  *lograte.Logger
	known  bool // what the collection is; belongs to the outbox
	links  *emitting.Emitter
	failed error // of the closing
}

var _ adapter.Driver = (*Emitter)(nil)

// NewEmitter returns an emitter that starts to connect. Of the options, those about receiving mean nothing. Close it.
func NewEmitter(opts Options) (*Emitter, error) {
	store, err := connect(opts)
	if err != nil {
		return nil, err
	}
	e := &Emitter{store: store, often: lograte.New(store.opts.Logger, lograte.Every)}
	e.warn = func(cause, text string, attrs ...slog.Attr) {
		e.often.Log(context.Background(), slog.LevelWarn, cause, "mongodb: "+text, attrs...)
	}
	e.outbox = outbox.New(outbox.Options[document]{Size: opts.QueueSize, Timeout: store.opts.Timeout, Flush: e.flush})
	open := func(namespace string) emitting.Channel { return &emission{e, namespace} }
	e.links = emitting.New("mongodb", open, func() {
		e.outbox.Close()
		e.failed = e.store.close()
		e.often.Close()
	})
	return e, nil
}

// flush inserts a batch once it is known what the collection is.
func (e *Emitter) flush(ctx context.Context, batch []*outbox.Item[document]) {
	if !e.known {
		bounded, cancel := context.WithTimeout(ctx, e.opts.Timeout)
		err := e.ensure(bounded)
		cancel()
		if err != nil {
			for _, i := range batch {
				i.Err = unavailable(ctx, err)
			}
			return
		}
		e.known = true
	}
	flush(ctx, e.collection, batch, e.opts.Timeout)
}

// Subscribe implements [adapter.Driver]. It does not wait for the connection, and r is never called.
func (e *Emitter) Subscribe(ctx context.Context, namespace string, r adapter.Receiver) (adapter.Link, error) {
	return e.links.Subscribe(ctx, namespace, r)
}

// Close closes all links and the connection. What waits to be inserted fails with [adapter.ErrClosed]. When ctx ends
// before, Close returns its error and the closing goes on.
func (e *Emitter) Close(ctx context.Context) error {
	if err := e.links.Close(ctx); err != nil {
		return err
	}
	return e.failed // it was set by the closing, which is done
}

// emission is one namespace of an emitter.
type emission struct {
	emitter   *Emitter
	namespace string
}

// Publish implements [emitting.Channel].
func (c *emission) Publish(ctx context.Context, e *adapter.Envelope) error {
	m, err := nodewire.Publishing(e)
	if err != nil {
		return err
	}
	return c.insert(ctx, m)
}

// Ping implements [emitting.Channel]: the server takes a heartbeat of nobody, for which no node has a use.
func (c *emission) Ping(ctx context.Context) error {
	return c.insert(ctx, &nodewire.Message{Type: nodewire.Heartbeat})
}

func (c *emission) insert(ctx context.Context, m *nodewire.Message) error {
	m.UID, m.Namespace = nodewire.Emitter, c.namespace
	doc, err := c.emitter.document(m, extra{})
	if err == nil {
		_, err = c.emitter.outbox.Send(ctx, doc, len(doc))
	}
	return err
}
