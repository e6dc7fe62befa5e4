package redispubsub

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/internal/redisx"
	"github.com/peal-dev/peal/internal/service"
)

// maxBatch is how many messages share a round trip at most.
const maxBatch = 256

// publisher sends what is given to it in order: one goroutine takes all that waits and sends it in one round trip.
type publisher struct {
	client  *redisx.Client
	unheard func(needed bool) error // what it means that a message went to no connection
	queue   chan *job
	posted  atomic.Int64 // bytes that wait and nobody waits for
	service *service.Service
}

// job is one message on its way, and the caller's waiting for it.
type job struct {
	message   redisx.Message
	needed    bool       // this node subscribes to the channel itself
	result    chan error // nil if nobody waits
	deadline  time.Time
	abandoned atomic.Bool
}

var jobs = sync.Pool{New: func() any { return &job{result: make(chan error, 1)} }}

// maxPosted is how many bytes may wait that nobody waits for: the answers to other nodes' questions, which may be large.
const maxPosted = 64 << 20

func newPublisher(client *redisx.Client, size int, unheard func(needed bool) error) *publisher {
	p := &publisher{client: client, unheard: unheard, queue: make(chan *job, size)}
	p.service = service.Start(p.run)
	return p
}

// publish returns when Redis has the message, or with an error within about twice the client's timeout. A message on a
// channel that this node subscribes to itself is needed: that it went to no connection is an error.
func (p *publisher) publish(ctx context.Context, channel string, payload []byte, needed bool) error {
	_, err := p.send(ctx, channel, payload, needed)
	return err
}

// probe is publish for a message of which the caller judges to how many connections it went.
func (p *publisher) probe(ctx context.Context, channel string, payload []byte) (receivers int64, err error) {
	return p.send(ctx, channel, payload, false)
}

func (p *publisher) send(ctx context.Context, channel string, payload []byte, needed bool) (receivers int64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	j := jobs.Get().(*job)
	j.message = redisx.Message{Channel: channel, Payload: payload}
	j.needed = needed
	j.deadline = time.Now().Add(p.client.Timeout())
	select {
	case p.queue <- j:
	default:
		if err := p.wait(ctx, j); err != nil {
			return 0, err
		}
	}
	select {
	case err := <-j.result:
		receivers = j.message.Receivers
		j.message = redisx.Message{}
		jobs.Put(j)
		return receivers, err
	case <-ctx.Done():
		// If it is still in the queue it will not be sent. The job is not used again: its result may come yet.
		j.abandoned.Store(true)
		return 0, ctx.Err()
	case <-p.service.Done():
		return 0, adapter.ErrClosed
	}
}

// wait puts j into a queue that is full, if there is room soon.
func (p *publisher) wait(ctx context.Context, j *job) error {
	// Half, for when Redis hangs the queue moves on after the whole: the truth then is that too much waits.
	timer := time.NewTimer(p.client.Timeout() / 2)
	defer timer.Stop()
	select {
	case p.queue <- j:
		return nil
	case <-timer.C:
		return fmt.Errorf("%w: the queue of %d is full", adapter.ErrOverloaded, cap(p.queue))
	case <-ctx.Done():
		return ctx.Err()
	case <-p.service.Done():
		return adapter.ErrClosed
	}
}

// post sends a message for which nobody waits. It reports false if too much waits.
func (p *publisher) post(channel string, payload []byte) bool {
	size := int64(len(payload))
	if total := p.posted.Add(size); total > maxPosted && total > size {
		p.posted.Add(-size)
		return false
	}
	j := &job{message: redisx.Message{Channel: channel, Payload: payload}, deadline: time.Now().Add(p.client.Timeout())}
	select {
	case p.queue <- j:
		return true
	default:
		p.posted.Add(-size)
		return false
	}
}

func (p *publisher) run(ctx context.Context) {
	var (
		batch    []*job
		messages []redisx.Message
	)
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-p.queue:
			batch = p.collect(append(batch[:0], j))
		}
		messages = messages[:0]
		for _, j := range batch {
			messages = append(messages, j.message)
		}
		if len(messages) > 0 {
			p.client.Publish(ctx, messages)
		}
		for i, j := range batch {
			j.message.Receivers = messages[i].Receivers
			p.finish(j, p.explain(ctx, &messages[i], j.needed))
		}
		clear(batch)
		clear(messages)
	}
}

// collect adds what else waits to the batch, without those given up and those that waited too long.
func (p *publisher) collect(batch []*job) []*job {
	for len(batch) < maxBatch {
		select {
		case j := <-p.queue:
			batch = append(batch, j)
			continue
		default:
		}
		break
	}
	now := time.Now()
	kept := batch[:0]
	for _, j := range batch {
		switch {
		case j.abandoned.Load():
		case now.After(j.deadline):
			p.finish(j, fmt.Errorf("%w: waited too long to be published", adapter.ErrUnavailable))
		default:
			kept = append(kept, j)
		}
	}
	return kept
}

func (p *publisher) explain(ctx context.Context, m *redisx.Message, needed bool) error {
	switch {
	case m.Err == nil && m.Receivers == 0:
		return p.unheard(needed)
	case m.Err == nil:
		return nil
	case ctx.Err() != nil, errors.Is(m.Err, redisx.ErrClosed):
		return adapter.ErrClosed
	}
	// Not wrapped: a deadline in it is the client's own and none of the caller's context.
	return fmt.Errorf("%w: %v", adapter.ErrUnavailable, m.Err)
}

func (p *publisher) finish(j *job, err error) {
	if j.result == nil {
		p.posted.Add(-int64(len(j.message.Payload)))
		return
	}
	j.result <- err
}
