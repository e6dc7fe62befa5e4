package socketio

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/internal/service"
	"github.com/peal-dev/peal/message"
)

// Bounds of the sessions that are kept for other nodes.
const (
	// sessionPatience is how long a client that comes back waits for its session to be found.
	sessionPatience = 3 * time.Second
	// maxUnsettled is how many sessions may wait to be kept, and maxSaved how many are at once. saveTimeout bounds that.
	maxUnsettled = 1 << 16
	maxSaved     = 256
	saveTimeout  = 5 * time.Second
)

// What a pid is at most: those of both kinds of nodes are 20 or 40 characters long.
const (
	maxPID     = 128
	pidLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
)

// record is what is known of a session that other nodes may take.
type record struct {
	pid  string // by which its client asks for it, if another node has made that
	mark string // tells it from what others keep of the client
	kept keptState
	// exposed says that others can take it, or may have, whatever kept says: it was kept while the client was there. Like kept
	// it belongs to the lock of sharedSessions.
	exposed bool
	has     message.Offset // up to here the client has received what was for it
}

// keptState is whether others can take a session. It belongs to the lock of sharedSessions.
type keptState uint8

const (
	keptHere    keptState = iota // only this node has it
	keptWaiting                  // it waits to be kept
	keptGoing                    // it is about to be
	keptThere                    // it is
)

// comeback has s come back to the session that pid stands for, wherever it is, or says why not.
func (r *recovery) comeback(s *Socket, pid string, offset *string) (*comeback, lostReason) {
	if r.shared == nil {
		return r.claim(s, pid, offset), lostUnknown
	}
	ctx, cancel := context.WithTimeout(s.Context(), sessionPatience)
	defer cancel()
	if lost := r.shared.bring(ctx, s, pid); lost != "" {
		return nil, lost
	}
	back := r.claim(s, pid, offset)
	if back == nil {
		return nil, lostUnknown
	}
	if r.shared.mayBeTaken(back.absent) {
		// Its connection was there until this moment: the session has just been made.
		lost := r.shared.bring(ctx, s, pid)
		if still, ok := r.sessions.Get(back.ID()); lost != "" || !ok || still != back.absent {
			s.disown(back)
			return nil, lostTaken
		}
	}
	if back.Covered(ctx, back.after) != nil {
		s.disown(back)
		r.drop(back.absent)
		return nil, lostTrimmed
	}
	return back, ""
}

// sharedSessions are the sessions of a namespace that any node of a common log may take. Whoever takes one is who has it: what
// this node knows of a client is of no use if it is not there any more. Its methods may be called on nil, without a common
// log. It is safe for concurrent use.
type sharedSessions struct {
	r    *recovery
	work service.Gate
	mark string // of what this node keeps

	writing sync.Mutex // held while sessions are written, so that older ones do not overtake newer ones
	held    heldSessions

	mu       sync.Mutex // protects the following
	queue    []*absent
	running  bool
	settled  chan struct{}            // closed when what was about to be kept is, or could not be
	strange  map[string]string        // ids by the pids of other nodes
	bringing map[string]chan struct{} // by pid: closed when it was looked for
}

func newSharedSessions(r *recovery) *sharedSessions {
	return &sharedSessions{r: r, mark: rand.Text(), strange: make(map[string]string), bringing: make(map[string]chan struct{})}
}

// foreign returns the id of the client that asks with a pid of another node, if it is here.
func (h *sharedSessions) foreign(pid string) (id string, ok bool) {
	if h == nil {
		return "", false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	id, ok = h.strange[pid]
	return id, ok
}

// release forgets a pid of another node.
func (h *sharedSessions) release(pid string) {
	if h == nil || pid == "" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.strange, pid)
}

// leave is told that s has gone for good.
func (r *recovery) leave(s *Socket) {
	if r == nil || r.shared == nil {
		return
	}
	r.shared.dismiss(s)
	s.mu.Lock()
	pid := s.more().pid
	s.mu.Unlock()
	r.shared.release(pid)
}

// left is told that somebody has left who may come back, here or elsewhere.
func (h *sharedSessions) left(a *absent) {
	if h == nil {
		return
	}
	a.Settle(a.began)
	a.mark = h.mark
	h.offer(a)
}

// giveBack has a session that was brought here, and whose client is not in, be there for all nodes again.
func (r *recovery) giveBack(back *comeback) {
	if r == nil || r.shared == nil || back == nil {
		return
	}
	if still, ok := r.sessions.Get(back.ID()); ok && still == back.absent {
		r.shared.offer(back.absent)
	}
}

// offer has a session be kept for others, soon.
func (h *sharedSessions) offer(a *absent) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if a.kept != keptHere {
		return
	}
	if len(h.queue) >= maxUnsettled {
		h.r.namespace.server.counters.unsaved.Add(1)
		return
	}
	a.kept = keptWaiting
	h.queue = append(h.queue, a)
	if !h.running {
		h.running = h.work.Go(h.save)
	}
	if !h.running { // the server has ended
		a.kept, h.queue = keptHere, nil
		h.r.namespace.server.counters.unsaved.Add(1)
	}
}

