package redispubsub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/internal/lograte"
	"github.com/peal-dev/peal/internal/redisx"
)

// DefaultKey is the default of [Options].Key, the same as that of the Node.js adapter.
const DefaultKey = "socket.io"

// DefaultTimeout is the default of [Options].Timeout.
const DefaultTimeout = redisx.DefaultTimeout

// DefaultQueueSize is the default of [Options].QueueSize.
const DefaultQueueSize = 4096

// Options configure a [Driver].
type Options struct {
	// URL says where Redis is: redis://[user:password@]host[:port], rediss:// for TLS, unix:///path/to.sock. With
	// ?master_set=name it names a Sentinel, with &addr=host:port more of them. Of a Redis Cluster any node will do.
	// Required.
	URL string
	// Key starts the names of all channels. It must be the same on all nodes. "" means DefaultKey.
	Key string
	// Timeout bounds making a connection and waiting for an answer of Redis, half of it waiting for room in a full queue.
	// 0 means DefaultTimeout, 3 s.
	Timeout time.Duration
	// QueueSize is how many envelopes may wait to be published. 0 means DefaultQueueSize.
	QueueSize int
	// SubscribeRooms has Redis send this node only what is for everyone or for a room that has members on it, instead
	// of every message of the namespace. Set it on all Peal nodes, or on none. Joining a room that had no member on this
	// node then waits for Redis. It is for clusters of many nodes with many rooms. Leave it off while Node.js nodes or
	// emitters put members of other nodes into rooms (socketsJoin) and publish to these rooms right after: Peal nodes
	// see to it that this is heard everywhere, others do not know that they would have to.
	SubscribeRooms bool
	// OnState is called when the connection that receives is there (true) and when it is lost or cannot be made (false,
	// with the cause). It must not block. It may be nil.
	OnState func(connected bool, err error)
	// Logger is told when the connection is lost and when it is back. Nil means slog.Default.
	Logger *slog.Logger
}

// Validate returns what is wrong with the options. It connects to nothing; [New] calls it too.
func (o *Options) Validate() error { return redisx.Options{URL: o.URL, Timeout: o.Timeout}.Validate() }

// Stats counts what a [Driver] did since it was made. All but Connected and Refused only grow.
type Stats struct {
	Connected  bool   // whether the connection that receives is there now
	Reconnects uint64 // how often it was made again
	Received   uint64 // messages that Redis sent
	Malformed  uint64 // messages ignored because they are not what they should be
	Unanswered uint64 // answers not sent: too much waited to be published, or they could not be encoded
	Refused    int    // channels of which Redis lets this node hear nothing now
}

// Driver connects the adapters of a node to the others through Redis. It is safe for concurrent use.
type Driver struct {
	opts       Options
	often      *lograte.Logger // for what may happen with every message
	client     *redisx.Client
	subscriber *redisx.Subscriber
	publisher  *publisher

	connected, everConnected atomic.Bool
	reconnects, unanswered   atomic.Uint64
	received, malformed      atomic.Uint64

	mu     sync.RWMutex
	closed bool
	links  map[string]*link // by namespace
}

var _ adapter.Driver = (*Driver)(nil)

// New returns a driver that starts to connect. It does not wait for the connection: an error means that the options are
// wrong, and [Driver.Subscribe] is the one to tell that Redis is away. Close the driver when the adapters are closed.
func New(opts Options) (*Driver, error) {
	if opts.Key == "" {
		opts.Key = DefaultKey
	}
	if opts.QueueSize <= 0 {
		opts.QueueSize = DefaultQueueSize
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	client, err := redisx.New(redisx.Options{URL: opts.URL, Timeout: opts.Timeout})
	if err != nil {
		return nil, fmt.Errorf("redispubsub: %w", err)
	}
	opts.Timeout = client.Timeout()
	d := &Driver{opts: opts, often: lograte.New(opts.Logger, lograte.Every), client: client, links: make(map[string]*link)}
	d.publisher = newPublisher(client, opts.QueueSize)
	d.subscriber = client.Subscribe(redisx.Hooks{State: d.state, Refused: d.refused, Accepted: d.accepted})
	return d, nil
}

// Subscribe implements [adapter.Driver]. While Redis is away it waits for twice the Timeout, then fails with
// [adapter.ErrUnavailable].
func (d *Driver) Subscribe(ctx context.Context, namespace string, r adapter.Receiver) (adapter.Link, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l := newLink(d, namespace, r)
	if err := d.register(l); err != nil {
		return nil, err
	}
	bounded, cancel := context.WithTimeout(ctx, 2*d.opts.Timeout)
	defer cancel()
	err := l.listener.Add(l.names...).Wait(bounded)
	if err == nil {
		return l, nil
	}
	d.unregister(l)
	l.end()
	switch {
	case ctx.Err() != nil:
		return nil, err
	case errors.Is(err, redisx.ErrClosed):
		return nil, adapter.ErrClosed
	}
	// Not wrapped: the deadline in it is not that of ctx.
	return nil, fmt.Errorf("%w: %v", adapter.ErrUnavailable, err)
}

func (d *Driver) register(l *link) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return adapter.ErrClosed
	}
	if d.links[l.namespace] != nil {
		return adapter.ErrSubscribed
	}
	d.links[l.namespace] = l
	return nil
}

func (d *Driver) unregister(l *link) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.links[l.namespace] == l {
		delete(d.links, l.namespace)
	}
}

// Close closes all links and both connections. What waits to be published fails with [adapter.ErrClosed]. If Redis
// hangs this may take some seconds: when ctx ends before, Close returns its error and the closing goes on.
func (d *Driver) Close(ctx context.Context) error {
	d.mu.Lock()
	d.closed = true
	links := d.links
	d.links = make(map[string]*link)
	d.mu.Unlock()
	for _, l := range links {
		l.end()
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		// The client first: it ends an attempt to connect, for which the others would wait.
		d.client.Close()
		d.subscriber.Close()
		d.publisher.close()
		d.often.Close()
	}()
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("redispubsub: close: %w", ctx.Err())
	}
}

// Stats returns the counters.
func (d *Driver) Stats() Stats {
	return Stats{
		Connected:  d.connected.Load(),
		Reconnects: d.reconnects.Load(),
		Received:   d.received.Load(),
		Malformed:  d.malformed.Load(),
		Unanswered: d.unanswered.Load(),
		Refused:    d.subscriber.Refused(),
	}
}

func (d *Driver) state(up bool, err error) {
	was := d.connected.Swap(up)
	switch {
	case up && d.everConnected.Swap(true):
		d.reconnects.Add(1)
		d.opts.Logger.Info("redispubsub: connected to Redis again")
	case was && !up:
		d.opts.Logger.Warn("redispubsub: connection to Redis lost", "error", err)
	case !up:
		d.opts.Logger.Debug("redispubsub: no connection to Redis", "error", err)
	}
	if d.opts.OnState != nil {
		d.opts.OnState(up, err)
	}
}

func (d *Driver) refused(n redisx.Name, err error) {
	d.often.Log(context.Background(), slog.LevelWarn, "refused", "redispubsub: Redis refuses a channel: messages of other nodes on it do not arrive; look at this user's ACL",
		slog.String("channel", n.String()), slog.Any("error", err))
}

func (d *Driver) accepted(n redisx.Name, since time.Time) {
	d.often.Log(context.Background(), slog.LevelInfo, "accepted", "redispubsub: Redis accepts a channel it refused before",
		slog.String("channel", n.String()), slog.Time("since", since))
}
