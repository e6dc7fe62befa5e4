package redispubsub

import (
	"context"
	"errors"
	"fmt"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/outbox"
	"github.com/peal-dev/peal/internal/redisx"
)

// publisher sends what is given to it to Redis, in order, all that waits in one round trip.
type publisher struct {
	client  *redisx.Client
	unheard func(needed bool) error // what it means that a message went to no connection
	outbox  *outbox.Outbox[job]
	batch   []redisx.Message // belongs to flush
}

// job is one message on its way.
type job struct {
	message redisx.Message
	needed  bool // this node subscribes to the channel itself
}

func newPublisher(client *redisx.Client, size int, unheard func(needed bool) error) *publisher {
	p := &publisher{client: client, unheard: unheard}
	p.outbox = outbox.New(outbox.Options[job]{Size: size, Timeout: client.Timeout(), Flush: p.flush})
	return p
}

// publish returns when Redis has the message, or with an error within about twice the client's timeout. A message on a
// channel that this node subscribes to itself is needed: that it went to no connection is an error.
func (p *publisher) publish(ctx context.Context, channel string, payload []byte, needed bool) error {
	_, err := p.outbox.Send(ctx, job{redisx.Message{Channel: channel, Payload: payload}, needed}, len(payload))
	return err
}

// probe is publish for a message of which the caller judges to how many connections it went.
func (p *publisher) probe(ctx context.Context, channel string, payload []byte) (receivers int64, err error) {
	j, err := p.outbox.Send(ctx, job{message: redisx.Message{Channel: channel, Payload: payload}}, len(payload))
	return j.message.Receivers, err
}

// post sends a message for which nobody waits. It reports false if too much waits.
func (p *publisher) post(channel string, payload []byte) bool {
	return p.outbox.Post(job{message: redisx.Message{Channel: channel, Payload: payload}}, len(payload)) == nil
}

func (p *publisher) flush(ctx context.Context, batch []*outbox.Item[job]) {
	for _, item := range batch {
		p.batch = append(p.batch, item.Value.message)
	}
	p.client.Publish(ctx, p.batch)
	for i, item := range batch {
		item.Value.message.Receivers = p.batch[i].Receivers
		item.Err = p.explain(&p.batch[i], item.Value.needed)
	}
	clear(p.batch)
	p.batch = p.batch[:0]
}

func (p *publisher) explain(m *redisx.Message, needed bool) error {
	switch {
	case m.Err == nil && m.Receivers == 0:
		return p.unheard(needed)
	case m.Err == nil:
		return nil
	case errors.Is(m.Err, redisx.ErrClosed):
		return adapter.ErrClosed
	}
	// Not wrapped: a deadline in it is the client's own and none of the caller's context.
	return fmt.Errorf("%w: %v", adapter.ErrUnavailable, m.Err)
}
