package nodecluster

import (
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/homes"
	"github.com/peal-dev/peal/adapter/nodewire"
)

// judge finds processes that are dead.
func (h *Hub) judge(now time.Time) {
	v := h.homes.Judge(now, h.Monitor.Proven(), h.opts.ProbeInterval)
	if v.Returned {
		h.returned()
	}
	h.each(v.Died, func(l *Link, uid string) {
		l.members.suspend(uid)
		l.calls.Gone(adapter.NodeID(uid))
	})
	h.each(v.Over, func(l *Link, uid string) { l.forget(uid) })
}

// each calls do for the links of this process that know those of others.
func (h *Hub) each(gone []homes.Links, do func(l *Link, uid string)) {
	for _, links := range gone {
		for namespace, uid := range links {
			if l := h.Link(namespace); l != nil {
				do(l, uid)
			}
		}
	}
}

// returned has the links tell of themselves as if they were new: others may have forgotten this process, or have come
// while it was away.
func (h *Hub) returned() {
	for _, l := range h.Links() {
		l.again.Store(true)
	}
}

// tell says that this process is there, to all that others which know of it.
func (h *Hub) tell() {
	for _, namespace := range h.homes.Cover() {
		if l := h.Link(namespace); l != nil && l.joined.Load() {
			l.post(&nodewire.Message{Type: nodewire.Heartbeat, Peal: true, Home: h.id})
		}
	}
}

// heardHome takes what a heartbeat says of the process that the sender is in.
func (l *Link) heardHome(m *nodewire.Message) {
	if m.Home == "" || m.Home == l.hub.id {
		return
	}
	now := time.Now()
	back := l.hub.homes.Hear(m.Home, l.namespace, m.UID, now)
	if back != nil {
		l.hub.each([]homes.Links{back}, func(l *Link, uid string) { l.members.resume(uid, now) })
	}
}

// forget forgets a node for good, behind what has come of it.
func (l *Link) forget(uid string) {
	l.members.lose(uid)
	l.put(Incoming{gone: uid})
}
