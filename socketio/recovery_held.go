package socketio

import (
	"context"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/internal/service"
	"github.com/peal-dev/peal/message"
	"github.com/peal-dev/peal/socketio/sioproto"
)

// How sessions are kept while their clients are there.
const (
	// heldDelay is how long a session waits for others that are written with it, and heldEvery how often that of one client
	// is at most, however often its rooms or values change.
	heldDelay = 50 * time.Millisecond
	heldEvery = time.Second
	// sampleEvery is how often it is noted up to where clients have been given everything. A node that has not for
	// sampleStale was not running.
	sampleEvery = 5 * time.Second
	sampleStale = 3 * sampleEvery
)

// heldState is what is kept elsewhere of a socket's session while the socket is there. Without a common log the field means
// something else; see [Socket].
type heldState = uint32

const (
	heldNot    heldState = iota // nothing: no other node can have it
	heldQueued                  // it waits to be kept
	heldGoing                   // it is about to be
	heldThere                   // it is
	heldDoubt                   // it is not, or not known to be, though it was to be
	heldOver                    // the socket has gone
)

// held are the sessions of clients that are there, kept for the case that this node is killed. Its fields belong to the
// lock of sharedSessions, but for samples, which only the keeping goroutine has.
type heldSessions struct {
	keeping  *service.Service
	sweeping *service.Service
	ended    bool
	wake     chan struct{}

	fresh   []*Socket           // to be kept for the first time
	changed map[string]struct{} // ids of those whose rooms or values have changed
	recent  map[string]struct{} // ids of those that were written because of that in this second
	dropped []*adapter.Session  // of clients that have gone for good
	doubts  map[string]time.Time
	going   int // how many are being written because they wait here

	samples []sample // oldest first
	has     message.Offset
}

// sample says that at that time clients had been given everything up to at.
type sample struct {
	when time.Time
	at   message.Offset
}

// arrived has the session of s be kept from now on. Its client has just been told an offset: a Node.js node that has only
// the record would give it what came before.
func (h *sharedSessions) arrived(s *Socket) {
	if !s.last.CompareAndSwap(heldNot, heldQueued) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held.ended || len(h.held.fresh) >= maxUnsettled {
		s.last.CompareAndSwap(heldQueued, heldNot)
		h.r.namespace.server.counters.unsaved.Add(1)
		return
	}
	if h.held.keeping == nil {
		h.held.wake = make(chan struct{}, 1)
		h.held.keeping, h.held.sweeping = service.Start(h.keep), service.Start(h.sweep)
	}
	h.held.fresh = append(h.held.fresh, s)
	h.rouse()
}

// rouse has what waits be written soon. h.mu is held.
func (h *sharedSessions) rouse() {
	select {
	case h.held.wake <- struct{}{}:
	default:
	}
}

// touched has the session of a client be written anew, whose rooms or values have changed.
func (h *sharedSessions) touched(id string) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.held.keeping == nil:
		return
	case len(h.held.changed) >= maxUnsettled:
		return // it is written with all others
	case h.held.changed == nil:
		h.held.changed = make(map[string]struct{})
	}
	h.held.changed[id] = struct{}{}
	h.rouse()
}

// Joined implements [adapter.Observer].
func (h *sharedSessions) Joined(id, room string) { h.moved(id, room) }

// Left implements [adapter.Observer].
func (h *sharedSessions) Left(id, room string) { h.moved(id, room) }

func (h *sharedSessions) moved(id, room string) {
	if id != room { // else it has come or gone
		h.touched(id)
	}
}

// over is told that s goes. It reports whether others may have its session.
func (s *Socket) over() (held bool) {
	switch s.last.Swap(heldOver) {
	case heldGoing, heldThere, heldDoubt:
		return true
	}
	return false
}

// dismiss has nobody find the session of s, which has gone for good.
func (h *sharedSessions) dismiss(s *Socket) {
	if h == nil || !s.over() {
		return
	}
	gone := &adapter.Session{ID: s.id, PID: h.pidOf(s), Mark: h.mark}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.held.dropped) >= maxUnsettled {
		h.r.namespace.server.counters.unsaved.Add(1) // it ends by itself
		return
	}
	h.held.dropped = append(h.held.dropped, gone)
	h.rouse()
}

// pidOf returns that by which the client of s asks for its session.
func (h *sharedSessions) pidOf(s *Socket) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.extra.Load(); x != nil && x.pid != "" {
		return x.pid
	}
	return h.r.pid(s.id)
}

// keep writes sessions of clients that are there until ctx ends, and then what is left.
func (h *sharedSessions) keep(ctx context.Context) {
	sampling := time.NewTicker(sampleEvery)
	defer sampling.Stop()
	second := time.NewTimer(heldEvery)
	second.Stop()
	defer second.Stop()
	h.sample()
	for {
		select {
		case <-ctx.Done():
			h.write()
			return
		case <-sampling.C:
			h.sample()
			continue
		case <-second.C:
			h.mu.Lock()
			h.held.recent = nil
			h.mu.Unlock()
		case <-h.held.wake:
			if !service.Pause(ctx, heldDelay) {
				continue
			}
		}
		if h.write() {
			second.Reset(heldEvery)
		}
	}
}

