package redispubsub

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/numbers"
	"github.com/peal-dev/peal/internal/redisx"
)

// idLen is the length of a socket's id, Socket.IO's and Peal's.
const idLen = 20

// isID reports whether room has the form of a socket's id. Those have no channel of their own, or each connection would cost
// Redis one; in return a message to one socket goes to every node, which drops it unread.
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

// interest is what a link hears of other Peal nodes: what is for everyone, and what is for the rooms that have members here.
type interest struct {
	prefix   string // of all channels of the namespace; by itself it is the channel for everyone
	everyone redisx.Name
	listener *redisx.Listener

	mu      sync.Mutex
	refused map[redisx.Name]struct{} // what the link needs and Redis refuses
	left    bool                     // everyone is not subscribed to, because of that
}

// pealPrefix returns the beginning of all channels on which Peal nodes speak to each other in namespace. Its length is in it, so
// that no room of one namespace is another namespace.
func pealPrefix(key, namespace string) string {
	return key + "-peal1#" + strconv.Itoa(len(namespace)) + "#" + namespace + "#"
}

func newInterest(key, namespace string, listener *redisx.Listener) *interest {
	prefix := pealPrefix(key, namespace)
	return &interest{prefix: prefix, everyone: redisx.Channel(prefix), listener: listener}
}

// channel returns the channel of one room.
func (i *interest) channel(room string) string { return i.prefix + "=" + room }

// room returns the room of a channel that begins with the prefix, and false for that of everyone.
func (i *interest) room(channel string) (room string, one bool) {
	rest := channel[len(i.prefix):]
	if rest == "" {
		return "", false
	}
	return rest[1:], true
}

// refuse notes that Redis refuses a name. Others count this node as one that speaks as Node.js nodes do, from when it has left the
// channel of everyone, and it hears them on the channels of that. So what is refused costs exactness and nothing else.
func (i *interest) refuse(n redisx.Name) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.refused == nil {
		i.refused = make(map[redisx.Name]struct{})
	}
	i.refused[n] = struct{}{}
	if n != i.everyone && !i.left {
		i.left = true
		delete(i.refused, i.everyone)
		i.listener.Remove(i.everyone)
	}
}

// estranged reports whether this node cannot hear what is for everyone, or is about not to.
func (i *interest) estranged() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.refused) > 0
}

// accept notes that a name is not refused any more, or not needed.
func (i *interest) accept(n redisx.Name) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.refused) == 0 {
		return
	}
	delete(i.refused, n)
	if len(i.refused) == 0 && i.left {
		i.left = false
		i.listener.Add(i.everyone)
	}
}

// RoomOpened implements [adapter.Link].
func (l *link) RoomOpened(room string) adapter.Opening {
	if isID(room) || l.ended() {
		return nil
	}
	change := l.listener.Add(redisx.Channel(l.interest.channel(room)))
	l.losses.opened(room, change)
	return &opening{l, change}
}

// RoomClosed implements [adapter.Link].
func (l *link) RoomClosed(room string) {
	if isID(room) {
		return
	}
	n := redisx.Channel(l.interest.channel(room))
	l.losses.receiver.Closed(numbers.Room(room))
	l.listener.Remove(n)
	l.interest.accept(n)
}

// note remembers the rooms of a join that has gone, or is about to go, through the cluster.
func (l *link) note(e *adapter.Envelope) {
	if e.Kind == adapter.KindJoin {
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
	timeout := o.link.driver.opts.Timeout
	if since, _ := o.link.driver.subscriber.Away(); !since.IsZero() {
		timeout -= time.Since(since)
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	change := o.change
	for {
		select {
		case <-change.Done():
			err := change.Wait(ctx)
			if redisx.IsAnswer(err) && change == o.change {
				// The room is heard on the channels of Node.js nodes once the channel of everyone is left, which was asked for.
				change = o.link.listener.Add()
				continue
			}
			return o.explain(err)
		default:
		}
		select {
		case <-change.Done():
			continue
		case <-o.link.done:
			return adapter.ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		if _, cause := o.link.driver.subscriber.Away(); cause != nil {
			return fmt.Errorf("%w: %v", adapter.ErrUnavailable, cause)
		}
		return fmt.Errorf("%w: a subscription was not confirmed in %v", adapter.ErrUnavailable, o.link.driver.opts.Timeout)
	}
}

func (o *opening) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, redisx.ErrClosed):
		return adapter.ErrClosed
	default:
		return fmt.Errorf("%w: %v", adapter.ErrUnavailable, err)
	}
}
