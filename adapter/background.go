package adapter

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/peal-dev/peal/internal/service"
)

// Background returns a driver whose Subscribe does not wait for the cluster, and does not fail while it is away: the link
// can be used at once, what is behind it is made in the background, again and again until it is there. Meanwhile Publish
// and Call wait for it until their context ends, RoomOpened and Ping wait for the first attempt only. Its Close does
// nothing: driver belongs to whoever made it. A nil log means slog.Default.
func Background(driver Driver, log *slog.Logger) Driver {
	if log == nil {
		log = slog.Default()
	}
	b := &background{driver, log}
	if s, ok := driver.(Sequencer); ok {
		return &backgroundSequencer{b, s}
	}
	return b
}

type background struct {
	driver Driver
	log    *slog.Logger
}

const (
	joinTimeout = 10 * time.Second
	joinMin     = 100 * time.Millisecond // pauses between attempts
	joinMax     = 5 * time.Second
)

// Subscribe implements [Driver].
func (b *background) Subscribe(_ context.Context, namespace string, r Receiver) (Link, error) {
	return b.start(namespace, func(ctx context.Context) (Link, error) { return b.driver.Subscribe(ctx, namespace, r) }), nil
}

// start begins to make a link with subscribe.
func (b *background) start(namespace string, subscribe func(ctx context.Context) (Link, error)) *lateLink {
	l := &lateLink{namespace: namespace, ready: make(chan struct{}), failing: make(chan struct{}), early: make(map[string]*earlyOpening)}
	l.joining = service.Start(func(ctx context.Context) { l.join(ctx, b.log, subscribe) })
	return l
}

// Close implements [Driver].
func (b *background) Close(context.Context) error { return nil }

// lateLink is a link that may still be on its way.
type lateLink struct {
	namespace string
	joining   *service.Service
	link      Link          // set before ready is closed
	filter    RoomFilter    // link, if it is one
	ready     chan struct{} // closed when link is there
	failing   chan struct{} // closed when the first attempt has failed

	mu    sync.Mutex
	early map[string]*earlyOpening // the rooms that were open before link was there; nil from then on
}

func (l *lateLink) join(ctx context.Context, log *slog.Logger, subscribe func(ctx context.Context) (Link, error)) {
	backoff := service.Backoff{Min: joinMin, Max: joinMax}
	for failed := false; ; failed = true {
		attempt, cancel := context.WithTimeout(ctx, joinTimeout)
		link, err := subscribe(attempt)
		cancel()
		if err == nil {
			l.arrive(link)
			return
		}
		if ctx.Err() != nil {
			return
		}
		if !failed {
			close(l.failing)
		}
		pause := backoff.Next()
		log.LogAttrs(ctx, slog.LevelError, "adapter: cannot join the cluster, trying again",
			slog.String("namespace", l.namespace), slog.Any("err", err), slog.Duration("in", pause))
		if !service.Pause(ctx, pause) {
			return
		}
	}
}

// arrive makes link the way to the cluster, and opens there what is open here.
func (l *lateLink) arrive(link Link) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.filter, _ = link.(RoomFilter)
	for room, o := range l.early {
		if l.filter != nil {
			o.opening = l.filter.RoomOpened(room)
		}
	}
	l.early, l.link = nil, link
	close(l.ready)
}

// RoomOpened implements [RoomFilter].
func (l *lateLink) RoomOpened(room string) Opening {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.filter != nil:
		return l.filter.RoomOpened(room)
	case l.link != nil:
		return nil
	}
	o := &earlyOpening{link: l}
	l.early[room] = o
	return o
}

// RoomClosed implements [RoomFilter].
func (l *lateLink) RoomClosed(room string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.filter != nil {
		l.filter.RoomClosed(room)
	}
	delete(l.early, room) // of nil, once the link is there
}

// earlyOpening is the opening of a room that was open before the link was there.
type earlyOpening struct {
	link    *lateLink
	opening Opening // the link's, set before ready is closed; nil if it has none
}

// Wait implements [Opening]. It waits for the first attempt to join the cluster and for none after that: clients
// of this node would all wait for it.
func (o *earlyOpening) Wait(ctx context.Context) error {
	var err error
	select {
	case <-o.link.ready:
	case <-o.link.failing:
		err = fmt.Errorf("not joined yet: %w", ErrUnavailable)
	case <-o.link.joining.Done():
		err = ErrClosed
	case <-ctx.Done():
		err = ctx.Err()
	}
	select {
	case <-o.link.ready:
	default:
		return err
	}
	if o.opening == nil {
		return nil
	}
	return o.opening.Wait(ctx)
}

// wait returns the link as soon as it is there.
func (l *lateLink) wait(ctx context.Context) (Link, error) {
	select {
	case <-l.ready:
		return l.link, nil
	default:
	}
	select {
	case <-l.ready:
		return l.link, nil
	case <-l.joining.Done():
		select {
		case <-l.ready:
			return l.link, nil
		default:
			return nil, ErrClosed
		}
	case <-ctx.Done():
		return nil, fmt.Errorf("not joined yet: %w: %w", ErrUnavailable, ctx.Err())
	}
}

// Publish implements [Link].
func (l *lateLink) Publish(ctx context.Context, e *Envelope) error {
	link, err := l.wait(ctx)
	if err != nil {
		return err
	}
	return link.Publish(ctx, e)
}

// Call implements [Caller].
func (l *lateLink) Call(ctx context.Context, c *Call, each func(Answer)) (missing []NodeID, err error) {
	caller, err := l.caller(ctx)
	if err != nil {
		return nil, err
	}
	return caller.Call(ctx, c, each)
}

// Nodes implements [Caller].
func (l *lateLink) Nodes(ctx context.Context) (int, error) {
	caller, err := l.caller(ctx)
	if err != nil {
		return 0, err
	}
	return caller.Nodes(ctx)
}

func (l *lateLink) caller(ctx context.Context) (Caller, error) {
	link, err := l.wait(ctx)
	if err != nil {
		return nil, err
	}
	caller, ok := link.(Caller)
	if !ok {
		return nil, ErrNoCalls
	}
	return caller, nil
}

// Ping implements [Link]. It waits for the first attempt to join the cluster and for none after that.
func (l *lateLink) Ping(ctx context.Context) error {
	select {
	case <-l.ready:
	case <-l.failing:
		select {
		case <-l.ready:
		default:
			return fmt.Errorf("not joined yet: %w", ErrUnavailable)
		}
	case <-l.joining.Done():
	case <-ctx.Done():
	}
	link, err := l.wait(ctx)
	if err != nil {
		return err
	}
	return link.Ping(ctx)
}

// Close implements [Link].
func (l *lateLink) Close(ctx context.Context) error {
	if err := service.Within(ctx, l.joining.Stop); err != nil {
		return err
	}
	select {
	case <-l.ready:
		return l.link.Close(ctx)
	default:
		return nil
	}
}
