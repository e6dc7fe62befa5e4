package redisstreams

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/nodecluster"
	"github.com/peal-dev/peal/internal/redisx"
	"github.com/peal-dev/peal/internal/service"
)

// Driver connects the adapters of a node to the others through Redis. It is safe for concurrent use.
type Driver struct {
	opts      Options
	hub       *nodecluster.Hub
	publisher *publisher

	mu      sync.Mutex
	readers map[string]*reader // by stream
}

var _ adapter.Driver = (*Driver)(nil)

// New returns a driver that starts to connect. It does not wait for the connection: an error means that the options are
// wrong, and [Driver.Subscribe] is the one to tell that Redis is away. Close the driver when the adapters are closed.
func New(opts Options) (*Driver, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	opts.setDefaults()
	d := &Driver{opts: opts, readers: make(map[string]*reader)}
	d.hub = nodecluster.New(nodecluster.Options{Driver: "redisstreams", Broker: "Redis", Timeout: opts.Timeout, InboxSize: opts.InboxSize,
		InboxBytes: opts.InboxBytes, MaxAttachments: opts.MaxAttachments, OnState: opts.OnState, Logger: opts.Logger})
	var err error
	d.publisher, err = newPublisher(&opts, redisx.ShardHooks{State: d.hub.Monitor.State, Refused: d.refused, Accepted: d.accepted, Moved: d.moved})
	if err != nil {
		_ = d.hub.Close(context.Background()) // it has no links, for which it would wait
		return nil, err
	}
	return d, nil
}

// Subscribe implements [adapter.Driver]. While Redis is away it waits for twice the Timeout, then fails with
// [adapter.ErrUnavailable].
func (d *Driver) Subscribe(ctx context.Context, namespace string, r adapter.Receiver) (adapter.Link, error) {
	l, err := d.hub.Subscribe(ctx, namespace, r, d.open)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Close closes all links and connections. What waits to be published fails with [adapter.ErrClosed]. If Redis hangs this
// may take some seconds: when ctx ends before, Close returns its error and the closing goes on.
func (d *Driver) Close(ctx context.Context) error {
	err := service.Within(ctx, func() {
		d.publisher.redis.Close() // first, for it ends attempts to connect
		_ = d.hub.Close(context.WithoutCancel(ctx))
		d.publisher.close()
	})
	if err != nil {
		return fmt.Errorf("redisstreams: close: %w", err)
	}
	return nil
}

// Stats returns the counters.
func (d *Driver) Stats() adapter.DriverStats {
	s := d.hub.Stats()
	s.Refused = d.publisher.redis.Refused()
	return s
}

// join hands what comes on a stream for l's namespace to it. Own says that its messages are appended there.
func (d *Driver) join(stream string, l *nodecluster.Link, own bool) *reader {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.readers[stream]
	if r == nil {
		r = newReader(d, stream)
		d.readers[stream] = r
	}
	r.add(subscriber{l, own && l.Follows()})
	return r
}

// leave ends that: when it has returned, l gets nothing any more. The last link to leave ends the reader.
func (d *Driver) leave(r *reader, l *nodecluster.Link) {
	d.mu.Lock()
	last := r.remove(l)
	if last {
		delete(d.readers, r.stream)
	}
	d.mu.Unlock()
	if last {
		r.service.Stop()
	}
}

// refused is told that Redis refuses a channel.
func (d *Driver) refused(n redisx.Name, err error) {
	d.hub.Monitor.Log(slog.LevelWarn, "refused", "Redis refuses a channel: calls of other nodes on it do not arrive; look at this user's ACL",
		slog.String("channel", n.String()), slog.Any("error", err))
	if l := d.linkOf(n.String()); l != nil && l.Joined() {
		d.hub.Monitor.Begin(adapter.Gap{Cause: adapter.GapRefused, Namespace: l.Namespace(), From: time.Now()})
	}
}

// accepted is told that Redis does not refuse a channel any more.
func (d *Driver) accepted(n redisx.Name, since time.Time) {
	d.hub.Monitor.Log(slog.LevelInfo, "accepted", "Redis accepts a channel it refused before",
		slog.String("channel", n.String()), slog.Time("since", since))
	if l := d.linkOf(n.String()); l != nil && l.Joined() {
		d.hub.Monitor.End(&adapter.Gap{Cause: adapter.GapRefused, Namespace: l.Namespace(), From: since}, time.Now())
	}
}

// moved is told that another server has a channel.
func (d *Driver) moved(channel string) {
	gap, now := adapter.Gap{Cause: adapter.GapMoved, From: time.Now()}, time.Now()
	if l := d.linkOf(channel); l != nil {
		gap.Namespace = l.Namespace()
	}
	d.hub.Monitor.End(d.hub.Monitor.Begin(gap), now)
}

// linkOf returns the link that a channel is of, or nil.
func (d *Driver) linkOf(channel string) *nodecluster.Link {
	for _, l := range d.hub.Links() {
		main := d.opts.channel(l.Namespace())
		if rest, ok := strings.CutPrefix(channel, main); ok && (rest == "" || rest == l.UID()+"#") {
			return l
		}
	}
	return nil
}
