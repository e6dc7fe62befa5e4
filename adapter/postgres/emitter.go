package postgres

import (
	"context"
	"fmt"
	"sync"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/nodewire"
	"github.com/peal-dev/peal/internal/lograte"
	"github.com/peal-dev/peal/internal/service"

	"log/slog"
)

// Emitter is an [adapter.Driver] that only publishes, as the official emitters do: it is no node of the cluster, which does
// not count it, and hears nothing. Its links carry no calls: those fail with [adapter.ErrNoCalls]. It is safe for concurrent
// use.
type Emitter struct {
	key       string
	server    *server
	publisher *publisher
	often     *lograte.Logger

	mu         sync.Mutex
	closed     bool
	namespaces map[string]*emitting
}

var _ adapter.Driver = (*Emitter)(nil)

// NewEmitter returns an emitter that starts to connect; it has one connection. Of the options, those about receiving mean
// nothing. Close it.
func NewEmitter(opts Options) (*Emitter, error) {
	config, err := opts.parse()
	if err != nil {
		return nil, err
	}
	opts.setDefaults()
	e := &Emitter{
		key: opts.Key, server: newServer(config, &opts), often: lograte.New(opts.Logger, lograte.Every),
		namespaces: make(map[string]*emitting),
	}
	e.publisher = newPublisher(publisherOptions{
		server: e.server, table: opts.Table, size: opts.QueueSize, self: channelOf(opts.Key, "@"+nodewire.Emitter),
		again: func(publish func() error) error { return publish() },
		warn: func(err error) {
			e.often.Log(context.Background(), slog.LevelWarn, "table", "postgres: the table of large messages cannot be used",
				slog.String("table", opts.Table), slog.Any("error", err))
		},
	})
	return e, nil
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
	case e.namespaces[namespace] != nil:
		return nil, adapter.ErrSubscribed
	}
	l := &emitting{emitter: e, namespace: namespace, channel: channelOf(e.key, namespace), done: make(chan struct{})}
	e.namespaces[namespace] = l
	return l, nil
}

// Close closes all links and the connection. What waits to be published fails with [adapter.ErrClosed]. When ctx ends
// before, Close returns its error and the closing goes on.
func (e *Emitter) Close(ctx context.Context) error {
	e.mu.Lock()
	e.closed = true
	links := e.namespaces
	e.namespaces = make(map[string]*emitting)
	e.mu.Unlock()
	for _, l := range links {
		l.end()
	}
	err := service.Within(ctx, func() {
		e.publisher.close()
		e.server.close()
		e.often.Close()
	})
	if err != nil {
		return fmt.Errorf("postgres: close: %w", err)
	}
	return nil
}

// emitting is the link of one namespace.
type emitting struct {
	emitter            *Emitter
	namespace, channel string
	once               sync.Once
	done               chan struct{}
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
	if err := l.open(ctx); err != nil {
		return err
	}
	m, err := nodewire.Publishing(e)
	if err != nil {
		return err
	}
	// With the namespace, which the official emitter leaves out: without it, Node.js nodes do not hear it.
	m.UID, m.Namespace = nodewire.Emitter, l.namespace
	p, err := l.emitter.publisher.encode(l.channel, m)
	if err != nil {
		return err
	}
	return l.emitter.publisher.publish(ctx, p)
}

// Ping implements [adapter.Link]: the server takes a notification that is for nobody.
func (l *emitting) Ping(ctx context.Context) error {
	if err := l.open(ctx); err != nil {
		return err
	}
	return l.emitter.publisher.publish(ctx, l.emitter.publisher.forNobody())
}

// Close implements [adapter.Link].
func (l *emitting) Close(context.Context) error {
	l.end()
	l.emitter.mu.Lock()
	defer l.emitter.mu.Unlock()
	if l.emitter.namespaces[l.namespace] == l {
		delete(l.emitter.namespaces, l.namespace)
	}
	return nil
}

func (l *emitting) end() { l.once.Do(func() { close(l.done) }) }
