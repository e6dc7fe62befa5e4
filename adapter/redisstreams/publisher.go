package redisstreams

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/outbox"
	"github.com/peal-dev/peal/adapter/nodewire"
	"github.com/peal-dev/peal/internal/redisx"
)

// publisher sends what is given to it to Redis, in order.
type publisher struct {
	redis  *redisx.Shards
	maxLen int
	shards bool // the channels are of one server each
	outbox *outbox.Outbox[job]
}

// noHooks are those of an emitter, which subscribes to nothing.
var noHooks = redisx.ShardHooks{State: func(bool, error) {}, Refused: func(redisx.Name, error) {}, Accepted: func(redisx.Name, time.Time) {}, Moved: func(string) {}}

func newPublisher(opts *Options, hooks redisx.ShardHooks) (*publisher, error) {
	kind := redisx.Channel
	if opts.ShardedPubSub {
		kind = redisx.Shard
	}
	redis, err := redisx.NewShards(opts.redis(), kind, hooks)
	if err != nil {
		return nil, fmt.Errorf("redisstreams: %w", err)
	}
	p := &publisher{redis: redis, maxLen: opts.MaxLen, shards: opts.ShardedPubSub}
	p.outbox = outbox.New(outbox.Options[job]{Size: opts.QueueSize, Timeout: opts.Timeout, Flush: p.flush})
	return p, nil
}

// close ends the connections. What waits to be published fails.
func (p *publisher) close() {
	p.redis.Close() // first, for it ends attempts to connect
	p.outbox.Close()
}

// way is where the messages of one namespace go.
type way struct {
	stream string
	main   string // channel; the name of a node is appended to it
}

// way returns that of a namespace, and the streams that are read for it.
func (o *Options) way(namespace string) (w way, read []string) {
	w.main = o.channel(namespace)
	w.stream, read = o.streams(namespace)
	return w, read
}

// channel returns the channel of a namespace.
func (o *Options) channel(namespace string) string { return o.ChannelPrefix + "#" + namespace + "#" }

// streamed reports whether a message goes by the stream: what is not a question and not an answer. Node.js nodes send events
// for nodes by the channel, where they overtake and can be lost, but hear them on the stream, which their emitter uses.
func streamed(m *nodewire.Message) bool {
	switch m.Type {
	case nodewire.Broadcast, nodewire.ServerSideEmit:
		return m.RequestID == ""
	case nodewire.SocketsJoin, nodewire.SocketsLeave, nodewire.DisconnectSockets:
		return true
	}
	return false
}

// job is one message on its way.
type job struct {
	entry   redisx.Append
	message redisx.Message // if there is no entry
	needed  bool           // this node subscribes to the channel itself
}

func (j *job) size() int {
	n := len(j.message.Payload)
	for _, f := range j.entry.Fields {
		n += len(f.Value)
	}
	return n
}

// job encodes a message for all nodes, or for one.
func (p *publisher) job(w way, m *nodewire.Message, to string) (j job, err error) {
	if streamed(m) {
		j.entry = redisx.Append{Stream: w.stream, MaxLen: p.maxLen}
		j.entry.Fields, err = encode(m)
		return j, err
	}
	j.needed = to == ""
	j.message.Channel = w.main
	if to != "" {
		j.message.Channel += to + "#"
	}
	j.message.Payload, err = m.AppendMsgpack(nil) // Node.js nodes read nothing else here
	return j, err
}

// flush sends a batch in its order, what is of one kind together.
func (p *publisher) flush(ctx context.Context, batch []*outbox.Item[job]) {
	for len(batch) > 0 {
		n := 1
		for n < len(batch) && (batch[n].Value.entry.Stream == "") == (batch[0].Value.entry.Stream == "") {
			n++
		}
		if batch[0].Value.entry.Stream == "" {
			p.publish(ctx, batch[:n])
		} else {
			p.append(ctx, batch[:n])
		}
		batch = batch[n:]
	}
}

func (p *publisher) append(ctx context.Context, batch []*outbox.Item[job]) {
	entries := make([]redisx.Append, len(batch))
	for i, item := range batch {
		entries[i] = item.Value.entry
	}
	p.redis.Append(ctx, entries)
	for i, item := range batch {
		item.Value.entry.ID = entries[i].ID
		item.Err = unavailable(entries[i].Err)
	}
}

func (p *publisher) publish(ctx context.Context, batch []*outbox.Item[job]) {
	messages := make([]redisx.Message, len(batch))
	for i, item := range batch {
		messages[i] = item.Value.message
	}
	p.redis.Publish(ctx, messages)
	counted := p.shards || p.redis.Single() // all that are subscribed; else those of one server of several
	for i, item := range batch {
		item.Err = unavailable(messages[i].Err)
		if item.Err == nil && messages[i].Receivers == 0 && item.Value.needed && counted {
			item.Err = fmt.Errorf("%w: no node received it, not even this one", adapter.ErrUnavailable)
		}
	}
}

// closed makes [adapter.ErrClosed] of the client's.
func closed(err error) error {
	if errors.Is(err, redisx.ErrClosed) {
		return adapter.ErrClosed
	}
	return err
}

// unavailable makes one of the package adapter of the client's error.
func unavailable(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, redisx.ErrClosed):
		return adapter.ErrClosed
	}
	// Not wrapped: a deadline in it is the client's own and none of the caller's context.
	return fmt.Errorf("%w: %v", adapter.ErrUnavailable, err)
}
