package socketio

import (
	"context"
	"time"

	"github.com/peal-dev/peal/internal/service"
	"github.com/peal-dev/peal/message"
)

// sweep writes all sessions of clients that are there again and again, so that they do not end.
func (h *sharedSessions) sweep(ctx context.Context) {
	for service.Pause(ctx, h.r.away/4) {
		var sockets []*Socket
		for s := range h.r.namespace.sockets(everyoneHere) {
			sockets = append(sockets, s)
		}
		h.forgetDoubts(sockets)
		batches := (len(sockets) + maxSaved - 1) / maxSaved
		for len(sockets) > 0 {
			n := min(len(sockets), maxSaved)
			var there []*Socket
			for _, s := range sockets[:n] {
				switch s.last.Load() {
				case heldThere:
					there = append(there, s)
				case heldDoubt:
					h.believe(s)
				}
			}
			sockets = sockets[n:]
			h.again(there)
			if !service.Pause(ctx, h.r.away/8/time.Duration(batches)) { // all at once would hold up others
				return
			}
		}
	}
}

// everyoneHere means the sockets of this node.
var everyoneHere = message.Target{Local: true}

// believe has the session of a client be kept anew that has been heard since it was not found.
func (h *sharedSessions) believe(s *Socket) {
	h.mu.Lock()
	since, known := h.held.doubts[s.id]
	if known && time.Since(since) > h.certain() {
		delete(h.held.doubts, s.id)
	} else {
		known = false
	}
	h.mu.Unlock()
	if known && s.last.CompareAndSwap(heldDoubt, heldNot) {
		h.arrived(s)
	}
}

// certain is after how long a client that is still there has certainly been heard, and what it was sent before has arrived:
// a ping that was sent behind that has been answered.
func (h *sharedSessions) certain() time.Duration {
	return 2*h.r.namespace.server.heartbeat + sampleEvery
}

// forgetDoubts forgets those about sockets that have gone.
func (h *sharedSessions) forgetDoubts(there []*Socket) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.held.doubts) == 0 {
		return
	}
	doubts := make(map[string]time.Time)
	for _, s := range there {
		if since, known := h.held.doubts[s.id]; known {
			doubts[s.id] = since
		}
	}
	h.held.doubts = doubts
}

// sample notes up to where clients have been given everything.
func (h *sharedSessions) sample() {
	at, ok := h.r.namespace.adapter.Delivered()
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	w := &h.held
	if n := len(w.samples); n > 0 && now.Sub(w.samples[n-1].when) > sampleStale {
		w.samples, w.has = nil, message.Offset{} // pings were not sent either
	}
	if ok {
		w.samples = append(w.samples, sample{now, at})
	}
	for len(w.samples) > 0 && now.Sub(w.samples[0].when) > h.certain() {
		w.has = w.samples[0].at
		w.samples = w.samples[1:]
	}
}

// received returns up to where every client that is there has received what was for it. Zero if that is not known.
func (h *sharedSessions) received() message.Offset {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.held.samples); n == 0 || time.Since(h.held.samples[n-1].when) > sampleStale {
		return message.Offset{}
	}
	return h.held.has
}
