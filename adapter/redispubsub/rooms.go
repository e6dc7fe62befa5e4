package redispubsub

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/internal/redisx"
)

// idLen is the length of a socket's id, Socket.IO's and Peal's.
const idLen = 20

// idPattern matches the room of a socket's id, and its closing #. One pattern for all ids keeps connections from costing
// Redis a subscription each; in return a message to one socket goes to every node, which drops it unread.
var idPattern = strings.Repeat("[-_0-9A-Za-z]", idLen) + "#"

// isID reports whether idPattern matches room.
func isID(room string) bool {
	if len(room) != idLen {
		return false
	}
	for i := range len(room) {
		switch c := room[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// subscribes reports whether a room is a subscription in its own right.
func (l *link) subscribes(room string) bool { return l.driver.opts.SubscribeRooms && !isID(room) }

// RoomOpened implements [adapter.Link].
func (l *link) RoomOpened(room string) adapter.Opening {
	if !l.subscribes(room) || l.open(context.Background()) != nil {
		return nil
	}
	return &opening{l, l.listener.Add(l.channel(room))}
}

// RoomClosed implements [adapter.Link].
func (l *link) RoomClosed(room string) {
	if l.subscribes(room) {
		l.listener.Remove(l.channel(room))
	}
}

func (l *link) channel(room string) redisx.Name { return redisx.Channel(l.broadcasts + room + "#") }

// note remembers the rooms of a join that has gone, or is about to go, through the cluster.
func (l *link) note(e *adapter.Envelope) {
	if l.driver.opts.SubscribeRooms && e.Kind == adapter.KindJoin {
		l.joins.Note(e.ChangeRooms, l.driver.opts.Timeout)
	}
}

// opening is the subscription to a room's channel.
type opening struct {
	link   *link
	change *redisx.Change
}

// Wait implements [adapter.Opening]. While Redis is away it waits until the driver's timeout has passed since Redis was
// lost: joins in the time after that do not wait.
func (o *opening) Wait(ctx context.Context) error {
	select {
	case <-o.change.Done():
		return o.explain(ctx)
	default:
	}
	timeout := o.link.driver.opts.Timeout
	if since, _ := o.link.driver.subscriber.Away(); !since.IsZero() {
		timeout -= time.Since(since)
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-o.change.Done():
		return o.explain(ctx)
	case <-o.link.done:
		return adapter.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		if _, cause := o.link.driver.subscriber.Away(); cause != nil {
			return fmt.Errorf("%w: %v", adapter.ErrUnavailable, cause)
		}
		return fmt.Errorf("%w: a subscription was not confirmed in %v", adapter.ErrUnavailable, o.link.driver.opts.Timeout)
	}
}

func (o *opening) explain(ctx context.Context) error {
	switch err := o.change.Wait(ctx); {
	case err == nil:
		return nil
	case errors.Is(err, redisx.ErrClosed):
		return adapter.ErrClosed
	default:
		return fmt.Errorf("%w: %v", adapter.ErrUnavailable, err)
	}
}
