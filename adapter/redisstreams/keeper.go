package redisstreams

import (
	"context"
	"fmt"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/nodecluster"
	"github.com/peal-dev/peal/adapter/nodewire"
	"github.com/peal-dev/peal/internal/redisx"
	"github.com/peal-dev/peal/message"
)

var (
	_ adapter.Sequencer  = (*Driver)(nil)
	_ nodecluster.Keeper = (*transport)(nil)
	_ nodecluster.Holder = (*transport)(nil)
)

// Follow implements [adapter.Sequencer]: the log is the stream, and offsets are the ids of its entries. It waits and fails
// as Subscribe.
func (d *Driver) Follow(ctx context.Context, namespace string, f adapter.Follower) (adapter.Sequence, error) {
	s, err := d.hub.Follow(ctx, namespace, f, d.open)
	if err != nil {
		return nil, err // a nil *Sequence in the interface would not be nil
	}
	return s, nil
}

func offsetOf(id redisx.EntryID) message.Offset {
	return message.Offset{Ms: id.Milliseconds, Seq: id.Sequence}
}

func idOf(o message.Offset) redisx.EntryID {
	return redisx.EntryID{Milliseconds: o.Ms, Sequence: o.Seq}
}

// Append implements [nodecluster.Keeper].
func (t *transport) Append(ctx context.Context, m *nodewire.Message) (message.Offset, error) {
	j, err := t.driver.publisher.job(t.way, m, "")
	if err == nil {
		j, err = t.driver.publisher.outbox.Send(ctx, j, j.size())
	}
	if err != nil {
		return message.Offset{}, err
	}
	return offsetOf(j.entry.ID), nil
}

// Covers implements [nodecluster.Keeper]: a stream is trimmed from its front, so it has everything behind whatever is not
// before its first entry.
func (t *transport) Covers(ctx context.Context, after message.Offset) error {
	info, err := t.driver.publisher.redis.Stream(ctx, t.stream)
	if err != nil {
		return unavailable(err)
	}
	if info.Length == 0 || idOf(after).Less(info.First) || info.Newest.Less(idOf(after)) {
		return fmt.Errorf("%w: the stream %s has %v to %v", adapter.ErrTrimmed, t.stream, info.First, info.Last)
	}
	return nil
}

// Replay implements [nodecluster.Keeper]. Each part that is read begins with the entry with which the one before ended: if
// that is still there, nothing between them was trimmed.
func (t *transport) Replay(ctx context.Context, after, until message.Offset, each func(nodecluster.Incoming) error) error {
	at, end := idOf(after), idOf(until)
	for at.Less(end) {
		entries, err := t.driver.publisher.redis.Range(ctx, t.stream, at, end, t.driver.opts.ReadCount+1)
		if err != nil {
			return unavailable(err)
		}
		if len(entries) > 0 && entries[0].ID == at {
			entries = entries[1:]
		} else if err := t.Covers(ctx, offsetOf(at)); err != nil {
			return err
		}
		for i := range entries {
			at = entries[i].ID
			in, _, namespace := incoming(t.stream, &entries[i])
			if namespace != t.link.Namespace() || in.Type != nodewire.Broadcast {
				continue
			}
			in.Offset = offsetOf(at)
			if err := each(in); err != nil {
				return err
			}
		}
		if len(entries) < t.driver.opts.ReadCount {
			return nil
		}
	}
	return nil
}