// save keeps what waits until there is nothing more.
func (h *sharedSessions) save() {
	for {
		h.mu.Lock()
		batch := slices.Clone(h.queue[:min(len(h.queue), maxSaved)])
		if h.queue = slices.Delete(h.queue, 0, len(batch)); len(h.queue) == 0 {
			h.queue = nil
		}
		if len(batch) == 0 {
			h.running = false
			h.mu.Unlock()
			return
		}
		for _, a := range batch {
			a.kept = keptGoing
		}
		settled := make(chan struct{})
		h.settled = settled
		h.mu.Unlock()

		gone, err := h.settle(batch)
		h.mu.Lock()
		for _, a := range batch {
			a.kept = keptThere // after an error some may be
		}
		if err != nil {
			h.r.namespace.server.counters.unsaved.Add(uint64(len(batch)))
			for _, a := range batch {
				a.kept = keptHere
			}
		}
		close(settled)
		h.mu.Unlock()
		for _, a := range gone {
			h.r.drop(a)
		}
		if err != nil {
			h.r.namespace.server.complain("keeping the sessions of clients that have left", h.r.namespace.name, err)
		}
	}
}

// settle keeps sessions of clients that have gone, and returns those that others have.
func (h *sharedSessions) settle(batch []*absent) (gone []*absent, err error) {
	h.writing.Lock()
	defer h.writing.Unlock()
	var first, again []*adapter.Session
	var held []*absent
	for _, a := range batch {
		if a.exposed {
			again, held = append(again, h.session(a)), append(held, a)
		} else {
			first = append(first, h.session(a))
		}
	}
	ctx, cancel := roundTrip()
	defer cancel()
	if len(first) > 0 {
		err = h.r.namespace.adapter.SaveSessions(ctx, first, h.r.away)
	}
	if len(again) == 0 {
		return nil, err
	}
	kept, failed := h.r.namespace.adapter.RenewSessions(ctx, again, h.r.away)
	if failed != nil {
		return nil, errors.Join(err, failed)
	}
	for i, a := range held {
		if kept[i] != adapter.KeptSame {
			gone = append(gone, a)
		}
	}
	return gone, err
}

// session returns what others have to know.
func (h *sharedSessions) session(a *absent) *adapter.Session {
	s := a.Session()
	s.PID, s.Mark, s.Has = a.pid, a.mark, a.has
	if s.PID == "" {
		s.PID = h.r.pid(s.ID)
	}
	s.Data = dataOf(a.data)
	return s
}

// waiting returns how many sessions are not kept yet.
func (h *sharedSessions) waiting() int {
	if h == nil {
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.queue) + len(h.held.fresh) + len(h.held.changed) + len(h.held.dropped) + h.held.going
}

// close returns when all that waits is kept, or ctx ends. Nothing is afterwards.
func (h *sharedSessions) close(ctx context.Context) {
	if h == nil {
		return
	}
	_ = h.work.Close(ctx) // what was not kept is counted
	h.mu.Lock()
	h.held.ended = true
	keeping, sweeping := h.held.keeping, h.held.sweeping
	h.mu.Unlock()
	if keeping != nil {
		_ = service.Within(ctx, func() { sweeping.Stop(); keeping.Stop() })
	}
}

// given reports whether others can take a, or may have taken it. If it was only about to be kept, it is not any more.
func (h *sharedSessions) given(ctx context.Context, a *absent) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for a.kept == keptGoing {
		settled := h.settled
		h.mu.Unlock()
		select {
		case <-settled:
			h.mu.Lock()
		case <-ctx.Done():
			h.mu.Lock()
			return true
		}
	}
	if a.kept == keptWaiting {
		h.queue = slices.DeleteFunc(h.queue, func(q *absent) bool { return q == a })
		a.kept = keptHere
	}
	return a.kept == keptThere || a.exposed
}

// mayBeTaken reports whether others can take a, or can soon.
func (h *sharedSessions) mayBeTaken(a *absent) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return a.kept != keptHere || a.exposed
}

func (h *sharedSessions) putDown(a *absent, kept keptState) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a.kept, a.exposed = kept, false
}

// after returns from where on a client misses messages that says this offset. It reports false if that is not known.
func (h *sharedSessions) after(a *absent, said *string) (after message.Offset, ok bool) {
	if said != nil {
		after, ok = message.ParseOffset(*said)
	}
	if !ok || after.Compare(a.Since) < 0 {
		// It has received nothing in this session: clients keep the offset of an earlier one.
		after, ok = a.Since, !a.Since.IsZero()
	}
	if a.has.Compare(after) > 0 {
		return a.has, true
	}
	return after, ok
}
