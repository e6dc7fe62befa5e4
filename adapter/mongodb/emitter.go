package mongodb

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/outbox"
	"github.com/peal-dev/peal/adapter/nodewire"
	"github.com/peal-dev/peal/internal/lograte"
	"github.com/peal-dev/peal/internal/service"
)

// Emitter is an [adapter.Driver] that only publishes, as the official emitters do: it is no node of the cluster, which does
// not count it, and hears nothing. Its links carry no calls: those fail with [adapter.ErrNoCalls]. It is safe for concurrent
// use.
type Emitter struct {
	*store
	outbox *outbox.Outbox[document]
	often  *lograte.Logger
	known  bool // what the collection is; belongs to the outbox

	mu     sync.Mutex
	closed bool
	links  map[string]*emitting // by namespace
}

var _ adapter.Driver = (*Emitter)(nil)

// NewEmitter returns an emitter that starts to connect. Of the options, those about receiving mean nothing. Close it.
func NewEmitter(opts Options) (*Emitter, error) {
	store, err := connect(opts)
	if err != nil {
		return nil, err
	}
	e := &Emitter{store: store, often: lograte.New(store.opts.Logger, lograte.Every), links: make(map[string]*emitting)}
	e.warn = func(cause, text string, attrs ...slog.Attr) {
		e.often.Log(context.Background(), slog.LevelWarn, cause, "mongodb: "+text, attrs...)
	}
	e.outbox = outbox.New(outbox.Options[document]{Size: opts.QueueSize, Timeout: store.opts.Timeout, Flush: e.flush})
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
func (e *Emitter) Subscribe(ctx context.Context, namespace string, _ adapter.Receiver) (adapter.Link, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return nil, adapter.ErrClosed
	case e.links[namespace] != nil:
		return nil, adapter.ErrSubscribed
	}
	l := &emitting{emitter: e, namespace: namespace, done: make(chan struct{})}
	e.links[namespace] = l
	return l, nil
}

// Close closes all links and the connection. What waits to be inserted fails with [adapter.ErrClosed]. When ctx ends
// before, Close returns its error and the closing goes on.
func (e *Emitter) Close(ctx context.Context) error {
	e.mu.Lock()
	e.closed = true
	links := e.links
	e.links = make(map[string]*emitting)
	e.mu.Unlock()
	for _, l := range links {
		l.end()
	}
	var failed error
	err := service.Within(ctx, func() {
		e.outbox.Close()
		failed = e.store.close()
		e.often.Close()
	})
	if err != nil {
		return fmt.Errorf("mongodb: close: %w", err)
	}
	return failed
}

// emitting is the link of one namespace.
type emitting struct {
	emitter   *Emitter
	namespace string
	once      sync.Once
	done      chan struct{}
}

func (l *emitting) open(ctx context.Context) error {
	select {
	case <-l.done:
		return adapter.ErrClosed
	default:
		return ctx.Err()
	}
}

// Publish implements [adapter.Link].
func (l *emitting) Publish(ctx context.Context, e *adapter.Envelope) error {
	m, err := nodewire.Publishing(e)
	if err != nil {
		return err
	}
	return l.insert(ctx, m)
}

// Ping implements [adapter.Link]: the server takes a heartbeat of nobody, for which no node has a use.
func (l *emitting) Ping(ctx context.Context) error {
	return l.insert(ctx, &nodewire.Message{Type: nodewire.Heartbeat})
}

func (l *emitting) insert(ctx context.Context, m *nodewire.Message) error {
	if err := l.open(ctx); err != nil {
		return err
	}
	m.UID, m.Namespace = nodewire.Emitter, l.namespace
	doc, err := l.emitter.document(m, extra{})
	if err == nil {
		_, err = l.emitter.outbox.Send(ctx, doc, len(doc))
	}
	return err
}

// Close implements [adapter.Link].
func (l *emitting) Close(context.Context) error {
	l.end()
	l.emitter.mu.Lock()
	defer l.emitter.mu.Unlock()
	if l.emitter.links[l.namespace] == l {
		delete(l.emitter.links, l.namespace)
	}
	return nil
}

func (l *emitting) end() { l.once.Do(func() { close(l.done) }) }
