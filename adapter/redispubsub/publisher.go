package redispubsub

import (
	"context"
	"errors"
	"fmt"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/numbers"
	"github.com/peal-dev/peal/adapter/internal/outbox"
	"github.com/peal-dev/peal/internal/redisx"
)

// publisher sends what is given to it to Redis, in order, all that waits in one round trip, or in some more where nodes of another
// make may be about: see [publisher.take].
type publisher struct {
	client    *redisx.Client
	unheard   func(needed bool) error // what it means that a message went to no connection
	countable func() bool             // the server that takes a message counts all who hear it
	outbox    *outbox.Outbox[job]
	part      part // belongs to flush
}

// job is one message on its way.
type job struct {
	message redisx.Message
	needed  bool // this node subscribes to the channel itself
	// from is the namespace in which nodes are to hear it; nil for what is the sender's own business: answers, probes.
	from *link
	// frame is the broadcast of which the message is the frame, which only Peal nodes read; nil for what nodes of any make read.
	frame *adapter.Envelope
	// to is who hears it among Peal nodes.
	to numbers.Audience
	// signal takes the place of the message, which is made when it leaves.
	signal signal
}

func newPublisher(client *redisx.Client, size int, unheard func(needed bool) error, countable func() bool) *publisher {
	p := &publisher{client: client, unheard: unheard, countable: countable}
	p.outbox = outbox.New(outbox.Options[job]{Size: size, Timeout: client.Timeout(), Flush: p.flush})
	return p
}

// send returns when Redis has the message, or with an error within about twice the client's timeout. A message on a
// channel that this node subscribes to itself is needed: that it went to no connection is an error.
func (p *publisher) send(ctx context.Context, j job) error {
	_, err := p.outbox.Send(ctx, j, len(j.message.Payload))
	return err
}

// probe is send for a message of which the caller judges to how many connections it went.
func (p *publisher) probe(ctx context.Context, channel string, payload []byte) (receivers int64, err error) {
	j, err := p.outbox.Send(ctx, job{message: redisx.Message{Channel: channel, Payload: payload}}, len(payload))
	return j.message.Receivers, err
}

// post sends a message for which nobody waits. It reports false if too much waits.
func (p *publisher) post(channel string, payload []byte) bool {
	return p.outbox.Post(job{message: redisx.Message{Channel: channel, Payload: payload}}, len(payload)) == nil
}

func (p *publisher) flush(ctx context.Context, batch []*outbox.Item[job]) {
	for len(batch) > 0 {
		n := p.take(batch)
		if len(p.part.items) > 0 {
			p.publish(ctx)
			p.repeat(ctx)
		}
		batch = batch[n:]
	}
	p.part.begin() // keeps nothing alive
}

// publish sends the part that was taken, and learns who the neighbours are.
func (p *publisher) publish(ctx context.Context) {
	t := &p.part
	counts := p.client.PublishAndCount(ctx, t.messages, t.channels...)
	for i, l := range t.links {
		if counts == nil {
			l.neighbours.unknown()
		} else {
			l.neighbours.learn(counts[2*i], counts[2*i+1])
		}
	}
	for i, item := range t.items {
		j := &item.Value
		j.message.Receivers = t.messages[i].Receivers
		if j.from != nil {
			j.from.sent(j, t.messages[i].Err)
		}
		item.Err = p.explain(&t.messages[i], j.needed || j.frame != nil && j.from.neighbours.deserted)
	}
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
