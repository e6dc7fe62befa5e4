package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/nodecluster"
	"github.com/peal-dev/peal/internal/service"
)

// Driver connects the adapters of a node to the others through PostgreSQL. It is safe for concurrent use.
type Driver struct {
	opts      Options
	hub       *nodecluster.Hub
	server    *server
	listener  *listener
	publisher *publisher
	fetcher   *fetcher

	arrivals atomic.Uint64 // notifications

	mu       sync.RWMutex
	channels map[string]*channel
}

var _ adapter.Driver = (*Driver)(nil)

var errNoURL = errors.New("postgres: no URL")

// New returns a driver that starts to connect. It does not wait for the connection: an error means that the options are
// wrong, and [Driver.Subscribe] is the one to tell that the database is away. Close the driver when the adapters are closed.
func New(opts Options) (*Driver, error) {
	config, err := opts.parse()
	if err != nil {
		return nil, err
	}
	opts.setDefaults()
	d := &Driver{opts: opts, channels: make(map[string]*channel)}
	d.hub = nodecluster.New(nodecluster.Options{
		Driver: "postgres", Broker: "PostgreSQL", Timeout: opts.Timeout, InboxSize: opts.InboxSize, InboxBytes: opts.InboxBytes,
		MaxAttachments: opts.MaxAttachments, HeartbeatInterval: opts.HeartbeatInterval, HeartbeatTimeout: opts.HeartbeatTimeout,
		OnState: opts.OnState, Logger: opts.Logger,
	})
	d.server = newServer(config, &opts)
	d.listener = newListener(d.server, d.notified, d.hub.Monitor.State)
	self := privateChannel(opts.Key, rand.Text()[:16])
	d.listener.want(self)
	d.fetcher = newFetcher(d.server, opts.Table, opts.CleanupInterval, d.warn)
	d.publisher = newPublisher(publisherOptions{
		server: d.server, table: opts.Table, size: opts.QueueSize, warn: d.warn, self: self,
		again: func(publish func() error) error { return d.probe(silenceBehind, publish) },
	})
	return d, nil
}

// warn tells what stands in the way of large messages.
func (d *Driver) warn(err error) {
	d.hub.Monitor.Log(slog.LevelWarn, "table", "the table of large messages cannot be used",
		slog.String("table", d.opts.Table), slog.Any("error", err))
}

// Subscribe implements [adapter.Driver]. While the database is away it waits for twice the Timeout, then fails with
// [adapter.ErrUnavailable].
func (d *Driver) Subscribe(ctx context.Context, namespace string, r adapter.Receiver) (adapter.Link, error) {
	l, err := d.hub.Subscribe(ctx, namespace, r, d.open)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// open listens to a link's channels.
func (d *Driver) open(ctx context.Context, l *nodecluster.Link) (nodecluster.Transport, error) {
	t := &transport{driver: d, link: l, channel: channelOf(d.opts.Key, l.Namespace()), private: privateChannel(d.opts.Key, l.UID())}
	for _, name := range []string{t.private, t.channel} {
		if err := t.listen(ctx, name); err != nil {
			_ = t.Close(ctx)
			return nil, err
		}
	}
	return t, nil
}

// privateChannel returns the channel of one node in one namespace: for its own probes, and what Peal nodes answer it.
func privateChannel(key, uid string) string { return channelOf(key, "@"+uid) }

// add hands what comes on a channel to l.
func (d *Driver) add(name string, l *nodecluster.Link) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.channels[name]
	if c == nil {
		c = &channel{driver: d, name: name}
		c.sequence = sequence{fetcher: d.fetcher, maxLen: d.opts.InboxSize, maxBytes: d.opts.InboxBytes, receive: c.receive, lost: c.lost, behind: c.behind}
		d.channels[name] = c
	}
	c.add(l)
}

// remove ends that, and returns when l is not called any more.
func (d *Driver) remove(name string, l *nodecluster.Link) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c := d.channels[name]; c != nil && c.remove(l) {
		delete(d.channels, name)
	}
}

// notified takes what PostgreSQL sends. It must not be held up: all namespaces receive by it.
func (d *Driver) notified(name, payload string) {
	d.arrivals.Add(1)
	d.mu.RLock()
	c := d.channels[name]
	d.mu.RUnlock()
	if c != nil {
		c.notified(payload)
	}
}

// silence is for how long nothing may come on the connection that receives after the server has taken a probe, at least:
// then it stands and delivers nothing. Where the connection that publishes was found to be broken just now, it is less.
const (
	silence       = time.Second
	silenceBehind = silence / 2
)

// probe publishes something that comes back to this node, and has the connection that receives be replaced if it does not.
func (d *Driver) probe(atLeast time.Duration, publish func() error) error {
	sent, before := time.Now(), d.arrivals.Load()
	if err := publish(); err != nil {
		return err
	}
	limit := max(atLeast, 4*time.Since(sent)) // a far server needs longer
	deaf := func() bool { return d.arrivals.Load() == before }
	// Twice: when this process stood still itself, the first may come before what has arrived meanwhile was read.
	time.AfterFunc(limit/2, func() {
		if deaf() {
			time.AfterFunc(limit/2, func() {
				if deaf() {
					d.listener.replace(sent)
				}
			})
		}
	})
	return nil
}

// Close closes all links and all connections. What waits to be published fails with [adapter.ErrClosed]. When ctx ends
// before, Close returns its error and the closing goes on.
func (d *Driver) Close(ctx context.Context) error {
	err := service.Within(ctx, func() {
		// Other nodes are told, for which the hub has a time of its own.
		_ = d.hub.Close(context.Background())
		d.listener.close()
		d.publisher.close()
		d.fetcher.close()
		d.server.close()
	})
	if err != nil {
		return fmt.Errorf("postgres: close: %w", err)
	}
	return nil
}

// Stats returns the counters.
func (d *Driver) Stats() adapter.DriverStats {
	s := d.hub.Stats()
	s.Refused = d.listener.refused()
	return s
}
