package redislog

import (
	"context"
	"sync"

	"github.com/peal-dev/peal/internal/redisx"
)

// watch tells who waits that a topic has changed. It subscribes to the channels of topics for which somebody waits.
type watch struct {
	listener *redisx.ShardListener

	mu     sync.Mutex // protects the following
	topics map[string]*watched
}

type watched struct {
	waiting int
	change  *redisx.ShardChange
	changed chan struct{} // closed with the next change
}

// begin has the changes of a topic told until end is called.
func (w *watch) begin(channel string) *watched {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.topics == nil {
		w.topics = make(map[string]*watched)
	}
	t := w.topics[channel]
	if t == nil {
		t = &watched{change: w.listener.Add(channel), changed: make(chan struct{})}
		w.topics[channel] = t
	}
	t.waiting++
	return t
}

func (w *watch) end(channel string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.topics[channel]
	if t.waiting--; t.waiting == 0 {
		delete(w.topics, channel)
		w.listener.Remove(channel)
	}
}

// next returns what is closed with the next change of t.
func (w *watch) next(t *watched) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return t.changed
}

// changed is told by the connection that receives.
func (w *watch) changed(channel string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t := w.topics[channel]; t != nil {
		close(t.changed)
		t.changed = make(chan struct{})
	}
}

// heard waits until the changes of t are told, which is soon or, if Redis does not let this user, never.
func (t *watched) heard(ctx context.Context) { _ = t.change.Wait(ctx) }
