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
)

// maxBatch is how many messages share a round trip at most.
const maxBatch = 256

// publisher sends what is given to it in order: one goroutine takes all that waits and sends it in one round trip.
type publisher struct {
	client *redisx.Client
	queue  chan *job
	cancel context.CancelFunc
	done   chan struct{}
}

// job is one message on its way, and the caller's waiting for it.
type job struct {
	message   redisx.Message
	result    chan error // nil if nobody waits
	deadline  time.Time
	abandoned atomic.Bool
}

var jobs = sync.Pool{New: func() any { return &job{result: make(chan error, 1)} }}

func newPublisher(client *redisx.Client, size int) *publisher {
	// The goroutine serves all callers, so it hangs on no caller's context.
	ctx, cancel := context.WithCancel(context.Background())
	p := &publisher{client: client, queue: make(chan *job, size), cancel: cancel, done: make(chan struct{})}
	go p.run(ctx)
	return p
}

// publish returns when Redis has the message, or with an error within about twice the client's timeout.
func (p *publisher) publish(ctx context.Context, channel string, payload []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j := jobs.Get().(*job)
	j.message = redisx.Message{Channel: channel, Payload: payload}
	j.deadline = time.Now().Add(p.client.Timeout())
	select {
	case p.queue <- j:
	default:
		if err := p.wait(ctx, j); err != nil {
			return err
		}
	}
	select {
	case err := <-j.result:
		j.message = redisx.Message{}
		jobs.Put(j)
		return err
	case <-ctx.Done():
		// If it is still in the queue it will not be sent. The job is not used again: its result may come yet.
		j.abandoned.Store(true)
		return ctx.Err()
	case <-p.done:
		return adapter.ErrClosed
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
	case <-p.done:
		return adapter.ErrClosed
	}
}

// post sends a message for which nobody waits. It reports false if the queue is full.
func (p *publisher) post(channel string, payload []byte) bool {
	j := &job{message: redisx.Message{Channel: channel, Payload: payload}, deadline: time.Now().Add(p.client.Timeout())}
	select {
	case p.queue <- j:
		return true
	default:
		return false
	}
}

func (p *publisher) close() {
	p.cancel()
	<-p.done
}

func (p *publisher) run(ctx context.Context) {
	defer close(p.done)
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
			j.finish(p.explain(ctx, messages[i].Err))
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
			j.finish(fmt.Errorf("%w: waited too long to be published", adapter.ErrUnavailable))
		default:
			kept = append(kept, j)
		}
	}
	return kept
}

func (p *publisher) explain(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil, errors.Is(err, redisx.ErrClosed):
		return adapter.ErrClosed
	}
	// Not wrapped: a deadline in it is the client's own and none of the caller's context.
	return fmt.Errorf("%w: %v", adapter.ErrUnavailable, err)
}

func (j *job) finish(err error) {
	if j.result != nil {
		j.result <- err
	}
}
