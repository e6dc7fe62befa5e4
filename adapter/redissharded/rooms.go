package redissharded

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/nodecluster"
	"github.com/peal-dev/peal/internal/redisx"
)

// link is one namespace on this node.
type link struct {
	*nodecluster.Link
	transport *transport
}

var (
	_ adapter.Caller     = (*link)(nil)
	_ adapter.RoomFilter = (*link)(nil)
)

// RoomOpened implements [adapter.RoomFilter]. Node.js nodes do not use the channel of a room that looks like a socket's id in
// the mode Dynamic, and subscribe to that of a room which is none of their own sockets' ids: nobody publishes there.
func (l *link) RoomOpened(room string) adapter.Opening {
	if !l.transport.opts.Mode.named(room) {
		return nil
	}
	number := l.Opening(room) // first: the channel may be there at once
	return &opening{l, room, number, l.transport.listener.Add(l.transport.main + room + "#")}
}

// RoomClosed implements [adapter.RoomFilter].
func (l *link) RoomClosed(room string) {
	if l.transport.opts.Mode.named(room) {
		l.Closed(room)
		l.transport.listener.Remove(l.transport.main + room + "#")
	}
}

// opening is the subscription to a room's channel.
type opening struct {
	link   *link
	room   string
	number uint64 // of the opening
	change *redisx.ShardChange
}

// Wait implements [adapter.Opening]. While Redis is away it waits until the driver's timeout has passed since Redis was
// lost: joins in the time after that do not wait.
func (o *opening) Wait(ctx context.Context) error {
	t := o.link.transport
	timeout := t.opts.Timeout
	if since, _ := t.publisher.redis.Away(t.main); !since.IsZero() {
		timeout -= time.Since(since)
	}
	bounded, cancel := context.WithTimeout(ctx, max(timeout, 0))
	defer cancel()
	err := o.change.Wait(bounded)
	switch {
	case err == nil:
		o.link.Opened(o.room, o.number)
		return nil
	case errors.Is(err, redisx.ErrClosed):
		return adapter.ErrClosed
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return fmt.Errorf("%w: a subscription was not confirmed: %v", adapter.ErrUnavailable, err)
}
