package redissharded

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/nodecluster"
	"github.com/peal-dev/peal/internal/redisx"
	"github.com/peal-dev/peal/internal/service"
)

// DefaultPrefix is the default of [Options].Prefix, the same as that of the Node.js adapter.
const DefaultPrefix = "socket.io"

// DefaultTimeout is the default of [Options].Timeout.
const DefaultTimeout = redisx.DefaultTimeout

// Mode says which rooms have a channel of their own: the Node.js adapter's subscriptionMode. It must be the same on all
// nodes.
type Mode string

// The modes.
const (
	// Dynamic: every room but those that are a socket's id. It is the default.
	Dynamic Mode = "dynamic"
	// DynamicPrivate: these too. Each connection costs Redis a subscription then, and a message to one socket goes to its
	// node only.
	DynamicPrivate Mode = "dynamic-private"
	// Static: none. Every node receives every message of a namespace.
	Static Mode = "static"
)

// Options configure a [Driver].
type Options struct {
	// URL says where Redis is: redis://[user:password@]host[:port], rediss:// for TLS, unix:///path/to.sock. Of a Redis
	// Cluster any server will do, and &addr=host:port names more of them; with ?master_set=name it names a Sentinel.
	// Required.
	URL string
	// Username, Password, Credentials, Dial and TLS are as in package redispubsub.
	Username, Password string
	Credentials        func(ctx context.Context) (username, password string, err error)
	Dial               func(ctx context.Context, network, addr string) (net.Conn, error)
	TLS                *tls.Config
	// Prefix starts the names of all channels: channelPrefix of the Node.js adapter. It must be the same on all nodes. ""
	// means DefaultPrefix.
	Prefix string
	// Mode says which rooms have a channel of their own. "" means Dynamic.
	Mode Mode
	// SpreadRooms publishes what is for one room on the room's channel even on a Redis Cluster, as Node.js nodes do. The
	// channels of two rooms may be on two servers there, and what one publisher sends by one may overtake what it sent by
	// the other. Without it messages of Peal nodes take the namespace's channel on a cluster, keep their order, and go to
	// every node. On one server there is no difference: rooms' channels are used.
	SpreadRooms bool
	// InboxSize and InboxBytes are how many messages, and how many bytes, may wait in each namespace until this node handles
	// them; see package redispubsub. 0 means 65,536 and 64 MiB.
	InboxSize, InboxBytes int
	// Timeout bounds making a connection and waiting for an answer of Redis. 0 means DefaultTimeout, 3 s.
	Timeout time.Duration
	// QueueSize is how many messages may wait to be published. 0 means 4096.
	QueueSize int
	// OnState is called when the connections that receive are there (true) and when one is lost or cannot be made (false,
	// with the cause). It must not block. It may be nil.
	OnState func(connected bool, err error)
	// MaxAttachments is how many binary values a message of another node may have. 0 means
	// message.DefaultMaxAttachments, 10.
	MaxAttachments int
	// Logger is told when a connection is lost and when it is back. Nil means slog.Default.
	Logger *slog.Logger
}

// Validate returns what is wrong with the options. It connects to nothing; [New] calls it too.
func (o *Options) Validate() error {
	switch o.Mode {
	case "", Dynamic, DynamicPrivate, Static:
	default:
		return fmt.Errorf("redissharded: mode %q; want %s, %s or %s", o.Mode, Dynamic, DynamicPrivate, Static)
	}
	return redisx.ValidateShards(o.redis())
}

// complete sets what is left out, or returns what is wrong.
func (o *Options) complete() error {
	if err := o.Validate(); err != nil {
		return err
	}
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Mode == "" {
		o.Mode = Dynamic
	}
	return nil
}

func (o *Options) redis() redisx.Options {
	return redisx.Options{URL: o.URL, Username: o.Username, Password: o.Password, Credentials: o.Credentials, Dial: o.Dial,
		TLS: o.TLS, Timeout: o.Timeout}
}

// Driver connects the adapters of a node to the others through Redis. It is safe for concurrent use.
type Driver struct {
	opts      Options
	hub       *nodecluster.Hub
	publisher *publisher
}

var _ adapter.Driver = (*Driver)(nil)

// New returns a driver that starts to connect. It does not wait for the connection: an error means that the options are
// wrong, and [Driver.Subscribe] is the one to tell that Redis is away. Close the driver when the adapters are closed.
func New(opts Options) (*Driver, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	d := &Driver{opts: opts}
	d.hub = nodecluster.New(nodecluster.Options{Driver: "redissharded", Broker: "Redis", Timeout: opts.Timeout, InboxSize: opts.InboxSize,
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
	l := &link{}
	hubLink, err := d.hub.Subscribe(ctx, namespace, r, func(ctx context.Context, of *nodecluster.Link) (nodecluster.Transport, error) {
		l.Link = of
		l.transport = d.open(of)
		if err := l.transport.listener.Add(l.transport.names...).Wait(ctx); err != nil {
			l.transport.listener.Close()
			return nil, closed(err)
		}
		return l.transport, nil
	})
	if err != nil {
		return nil, err
	}
	l.Link = hubLink
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
		return fmt.Errorf("redissharded: close: %w", err)
	}
	return nil
}

// Stats returns the counters.
func (d *Driver) Stats() adapter.DriverStats {
	s := d.hub.Stats()
	s.Refused = d.publisher.redis.Refused()
	return s
}

// refused is told that Redis refuses a channel.
func (d *Driver) refused(n redisx.Name, err error) {
	d.hub.Monitor.Log(slog.LevelWarn, "refused", "Redis refuses a channel: messages of other nodes on it do not arrive; look at this user's ACL",
		slog.String("channel", n.String()), slog.Any("error", err))
	if namespace, joined := d.needs(n.String()); joined {
		d.hub.Monitor.Begin(adapter.Gap{Cause: adapter.GapRefused, Namespace: namespace, From: time.Now()})
	}
}

// accepted is told that Redis does not refuse a channel any more.
func (d *Driver) accepted(n redisx.Name, since time.Time) {
	d.hub.Monitor.Log(slog.LevelInfo, "accepted", "Redis accepts a channel it refused before",
		slog.String("channel", n.String()), slog.Time("since", since))
	if namespace, joined := d.needs(n.String()); joined {
		d.hub.Monitor.End(&adapter.Gap{Cause: adapter.GapRefused, Namespace: namespace, From: since}, time.Now())
	}
}

// moved is told that another server has a channel.
func (d *Driver) moved(channel string) {
	now := time.Now()
	namespace, _ := d.needs(channel)
	d.hub.Monitor.End(d.hub.Monitor.Begin(adapter.Gap{Cause: adapter.GapMoved, Namespace: namespace, From: now}), now)
}

// needs returns the namespace that needs a channel whatever rooms it has.
func (d *Driver) needs(channel string) (namespace string, joined bool) {
	for _, l := range d.hub.Links() {
		main := d.opts.Prefix + "#" + l.Namespace() + "#"
		if channel == main || channel == main+l.UID()+"#" {
			return l.Namespace(), l.Joined()
		}
	}
	return "", false
}
