package redissharded

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/nodecluster"
	"github.com/peal-dev/peal/adapter/internal/numbers"
	"github.com/peal-dev/peal/adapter/internal/outbox"
	"github.com/peal-dev/peal/adapter/internal/recentrooms"
	"github.com/peal-dev/peal/adapter/nodewire"
	"github.com/peal-dev/peal/internal/redisx"
)

// publisher sends what is given to it to the servers that have the channels.
type publisher struct {
	redis  *redisx.Shards
	outbox *outbox.Outbox[job]
}

// job is one message on its way.
type job struct {
	message redisx.Message
	needed  bool // this node subscribes to the channel itself

	link *nodecluster.Link // which counts it; nil if nobody does
	kind nodewire.Type
	to   numbers.Audience
	make func() *nodewire.Message // makes the message, of a beat
	told func(error)
}

// noHooks are those of an emitter, which subscribes to nothing.
var noHooks = redisx.ShardHooks{State: func(bool, error) {}, Refused: func(redisx.Name, error) {}, Accepted: func(redisx.Name, time.Time) {}, Moved: func(string) {}}

func newPublisher(opts *Options, hooks redisx.ShardHooks) (*publisher, error) {
	redis, err := redisx.NewShards(opts.redis(), redisx.Shard, hooks)
	if err != nil {
		return nil, fmt.Errorf("redissharded: %w", err)
	}
	p := &publisher{redis: redis}
	p.outbox = outbox.New(outbox.Options[job]{Size: opts.QueueSize, Timeout: opts.Timeout, Flush: p.flush,
		First: func(j *job) bool { return j.make != nil }})
	return p, nil
}

func (p *publisher) close() {
	p.redis.Close() // first, for it ends attempts to connect
	p.outbox.Close()
}

// flush sends a batch with one round trip to each server.
func (p *publisher) flush(ctx context.Context, batch []*outbox.Item[job]) {
	if first := &batch[0].Value; first.make != nil && !first.beat() {
		batch = batch[1:]
	}
	messages := make([]redisx.Message, len(batch))
	for i, item := range batch {
		messages[i] = item.Value.message
	}
	p.redis.Publish(ctx, messages)
	for i, item := range batch {
		item.Err = explain(&messages[i], item.Value.needed)
		item.Value.count(&messages[i])
	}
}

// beat makes the message, now that it is known what became of all before it. It reports false if there is none.
func (j *job) beat() bool {
	m := j.make()
	if m == nil {
		return false
	}
	j.message.Payload = m.AppendJSON(nil)
	return true
}

// count has be counted what was published, or may have been.
func (j *job) count(m *redisx.Message) {
	switch {
	case j.told != nil:
		j.told(m.Err)
	case m.Err == nil && m.Receivers == 0 && j.needed: // nobody has it, and who published is told so
	case j.link != nil:
		j.link.Sent(j.kind, j.to, m.Payload, m.Err)
	}
}

// explain says what became of a message. The server of a shard channel counts all that are subscribed to it: that it went
// to no connection, on a channel that this node subscribes to itself, means that the subscription is gone, and with Redis
// just restarted that of the other nodes too.
func explain(m *redisx.Message, needed bool) error {
	switch {
	case m.Err == nil && m.Receivers == 0 && needed:
		return fmt.Errorf("%w: no node received it, not even this one", adapter.ErrUnavailable)
	case m.Err == nil:
		return nil
	case errors.Is(m.Err, redisx.ErrClosed):
		return adapter.ErrClosed
	}
	// Not wrapped: a deadline in it is the client's own and none of the caller's context.
	return fmt.Errorf("%w: %v", adapter.ErrUnavailable, m.Err)
}

// way is how what is published in one namespace leaves.
type way struct {
	publisher *publisher
	opts      *Options
	main      string // channel; a room, or the name of a node, is appended to it
	joins     recentrooms.Rooms
	link      *nodecluster.Link // nil of an emitter
}

func newWay(p *publisher, opts *Options, namespace string) *way {
	return &way{publisher: p, opts: opts, main: opts.Prefix + "#" + namespace + "#"}
}

// note remembers the rooms of a join that goes through the cluster. Nobody waits for such a join: what is published to
// the room right after it takes the channel that all nodes hear.
func (w *way) note(m *nodewire.Message) {
	if m.Type == nodewire.SocketsJoin && w.opts.Mode != Static {
		w.joins.Note(m.ChangeRooms, w.opts.Timeout)
	}
}

// channel returns where m is published.
func (w *way) channel(m *nodewire.Message) string {
	if m.Type != nodewire.Broadcast || m.RequestID != "" || len(m.Rooms) != 1 || !w.opts.Mode.named(m.Rooms[0]) {
		return w.main
	}
	if w.joins.Has(m.Rooms[0]) || !w.opts.SpreadRooms && !w.publisher.redis.Single() {
		return w.main
	}
	return w.main + m.Rooms[0] + "#"
}

// send sends m to all nodes that have to hear it. Hearing says that this one hears what is for all.
func (w *way) send(ctx context.Context, m *nodewire.Message, hearing bool) error {
	payload, err := m.Append(nil)
	if err != nil {
		return err
	}
	w.note(m)
	channel := w.channel(m)
	j := job{message: redisx.Message{Channel: channel, Payload: payload}, needed: hearing && channel == w.main, link: w.link, kind: m.Type}
	if channel != w.main {
		if j.to = numbers.Room(m.Rooms[0]); !w.publisher.redis.Single() {
			j.link = nil // by another server, where it may be overtaken by a beat
		}
	}
	return w.publish(ctx, j)
}

func (w *way) publish(ctx context.Context, j job) error {
	_, err := w.publisher.outbox.Send(ctx, j, len(j.message.Payload))
	return err
}
