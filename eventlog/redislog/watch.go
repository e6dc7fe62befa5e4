package redislog

import (
	"context"
	"sync"
	"time"

	"github.com/peal-dev/peal/internal/redisx"
	"github.com/peal-dev/peal/message"
)

// staySubscribed is for how long changes of a topic are told after the last who waited: somebody who follows waits again soon.
const staySubscribed = 10 * time.Second

// watch tells who waits that a topic has changed. It subscribes to the channels of topics for which somebody waits.
type watch struct {
	listener *redisx.ShardListener

	mu     sync.Mutex // protects the following
	topics map[string]*watched
	closed bool
}

// watched is a topic whose changes are told.
type watched struct {
	change *redisx.ShardChange

	// The following are protected by the mu of watch.
	waiting int
	leaving *time.Timer    // while nobody waits
	changed chan struct{}  // closed with the next change
	top     message.Offset // as far as was told
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
	if t.leaving != nil {
		t.leaving.Stop()
		t.leaving = nil
	}
	t.waiting++
	return t
}

func (w *watch) end(channel string, t *watched) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.waiting--; t.waiting == 0 && !w.closed {
		t.leaving = time.AfterFunc(staySubscribed, func() { w.leave(channel, t) })
	}
}

// leave ends the subscription unless somebody waits again.
func (w *watch) leave(channel string, t *watched) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.waiting == 0 && w.topics[channel] == t && !w.closed {
		delete(w.topics, channel)
		w.listener.Remove(channel)
	}
}

// close is called when the store is closed.
func (w *watch) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, t := range w.topics {
		if t.leaving != nil {
			t.leaving.Stop()
		}
	}
}

// next returns what is closed with the next change of t, and its last item as far as was told.
func (w *watch) next(t *watched) (changed <-chan struct{}, top message.Offset) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return t.changed, t.top
}

// told is told by the connection that receives what a script has said of a topic: its last item.
func (w *watch) told(channel string, payload []byte) {
	top, _ := message.ParseOffset(string(payload))
	w.mu.Lock()
	defer w.mu.Unlock()
	if t := w.topics[channel]; t != nil {
		t.top = top
		close(t.changed)
		t.changed = make(chan struct{})
	}
}

// heard waits until the changes of t are told, which is soon or, if Redis does not let this user, never.
func (t *watched) heard(ctx context.Context) { _ = t.change.Wait(ctx) }
