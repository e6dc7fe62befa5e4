package socketio

import (
	"context"
	"fmt"
	"log/slog"
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
	l := &lateLink{namespace: namespace, cancel: cancel, ready: make(chan struct{}), ended: make(chan struct{})}
	go l.join(ctx, j, r)
	return l, nil
}

// Close implements adapter.Driver. The driver belongs to whoever made it.
func (j *joiner) Close(context.Context) error { return nil }

// lateLink is a link that may still be on its way.
type lateLink struct {
	namespace string
	cancel    context.CancelFunc
	link      adapter.Link  // set before ready is closed
	ready     chan struct{} // closed when link is there
	ended     chan struct{} // closed when join has returned
}

func (l *lateLink) join(ctx context.Context, j *joiner, r adapter.Receiver) {
	defer close(l.ended)
	for retry := joinRetry; ; retry = min(2*retry, joinRetryMax) {
		attempt, cancel := context.WithTimeout(ctx, joinTimeout)
		link, err := j.driver.Subscribe(attempt, l.namespace, r)
		cancel()
		if err == nil {
			l.link = link
			close(l.ready)
			return
		}
		if ctx.Err() != nil {
			return
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

// Ping implements adapter.Link.
func (l *lateLink) Ping(ctx context.Context) error {
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
