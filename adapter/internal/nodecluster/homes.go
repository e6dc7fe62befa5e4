package nodecluster

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/nodewire"
)

const (
	// beating is how often a process says that it is there, and deadAfter after how much silence of it others know that it is
	// not: its links do not answer any more. Node.js nodes know nothing of that, and are known by HeartbeatTimeout.
	beating   = time.Second
	deadAfter = 3*time.Second - 2*judging
	// judging is how often that is looked at.
	judging = 100 * time.Millisecond
	// deafAfter is how much later than is usual a probe of this process may come back.
	deafAfter = 750 * time.Millisecond
	// keepDead is how long it is remembered which links a process had: it may have been cut off, or frozen.
	keepDead = time.Minute
	// maxHomes bounds what is remembered of others: whoever may publish could name any number.
	maxHomes = 4096
)

// homes are the other processes whose links have told of them. A beat of one stands for all its links, so that thousands of
// namespaces cost no more than one. The zero value has none.
type homes struct {
	mu   sync.Mutex
	byID map[string]*home
	told []string // namespaces in which this process has told of itself last
}

// home is a process.
type home struct {
	heard time.Time
	dead  bool
	links map[string]string // the link's name, by namespace
}

// hear notes that a process was heard by a link of its own. If it was thought dead, the links it has are returned.
func (hs *homes) hear(id, namespace, uid string, now time.Time) (back map[string]string) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h := hs.byID[id]
	if h == nil {
		if len(hs.byID) >= maxHomes {
			return nil
		}
		if hs.byID == nil {
			hs.byID = make(map[string]*home)
		}
		h = &home{links: make(map[string]string)}
		hs.byID[id] = h
	}
	h.heard, h.links[namespace] = now, uid
	if h.dead {
		h.dead = false
		return maps.Clone(h.links) // another link may hear of it meanwhile
	}
	return nil
}

// left forgets a link.
func (hs *homes) left(namespace, uid string) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	for id, h := range hs.byID {
		if h.links[namespace] == uid {
			delete(h.links, namespace)
			if len(h.links) == 0 {
				delete(hs.byID, id)
			}
			return
		}
	}
}

// closed forgets a namespace, of which nothing is heard any more.
func (hs *homes) closed(namespace string) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	for id, h := range hs.byID {
		if _, ok := h.links[namespace]; !ok {
			continue
		}
		delete(h.links, namespace)
		if len(h.links) == 0 {
			delete(hs.byID, id)
		}
	}
}

// judge returns the links of processes that are dead since a moment ago, and those of processes to be forgotten: they were
// not heard since then.
func (hs *homes) judge(dead, forgotten time.Time) (died, over []map[string]string) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	for id, h := range hs.byID {
		switch {
		case !h.dead && !h.heard.After(dead):
			h.dead = true
			died = append(died, maps.Clone(h.links))
		case h.dead && !h.heard.After(forgotten):
			delete(hs.byID, id)
			over = append(over, h.links)
		}
	}
	return died, over
}

// cover returns namespaces in which all processes hear this one: one, if they have one in common.
func (hs *homes) cover() []string {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	before := hs.told
	hs.told = nil
	for _, h := range hs.byID {
		has := func(namespace string) bool { return h.links[namespace] != "" }
		if slices.ContainsFunc(hs.told, has) {
			continue
		}
		if i := slices.IndexFunc(before, has); i >= 0 {
			hs.told = append(hs.told, before[i])
			continue
		}
		for namespace := range h.links {
			hs.told = append(hs.told, namespace)
			break
		}
	}
	return hs.told
}

// trust is what a hub knows of its own hearing. It belongs to the goroutine that beats.
type trust struct {
	deaf  time.Time // until when it was, as far as is known
	since time.Time // before which everything came, when it began to be deaf; zero while it is not
}

// judge finds processes that are dead. While this one does not hear itself it can tell nothing of others: they are given
// the whole time again when it does.
func (h *Hub) judge(now time.Time) {
	if interval := h.opts.ProbeInterval; interval > 0 {
		switch proven := h.Monitor.Proven(); {
		case now.Sub(proven) > interval+deafAfter:
			if h.trust.since.IsZero() {
				h.trust.since = proven
			}
			h.trust.deaf = now
		case !h.trust.since.IsZero():
			if now.Sub(h.trust.since) >= deadAfter {
				h.returned()
			}
			h.trust.since = time.Time{}
		}
	}
	if now.Sub(h.trust.deaf) < deadAfter {
		return
	}
	died, over := h.homes.judge(now.Add(-deadAfter), now.Add(-keepDead))
	h.each(died, func(l *Link, uid string) {
		l.members.suspend(uid)
		l.calls.Gone(adapter.NodeID(uid))
	})
	h.each(over, func(l *Link, uid string) { l.forget(uid) })
}

// each calls do for the links of this process that know those of others.
func (h *Hub) each(homes []map[string]string, do func(l *Link, uid string)) {
	for _, links := range homes {
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
	for _, namespace := range h.homes.cover() {
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
	back := l.hub.homes.hear(m.Home, l.namespace, m.UID, now)
	if back != nil {
		l.hub.each([]map[string]string{back}, func(l *Link, uid string) { l.members.resume(uid, now) })
	}
}

// forget forgets a node for good, behind what has come of it.
func (l *Link) forget(uid string) {
	l.members.lose(uid)
	l.put(Incoming{gone: uid})
}
