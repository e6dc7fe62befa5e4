package nodecluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/homes"
	"github.com/peal-dev/peal/adapter/internal/reception"
	"github.com/peal-dev/peal/internal/service"
)

// The defaults of [Options].
const (
	DefaultTimeout           = 3 * time.Second
	DefaultInboxSize         = 1 << 16
	DefaultInboxBytes        = 64 << 20
	DefaultHeartbeatInterval = 5 * time.Second
	DefaultHeartbeatTimeout  = 10 * time.Second
	DefaultProbeInterval     = time.Second
	DefaultSettle            = 200 * time.Millisecond
)

// Options configure a [Hub]. 0 means the default.
type Options struct {
	// Driver is the name of the driver's package, and Broker that of what it speaks to; both for errors and the log.
	Driver, Broker string
	// UID names a link's node. Nil means 16 random digits, as Node.js nodes have. No name may be given twice: others remember
	// for a while that it has left.
	UID func() string
	// Resumes is that of [reception.Options].
	Resumes bool
	// Timeout bounds what is done on the driver's own account, and how long a ping takes.
	Timeout time.Duration
	// InboxSize and InboxBytes are how many messages, and how many bytes, may wait to be handled in each namespace.
	InboxSize, InboxBytes int
	// MaxAttachments is how many binary values a message for clients may have; 0 means message.DefaultMaxAttachments.
	MaxAttachments int
	// HeartbeatInterval is after how much silence a node says that it is there, HeartbeatTimeout after how much others take
	// it for gone. Node.js nodes have the same defaults.
	HeartbeatInterval, HeartbeatTimeout time.Duration
	// ProbeInterval is how often the node makes sure, unasked, that it receives. Less than 0 means never.
	ProbeInterval time.Duration
	// Settle is how long a node that joins waits for others to say that they are there, if nobody tells how many there are.
	Settle time.Duration
	// OnState is called when the connection that receives is there (true) and when it is lost or cannot be made. It must
	// not block. It may be nil.
	OnState func(connected bool, err error)
	// Logger is told of faults. Nil means slog.Default.
	Logger *slog.Logger
}

func (o *Options) setDefaults() {
	durations := []struct {
		value    *time.Duration
		standard time.Duration
	}{
		{&o.Timeout, DefaultTimeout}, {&o.HeartbeatInterval, DefaultHeartbeatInterval}, {&o.HeartbeatTimeout, DefaultHeartbeatTimeout},
		{&o.Settle, DefaultSettle},
	}
	for _, d := range durations {
		if *d.value <= 0 {
			*d.value = d.standard
		}
	}
	if o.UID == nil {
		o.UID = randomHex
	}
	if o.ProbeInterval == 0 {
		o.ProbeInterval = DefaultProbeInterval
	}
	if o.InboxSize <= 0 {
		o.InboxSize = DefaultInboxSize
	}
	if o.InboxBytes <= 0 {
		o.InboxBytes = DefaultInboxBytes
	}
}

// Hub has the links of one driver. It is safe for concurrent use.
type Hub struct {
	// Monitor is told by the driver of the state of its connection.
	Monitor *reception.Monitor

	opts    Options
	beating *service.Service
	probing *service.Service // nil if it does not probe

	id    string // of this process, to other Peal nodes
	homes homes.Homes

	mu     sync.RWMutex
	closed bool
	links  map[string]*Link // by namespace
}

// New returns a hub without links. Close it.
func New(opts Options) *Hub {
	opts.setDefaults()
	h := &Hub{opts: opts, id: randomHex(), links: make(map[string]*Link)}
	h.Monitor = reception.New(reception.Options{Driver: opts.Driver, Broker: opts.Broker, Resumes: opts.Resumes, OnState: opts.OnState, Logger: opts.Logger})
	h.beating = service.Start(h.beat)
	if opts.ProbeInterval > 0 {
		h.probing = service.Start(h.probe)
	}
	return h
}

// Subscribe makes the link of namespace, as [adapter.Driver] says. Open makes the link's transport, which may hand over
// what comes at once; it returns when what is published from then on does come. It may take as long as ctx says, or twice
// the Timeout if that is less.
func (h *Hub) Subscribe(ctx context.Context, namespace string, r adapter.Receiver, open func(ctx context.Context, l *Link) (Transport, error)) (*Link, error) {
	return h.subscribe(ctx, newLink(h, namespace, r), open)
}

// Follow is Subscribe for a driver whose transports are [Keeper]s, as [adapter.Sequencer] says.
func (h *Hub) Follow(ctx context.Context, namespace string, f adapter.Follower, open func(ctx context.Context, l *Link) (Transport, error)) (*Sequence, error) {
	l := newLink(h, namespace, f)
	l.follower = f
	if _, err := h.subscribe(ctx, l, open); err != nil {
		return nil, err
	}
	select {
	case <-l.begun:
	case <-l.done:
		return nil, adapter.ErrClosed
	case <-ctx.Done():
		_ = l.Close(context.WithoutCancel(ctx)) // it is bounded by the Timeout
		return nil, ctx.Err()
	}
	return &Sequence{l, l.transport.(Keeper)}, nil
}

