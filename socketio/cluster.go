package socketio

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/peal-dev/peal/adapter"
)

// joiner is a driver whose Subscribe does not wait for the cluster. A namespace is usable from the moment it exists;
// the link behind it is made in the background, and again until it is there.
type joiner struct {
	driver adapter.Driver
	log    *slog.Logger
}

const (
	joinTimeout  = 10 * time.Second
	joinRetry    = 100 * time.Millisecond
	joinRetryMax = 5 * time.Second
)

// Subscribe implements adapter.Driver.
func (j *joiner) Subscribe(ctx context.Context, namespace string, r adapter.Receiver) (adapter.Link, error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l := &lateLink{namespace: namespace, cancel: cancel, ready: make(chan struct{}), failing: make(chan struct{}),
		ended: make(chan struct{}), early: make(map[string]*earlyOpening)}
	go l.join(ctx, j, r)
	return l, nil
}

// Close implements adapter.Driver. The driver belongs to whoever made it.
func (j *joiner) Close(context.Context) error { return nil }

// lateLink is a link that may still be on its way.
type lateLink struct {
	namespace string
	cancel    context.CancelFunc
	link      adapter.Link       // set before ready is closed
	filter    adapter.RoomFilter // link, if it is one
	ready     chan struct{}      // closed when link is there
	failing   chan struct{}      // closed when the first attempt has failed
	ended     chan struct{}      // closed when join has returned

	mu    sync.Mutex
	early map[string]*earlyOpening // the rooms that were open before link was there; nil from then on
}

func (l *lateLink) join(ctx context.Context, j *joiner, r adapter.Receiver) {
	defer close(l.ended)
	for retry := joinRetry; ; retry = min(2*retry, joinRetryMax) {
		attempt, cancel := context.WithTimeout(ctx, joinTimeout)
		link, err := j.driver.Subscribe(attempt, l.namespace, r)
		cancel()
		if err == nil {
			l.arrive(link)
			return
		}
		if ctx.Err() != nil {
			return
		}
		if retry == joinRetry {
			close(l.failing)
		}
		j.log.Error("socketio: cannot join the cluster, trying again", "namespace", l.namespace, "err", err, "in", retry)
		timer := time.NewTimer(retry)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// arrive makes link the way to the cluster, and opens there what is open here.
func (l *lateLink) arrive(link adapter.Link) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.filter, _ = link.(adapter.RoomFilter)
	for room, o := range l.early {
		if l.filter != nil {
			o.opening = l.filter.RoomOpened(room)
		}
	}
	l.early, l.link = nil, link
	close(l.ready)
}

// RoomOpened implements adapter.RoomFilter.
func (l *lateLink) RoomOpened(room string) adapter.Opening {
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

// RoomClosed implements adapter.RoomFilter.
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
	opening adapter.Opening // the link's, set before ready is closed; nil if it has none
}

// Wait implements adapter.Opening. It waits for the first attempt to join the cluster and for none after that: clients
// of this node would all wait for it.
func (o *earlyOpening) Wait(ctx context.Context) error {
	var err error
	select {
	case <-o.link.ready:
	case <-o.link.failing:
		err = fmt.Errorf("not joined yet: %w", adapter.ErrUnavailable)
	case <-o.link.ended:
		err = adapter.ErrClosed
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
func (l *lateLink) wait(ctx context.Context) (adapter.Link, error) {
	select {
	case <-l.ready:
		return l.link, nil
	default:
	}
	select {
	case <-l.ready:
		return l.link, nil
	case <-l.ended:
		select {
		case <-l.ready:
			return l.link, nil
		default:
			return nil, adapter.ErrClosed
		}
	case <-ctx.Done():
		return nil, fmt.Errorf("not joined yet: %w: %w", adapter.ErrUnavailable, ctx.Err())
	}
}

// Publish implements adapter.Link.
func (l *lateLink) Publish(ctx context.Context, e *adapter.Envelope) error {
	link, err := l.wait(ctx)
	if err != nil {
		return err
	}
	return link.Publish(ctx, e)
}

// Call implements adapter.Caller.
func (l *lateLink) Call(ctx context.Context, c *adapter.Call, each func(adapter.Answer)) (missing []adapter.NodeID, err error) {
	caller, err := l.caller(ctx)
	if err != nil {
		return nil, err
	}
	return caller.Call(ctx, c, each)
}

// Nodes implements adapter.Caller.
func (l *lateLink) Nodes(ctx context.Context) (int, error) {
	caller, err := l.caller(ctx)
	if err != nil {
		return 0, err
	}
	return caller.Nodes(ctx)
}

func (l *lateLink) caller(ctx context.Context) (adapter.Caller, error) {
	link, err := l.wait(ctx)
	if err != nil {
		return nil, err
	}
	caller, ok := link.(adapter.Caller)
	if !ok {
		return nil, adapter.ErrNoCalls
	}
	return caller, nil
}

// Ping implements adapter.Link. It waits for the first attempt to join the cluster and for none after that.
func (l *lateLink) Ping(ctx context.Context) error {
	select {
	case <-l.ready:
	case <-l.failing:
		select {
		case <-l.ready:
		default:
			return fmt.Errorf("not joined yet: %w", adapter.ErrUnavailable)
		}
	case <-l.ended:
	case <-ctx.Done():
	}
	link, err := l.wait(ctx)
	if err != nil {
		return err
	}
	return link.Ping(ctx)
}

// Close implements adapter.Link.
func (l *lateLink) Close(ctx context.Context) error {
	l.cancel()
	select {
	case <-l.ended:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-l.ready:
		return l.link.Close(ctx)
	default:
		return nil
	}
}
