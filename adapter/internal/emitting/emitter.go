// Package emitting is what the emitters of all drivers share: an emitter is an [adapter.Driver] that only publishes, as the
// official emitters of Socket.IO do. It is no node: nobody counts it, and it hears nothing.
package emitting

import (
	"context"
	"fmt"
	"sync"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/internal/service"
)

// Channel is one namespace of a broker. Its methods are safe for concurrent use.
type Channel interface {
	// Publish publishes e as the emitter; see [adapter.Link].
	Publish(ctx context.Context, e *adapter.Envelope) error
	// Ping returns when the broker has taken something that is for nobody.
	Ping(ctx context.Context) error
}

// Emitter is such a driver. Its links carry no calls: those fail with [adapter.ErrNoCalls]. It is safe for concurrent use.
type Emitter struct {
	name  string
	open  func(namespace string) Channel
	close func()

	mu     sync.Mutex
	closed bool
	links  map[string]*link // by namespace
}

var _ adapter.Driver = (*Emitter)(nil)

// New returns the emitter of a driver's package called name. Open is called for each namespace, and stop once: it closes the
// connections, and what waits to be published fails with [adapter.ErrClosed].
func New(name string, open func(namespace string) Channel, stop func()) *Emitter {
	return &Emitter{name: name, open: open, close: sync.OnceFunc(stop), links: make(map[string]*link)}
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
	l := &link{emitter: e, namespace: namespace, channel: e.open(namespace), done: make(chan struct{})}
	e.links[namespace] = l
	return l, nil
}

// Close closes all links and connections. When ctx ends before, Close returns its error and the closing goes on.
func (e *Emitter) Close(ctx context.Context) error {
	e.mu.Lock()
	e.closed = true
	links := e.links
	e.links = make(map[string]*link)
	e.mu.Unlock()
	for _, l := range links {
		l.end()
	}
	if err := service.Within(ctx, e.close); err != nil {
		return fmt.Errorf("%s: close: %w", e.name, err)
	}
	return nil
}

// link is one namespace.
type link struct {
	emitter   *Emitter
	namespace string
	channel   Channel
	once      sync.Once
	done      chan struct{}
}

func (l *link) isOpen(ctx context.Context) error {
	select {
	case <-l.done:
		return adapter.ErrClosed
	default:
		return ctx.Err()
	}
}

// Publish implements [adapter.Link].
func (l *link) Publish(ctx context.Context, e *adapter.Envelope) error {
	if err := l.isOpen(ctx); err != nil {
		return err
	}
	return l.channel.Publish(ctx, e)
}

// Ping implements [adapter.Link].
func (l *link) Ping(ctx context.Context) error {
	if err := l.isOpen(ctx); err != nil {
		return err
	}
	return l.channel.Ping(ctx)
}

// Close implements [adapter.Link].
func (l *link) Close(context.Context) error {
	l.end()
	l.emitter.mu.Lock()
	defer l.emitter.mu.Unlock()
	if l.emitter.links[l.namespace] == l {
		delete(l.emitter.links, l.namespace)
	}
	return nil
}

func (l *link) end() { l.once.Do(func() { close(l.done) }) }