func (h *Hub) subscribe(ctx context.Context, l *Link, open func(ctx context.Context, l *Link) (Transport, error)) (*Link, error) {
	if err := ctx.Err(); err != nil {
		l.abandon()
		return nil, err
	}
	if err := h.register(l); err != nil {
		l.abandon()
		return nil, err
	}
	bounded, cancel := context.WithTimeout(ctx, 2*h.opts.Timeout)
	defer cancel()
	t, err := open(bounded, l)
	if err != nil {
		h.unregister(l)
		l.abandon()
		return nil, unavailable(ctx, err)
	}
	l.start(bounded, t)
	if l.ended() {
		return nil, adapter.ErrClosed
	}
	return l, nil
}

// unavailable makes one of an error that is not the caller's own.
func unavailable(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, adapter.ErrClosed), errors.Is(err, adapter.ErrUnavailable), errors.Is(err, adapter.ErrOverloaded), errors.Is(err, adapter.ErrUnsendable):
		return err
	}
	// Not wrapped: a deadline in it is not that of ctx.
	return fmt.Errorf("%w: %v", adapter.ErrUnavailable, err)
}

func (h *Hub) register(l *Link) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return adapter.ErrClosed
	}
	if h.links[l.namespace] != nil {
		return adapter.ErrSubscribed
	}
	h.links[l.namespace] = l
	return nil
}

func (h *Hub) unregister(l *Link) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.links[l.namespace] == l {
		delete(h.links, l.namespace)
		h.homes.Closed(l.namespace)
		h.Monitor.Late.Add(l.calls.Late())
	}
}

// Link returns the link of namespace, or nil.
func (h *Hub) Link(namespace string) *Link {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.links[namespace]
}

// Links returns the links there are.
func (h *Hub) Links() []*Link {
	h.mu.RLock()
	defer h.mu.RUnlock()
	list := make([]*Link, 0, len(h.links))
	for _, l := range h.links {
		list = append(list, l)
	}
	return list
}

// Stats returns the counters. The driver adds what its connection knows.
func (h *Hub) Stats() adapter.DriverStats {
	s := h.Monitor.Stats()
	for _, l := range h.Links() {
		s.Waiting += l.inbox.Len()
		s.Late += l.calls.Late()
	}
	return s
}

// Close closes all links; it returns when that is done, or with the error of ctx, and then the closing goes on. There are
// no others afterwards.
func (h *Hub) Close(ctx context.Context) error {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	err := service.Within(ctx, func() {
		h.beating.Stop()
		if h.probing != nil {
			h.probing.Stop()
		}
		var wg sync.WaitGroup
		for _, l := range h.Links() {
			wg.Go(func() { _ = l.Close(ctx) }) // it fails only because of ctx
		}
		wg.Wait()
		h.Monitor.Close()
	})
	if err != nil {
		return fmt.Errorf("%s: close: %w", h.opts.Driver, err)
	}
	return nil
}

// beat sends heartbeats and forgets nodes that send none, until ctx ends.
func (h *Hub) beat(ctx context.Context) {
	ticker := time.NewTicker(homes.Judging)
	defer ticker.Stop()
	each := max(min(homes.Beating, h.opts.HeartbeatInterval/2), homes.Judging)
	var told, beat time.Time
	for {
		var now time.Time
		select {
		case <-ctx.Done():
			return
		case now = <-ticker.C:
		}
		h.judge(now)
		if now.Sub(told) >= homes.Beating {
			told = now
			h.tell()
		}
		if now.Sub(beat) < each {
			continue
		}
		beat = now
		greetings := maxGreetings
		for _, l := range h.Links() {
			if greetings > 0 && l.greetAgain() {
				greetings--
			}
			l.beat(now, h.homes.Deaf())
		}
	}
}

// maxGreetings is how many namespaces tell of themselves at once when the process was away: each is answered by all nodes.
const maxGreetings = 256

// probe sends probes until ctx ends: a gap is known to begin that exactly, and a stall to be there that soon. All
// namespaces share a connection, so one of them will do.
func (h *Hub) probe(ctx context.Context) {
	ticker := time.NewTicker(h.opts.ProbeInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if l := h.anyLink(); l != nil && h.Monitor.Connected() {
			_ = l.Ping(ctx) // it counts what is a gap; all else is for those to find out who ask
		}
	}
}

// anyLink returns a link that is subscribed, or nil.
func (h *Hub) anyLink() *Link {
	for _, l := range h.Links() {
		if l.joined.Load() {
			return l
		}
	}
	return nil
}
