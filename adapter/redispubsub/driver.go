package redispubsub

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/homes"
	"github.com/peal-dev/peal/adapter/internal/reception"
	"github.com/peal-dev/peal/internal/redisx"
	"github.com/peal-dev/peal/internal/service"
)

// DefaultKey is the default of [Options].Key, the same as that of the Node.js adapter.
const DefaultKey = "socket.io"

// DefaultTimeout is the default of [Options].Timeout.
const DefaultTimeout = redisx.DefaultTimeout

// DefaultQueueSize is the default of [Options].QueueSize.
const DefaultQueueSize = 4096

// DefaultInboxSize and DefaultInboxBytes are the defaults of [Options].InboxSize and InboxBytes.
const (
	DefaultInboxSize  = 1 << 16
	DefaultInboxBytes = 64 << 20
)

// Options configure a [Driver].
type Options struct {
	// URL says where Redis is: redis://[user:password@]host[:port], rediss:// for TLS, unix:///path/to.sock. With
	// ?master_set=name it names a Sentinel, with &addr=host:port more of them. Of a Redis Cluster any node will do.
	// Required.
	URL string
	// Username and Password are of Redis' access control list. What is set takes the place of what URL says.
	Username, Password string
	// Credentials is asked who the node is each time a connection is made, for passwords that change; it takes the place of
	// Username, Password and what URL says. Its context ends after Timeout. An error counts as a connection that was not
	// made. It may be called by several goroutines. The program's own client has such a function, or its options.
	Credentials func(ctx context.Context) (username, password string, err error)
	// Dial makes the connections, such as through a proxy or a tunnel: net.Dialer.DialContext has its form, and so has
	// golang.org/x/net/proxy. What URL says of TLS is done on top. Its context ends after Timeout. It may be called by several
	// goroutines. Nil means a net.Dialer that has the kernel probe silent connections.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// TLS is how a server of rediss:// is spoken to: by which authorities it is known, by which certificate it knows this
	// node. Without a ServerName it is the host of URL. Nil means what URL says. It is copied.
	TLS *tls.Config
	// Key starts the names of all channels. It must be the same on all nodes. "" means DefaultKey.
	Key string
	// InboxSize is how many messages of Redis may wait in each namespace until this node handles them, and InboxBytes how
	// many bytes. When they are reached, messages are dropped until half has been handled, which is counted as an [adapter.Gap];
	// changes of rooms have twice the room. 0 means DefaultInboxSize and DefaultInboxBytes.
	InboxSize, InboxBytes int
	// Timeout bounds making a connection and waiting for an answer of Redis, half of it waiting for room in a full queue.
	// 0 means DefaultTimeout, 3 s.
	Timeout time.Duration
	// QueueSize is how many envelopes may wait to be published. 0 means DefaultQueueSize.
	QueueSize int
	// SpecificResponses answers the questions of Node.js nodes on the channel of the node that asked, and not on that of all:
	// publishOnSpecificResponseChannel of the Node.js adapter. All nodes of its version 7.1 and later hear both, so it need not
	// be the same everywhere. As there, it does not hold for the answers to server-side events. Peal nodes answer each other
	// so in any case.
	SpecificResponses bool
	// OnState is called when the connection that receives is there (true) and when it is lost or cannot be made (false,
	// with the cause). It must not block. It may be nil.
	OnState func(connected bool, err error)
	// MaxAttachments is how many binary values a message of another node may have; one with more is ignored, because
	// official clients would close their connection. 0 means message.DefaultMaxAttachments, 10. Where clients take more,
	// set it to what [socketio.Options] say.
	MaxAttachments int
	// Logger is told when the connection is lost and when it is back. Nil means slog.Default.
	Logger *slog.Logger
}

// Validate returns what is wrong with the options. It connects to nothing; [New] calls it too.
func (o *Options) Validate() error { return o.redis().Validate() }

func (o *Options) redis() redisx.Options {
	return redisx.Options{URL: o.URL, Username: o.Username, Password: o.Password, Credentials: o.Credentials, Dial: o.Dial,
		TLS: o.TLS, Timeout: o.Timeout}
}

// Driver connects the adapters of a node to the others through Redis. It is safe for concurrent use.
type Driver struct {
	opts       Options
	monitor    *reception.Monitor
	client     *redisx.Client
	subscriber *redisx.Subscriber
	publisher  *publisher
	counting   counting
	alone      atomic.Bool // there are no other servers
	home       uint64      // this process, to other Peal nodes
	homes      homes.Homes // the others

	probing *service.Service
	beating *service.Service
	changed chan struct{} // full: the connection that receives is there, or is not

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
	if opts.InboxSize <= 0 {
		opts.InboxSize = DefaultInboxSize
	}
	if opts.InboxBytes <= 0 {
		opts.InboxBytes = DefaultInboxBytes
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	client, err := redisx.New(opts.redis())
	if err != nil {
		return nil, fmt.Errorf("redispubsub: %w", err)
	}
	opts.Timeout = client.Timeout()
	d := &Driver{opts: opts, client: client, home: newHome(), links: make(map[string]*link), changed: make(chan struct{}, 1)}
	d.homes.Keep = keepSilent
	d.monitor = reception.New(reception.Options{Driver: "redispubsub", Broker: "Redis", OnState: opts.OnState, Logger: opts.Logger})
	d.publisher = newPublisher(client, opts.QueueSize, d.unheard, d.countable)
	d.subscriber = client.Subscribe(redisx.Hooks{State: d.state, Refused: d.refused, Accepted: d.accepted})
	d.probing = service.Start(d.probe)
	d.beating = service.Start(d.beat)
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
		l.end()
		return nil, err
	}
	bounded, cancel := context.WithTimeout(ctx, 2*d.opts.Timeout)
	defer cancel()
	err := l.subscribe(bounded)
	if err == nil {
		l.joined.Store(true)
		// To learn who is counted. That the probe fails is for those to find out who ask for it.
		d.look(bounded)
		_ = l.Ping(bounded)
		l.meet(bounded)
		l.losses.sender.Greet()
		l.signal(helloSignal)
		l.signal(beatSignal)
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
		d.homes.Closed(l.namespace)
		d.monitor.Late.Add(l.calls.Late())
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
	err := service.Within(ctx, func() {
		// The client first: it ends an attempt to connect, for which the others would wait.
		d.client.Close()
		d.probing.Stop()
		d.beating.Stop()
		d.subscriber.Close()
		d.publisher.outbox.Close()
		d.monitor.Close()
	})
	if err != nil {
		return fmt.Errorf("redispubsub: close: %w", err)
	}
	return nil
}

// Stats returns the counters.
func (d *Driver) Stats() adapter.DriverStats {
	s := d.monitor.Stats()
	s.Refused = d.subscriber.Refused()
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, l := range d.links {
		s.Waiting += l.inbox.Len()
		s.Late += l.calls.Late()
		if !d.countable() || l.neighbours.foreign.Load() {
			s.Mixed++
		}
	}
	return s
}
