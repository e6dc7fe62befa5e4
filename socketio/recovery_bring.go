package socketio

import (
	"context"
	"strings"
	"time"

	"github.com/peal-dev/peal/adapter"
)

// bring makes the session that pid stands for one of this node, if it is anywhere, and says else why not.
func (h *sharedSessions) bring(ctx context.Context, s *Socket, pid string) lostReason {
	if len(pid) > maxPID || strings.Trim(pid, pidLetters) != "" {
		return lostUnknown
	}
	release, ok := h.alone(ctx, pid)
	if !ok {
		return lostUnavailable
	}
	defer release()
	r := h.r
	var local *absent
	if id, known := r.idOf(pid); known {
		if rival := SocketOf(r.namespace.adapter.Member(id)); rival != nil {
			return h.contest(ctx, s, rival, pid) // the server has not found out yet that it has left
		}
		local, _ = r.sessions.Get(id)
	}
	if local != nil && !h.given(ctx, local) {
		return "" // nobody else could have taken it
	}
	session, err := r.namespace.adapter.TakeSession(ctx, pid)
	switch {
	case err != nil:
		s.namespace.server.complain("looking for the session of a client that has come back", r.namespace.name, err)
		if local == nil {
			return lostUnavailable
		}
		return "" // rather here than nowhere
	case session != nil && local != nil && session.Mark == local.mark && local.mark == h.mark:
		h.putDown(local, keptHere)
		return ""
	case local != nil: // it was somewhere else meanwhile
		r.drop(local)
	}
	if session == nil {
		return lostUnknown
	}
	return h.adopt(s, session)
}

// contest is bring for a client of which this node has a socket. Nobody else has its session if that is where the node has
// kept it, or was not kept yet.
func (h *sharedSessions) contest(ctx context.Context, s, rival *Socket, pid string) lostReason {
	switch rival.last.Load() {
	case heldNot, heldQueued, heldOver: // of one that has just gone, there is an absence soon
		return ""
	case heldGoing:
		h.awaitWriting()
	}
	session, err := h.r.namespace.adapter.TakeSession(ctx, pid)
	switch {
	case err != nil:
		h.r.namespace.server.complain("looking for the session of a client that has come back", h.r.namespace.name, err)
		return "" // rather here than nowhere
	case session != nil && session.Mark == h.mark:
		for _, was := range [...]heldState{heldGoing, heldThere, heldDoubt} {
			rival.last.CompareAndSwap(was, heldNot)
		}
		return ""
	}
	rival.supplanted()
	if session == nil {
		return lostUnknown
	}
	return h.adopt(s, session)
}

// awaitWriting returns when what is being written is.
func (h *sharedSessions) awaitWriting() {
	h.writing.Lock()
	defer h.writing.Unlock()
}

// alone has one look for a pid at a time.
func (h *sharedSessions) alone(ctx context.Context, pid string) (release func(), ok bool) {
	for {
		h.mu.Lock()
		other := h.bringing[pid]
		if other == nil {
			done := make(chan struct{})
			h.bringing[pid] = done
			h.mu.Unlock()
			return func() {
				h.mu.Lock()
				defer h.mu.Unlock()
				delete(h.bringing, pid)
				close(done)
			}, true
		}
		h.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, false
		}
	}
}

// adopt makes a session of another node one of this.
func (h *sharedSessions) adopt(s *Socket, session *adapter.Session) lostReason {
	r := h.r
	x := r.namespace.adapter.Adopt(session)
	if x == nil {
		return lostTaken
	}
	const room = 64
	a := &absent{Absence: x, began: time.Now(), data: valuesOf(session.Data), record: record{mark: session.Mark, pid: session.PID, has: session.Has}}
	for _, m := range session.Rooms {
		a.rooms += room + len(m.Room)
	}
	if _, own := r.idOf(session.PID); own {
		a.pid = ""
	} else {
		h.mu.Lock()
		h.strange[session.PID] = session.ID
		h.mu.Unlock()
	}
	if !r.sessions.Save(session.ID, a, a.size(), s.Handshake().ClientAddr()) {
		r.namespace.server.counters.forgotten.Add(1)
	}
	return ""
}