// write writes what waits, and reports whether something is left for the next second.
func (h *sharedSessions) write() (later bool) {
	for {
		h.mu.Lock()
		w := &h.held
		fresh := take(&w.fresh)
		dropped := take(&w.dropped)
		for _, s := range fresh {
			delete(w.changed, s.id)
		}
		var changed []string
		for id := range w.changed {
			if _, twice := w.recent[id]; twice {
				continue
			}
			if len(changed) == maxSaved {
				break
			}
			if w.recent == nil {
				w.recent = make(map[string]struct{})
			}
			changed = append(changed, id)
			w.recent[id] = struct{}{}
			delete(w.changed, id)
		}
		later = len(w.recent) > 0
		if len(w.changed) == 0 {
			w.changed = nil
		}
		w.going = len(fresh) + len(dropped) + len(changed)
		h.mu.Unlock()
		if len(fresh)+len(dropped)+len(changed) == 0 {
			return later
		}
		h.first(fresh)
		h.again(h.present(changed))
		h.drop(dropped)
	}
}

// take takes up to maxSaved from the front of a list.
func take[T any](list *[]T) []T {
	n := min(len(*list), maxSaved)
	batch := append([]T(nil), (*list)[:n]...)
	clear((*list)[:n])
	if *list = (*list)[n:]; len(*list) == 0 {
		*list = nil
	}
	return batch
}

// present returns the sockets with these ids whose sessions are kept.
func (h *sharedSessions) present(ids []string) (sockets []*Socket) {
	for _, id := range ids {
		if s := SocketOf(h.r.namespace.adapter.Member(id)); s != nil && s.last.Load() == heldThere {
			sockets = append(sockets, s)
		}
	}
	return sockets
}

// snapshot returns what others have to know of s; nil if it has gone.
func (h *sharedSessions) snapshot(s *Socket) *adapter.Session {
	session := h.r.namespace.adapter.SessionOf((*member)(s))
	if session == nil {
		return nil
	}
	session.PID, session.Mark, session.Data = h.pidOf(s), h.mark, dataOf(s.kept())
	session.Has = h.received()
	return session
}

// heldFor is how long the session of a client that is there is kept when it was written: its node may be killed right before it
// writes it again.
func (h *sharedSessions) heldFor() time.Duration { return h.r.away + h.r.away/2 }

// roundTrip returns a context for a round trip to the store, which serves clients that may have gone and hangs on nobody's.
func roundTrip() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), saveTimeout)
}

// first keeps sessions for the first time.
func (h *sharedSessions) first(sockets []*Socket) {
	h.writing.Lock()
	defer h.writing.Unlock()
	var sessions []*adapter.Session
	var going []*Socket
	for _, s := range sockets {
		if !s.last.CompareAndSwap(heldQueued, heldGoing) {
			continue
		}
		if session := h.snapshot(s); session != nil {
			sessions, going = append(sessions, session), append(going, s)
		} else {
			s.last.CompareAndSwap(heldGoing, heldNot)
		}
	}
	if len(sessions) == 0 {
		return
	}
	ctx, cancel := roundTrip()
	defer cancel()
	err := h.r.namespace.adapter.SaveSessions(ctx, sessions, h.heldFor())
	for _, s := range going {
		if err == nil {
			s.last.CompareAndSwap(heldGoing, heldThere)
		} else {
			h.doubt(s, heldGoing)
		}
	}
	h.complain(err, len(sessions))
}

// again keeps sessions anew that are kept already, and drops sockets whose clients are at another node.
func (h *sharedSessions) again(sockets []*Socket) {
	var there []*Socket
	var kept []adapter.Kept
	var sessions []*adapter.Session
	h.writing.Lock()
	for _, s := range sockets {
		if session := h.snapshot(s); session != nil {
			sessions, there = append(sessions, session), append(there, s)
		}
	}
	var err error
	if len(sessions) > 0 {
		ctx, cancel := roundTrip()
		kept, err = h.r.namespace.adapter.RenewSessions(ctx, sessions, h.heldFor())
		cancel()
	}
	h.writing.Unlock()
	if err != nil {
		h.complain(err, len(sessions))
		return
	}
	for i, s := range there {
		switch kept[i] {
		case adapter.KeptNone:
			h.doubt(s, heldThere)
		case adapter.KeptOther:
			s.supplanted()
		}
	}
}

// drop has nobody find sessions.
func (h *sharedSessions) drop(sessions []*adapter.Session) {
	if len(sessions) == 0 {
		return
	}
	h.writing.Lock()
	defer h.writing.Unlock()
	ctx, cancel := roundTrip()
	defer cancel()
	h.complain(h.r.namespace.adapter.DropSessions(ctx, sessions), len(sessions))
}

func (h *sharedSessions) complain(err error, sessions int) {
	if err != nil {
		h.r.namespace.server.counters.unsaved.Add(uint64(sessions))
		h.r.namespace.server.complain("keeping the sessions of clients that are there", h.r.namespace.name, err)
	}
}

// doubt notes that the session of s is not where it was kept. Either a Node.js node has it, and the connection here is dead,
// or it was lost, which is to be assumed once the client has been heard.
func (h *sharedSessions) doubt(s *Socket, was heldState) {
	if !s.last.CompareAndSwap(was, heldDoubt) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held.doubts == nil {
		h.held.doubts = make(map[string]time.Time)
	}
	h.held.doubts[s.id] = time.Now()
}

// supplanted drops a socket whose client is at another node: its connection is dead, and it is not coming back to this.
func (s *Socket) supplanted() {
	s.mu.Lock()
	s.more().banned = true
	s.mu.Unlock()
	alive := s.shut(ReasonTransportClose) != stateClosed
	s.depart() // if another has just shut it
	if alive {
		s.session.CloseWith(engineio.TransportClose, errTakenOver)
	}
}

// tellOffset returns the event that gives a client its first offset.
func (ns *Namespace) tellOffset(at message.Offset) *engineio.Prepared {
	return prepare(&sioproto.Packet{Type: sioproto.Event, Namespace: ns.name, Data: withOffset(&message.Message{Data: []byte(`["peal:offset"]`), Offset: at})})
}
