package socketio

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// Defaults of [Recovery].
const (
	DefaultMaxDisconnection = 2 * time.Minute
	DefaultMaxSessions      = 100_000
	DefaultMaxSessionBytes  = 64 << 20
)

// Recovery has clients that come back after a short absence go on where they were: the same id, rooms and values
// ([Socket.Set]), and each event they missed, in order and once. The official client needs no change; it tells by
// socket.recovered. What is missing follows its connect event.
//
// It works on the node the client left, and with a driver that has a common log ([adapter.Sequencer]) on every node, those
// of Node.js included, with what JSON can express of its values. There everything is sent by the log, to the clients of
// this node as well: sending waits for that, and fails, with nobody getting anything, while the cluster is away.
//
// If the driver can keep sessions while clients are there ([adapter.Holder]: Redis Streams), they also go on elsewhere when
// their node is killed. Right behind its connect event each client is then sent an event "peal:offset", which a
// program sees with onAny only; what it has done in the last 50 ms, or second, may not be known elsewhere.
//
// On a node that does not know it the client is a new one, as it
// is when it comes too late, when more is missing than engineio.Options.PollBuffer, on any transport, or when the program or the client itself
// disconnected the socket. There is never a part of what was missed.
//
// Events that want an acknowledgement and volatile ones are not kept. With recovery the events of a namespace have one
// order: they are delivered one after another.
type Recovery struct {
	// MaxDisconnection is how long a client may be away. 0 means 2 minutes.
	MaxDisconnection time.Duration
	// MaxMessages and MaxBytes bound what is kept in each namespace; when it is full, clients may be away for a shorter
	// time. MaxBytes counts memory, of which a message takes some 200 bytes beside its own. 0 means
	// eventlog.DefaultCount and eventlog.DefaultBytes.
	MaxMessages int
	MaxBytes    int
	// MaxSessions is how many clients of each namespace may be away; then the one goes that left first of the address that
	// has the most. 0 means 100000.
	MaxSessions int
	// MaxSessionBytes is how much memory their ids, rooms and keys of values may take; the values do not count. 0 means
	// 64 MiB.
	MaxSessionBytes int
	// SkipMiddlewares has the connection middlewares not asked about a client that is recovered.
	SkipMiddlewares bool
}

// recovery is that of a namespace.
type recovery struct {
	namespace *Namespace
	secret    []byte
	skip      bool
	away      time.Duration // how long a client may be away
	log       eventlog.Log
	sessions  *eventlog.Sessions[*absent]
	shared    *sharedSessions // with a common log; nil without

	mu sync.Mutex // held while a socket becomes a session, so that it is always one of them
}

// absent is what is kept of a socket.
type absent struct {
	*adapter.Absence
	record        // with a common log
	rooms  int    // how many bytes they take
	last   uint32 // the number of the last message to it; 0 for none
	data   []datum
	began  time.Time     // of its first connection
	gone   chan struct{} // closed when its handlers have been told; nil if no handler knew it
}

// size returns about how many bytes a takes in memory, but for the program's values.
func (a *absent) size() int {
	const session, value = 800, 32
	n := session + a.rooms
	for _, d := range a.data {
		n += value + len(d.key)
	}
	return n
}

func newRecovery(ns *Namespace, o *Recovery, heartbeat time.Duration) *recovery {
	away := o.MaxDisconnection
	if away <= 0 {
		away = DefaultMaxDisconnection
	}
	sessions := o.MaxSessions
	if sessions <= 0 {
		sessions = DefaultMaxSessions
	}
	r := &recovery{namespace: ns, secret: make([]byte, 32), skip: o.SkipMiddlewares, away: away}
	_, _ = rand.Read(r.secret) // never fails: it would end the program
	// What was sent before a connection was found to be dead is missing too.
	r.log = eventlog.NewMemory(&eventlog.Limits{Age: away + heartbeat, Count: o.MaxMessages, Bytes: o.MaxBytes})
	r.sessions = eventlog.NewSessions(eventlog.SessionLimits{Age: away, Count: sessions,
		Bytes: cmp.Or(o.MaxSessionBytes, DefaultMaxSessionBytes)}, r.forget)
	return r
}

// A pid is the secret by which a client asks for its session: the socket's id, and proof that this server gave it out. So
// a connected client costs no memory for it.
func (r *recovery) pid(id string) string {
	mac := hmac.New(sha256.New, r.secret)
	mac.Write([]byte(id))
	return id + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:15])
}

// idOf returns the id in a pid.
func (r *recovery) idOf(pid string) (id string, ok bool) {
	if id, ok = r.shared.foreign(pid); ok {
		return id, true
	}
	if len(pid) != 2*idLength {
		return "", false
	}
	id = pid[:idLength]
	return id, hmac.Equal([]byte(pid), []byte(r.pid(id)))
}

// idLength is the length of a socket's id.
const idLength = 20

// recoverable reports whether somebody who was disconnected for that reason may come back. When the node ends it is to
// another, if there is a common log.
func (r *recovery) recoverable(reason Reason) bool {
	if r == nil || r.shared == nil && r.namespace.server.draining.Load() {
		return false
	}
	switch reason {
	case ReasonServerShutdown:
		return r.shared != nil
	case ReasonTransportClose, ReasonTransportError, ReasonPingTimeout, ReasonForcedClose, ReasonMoved:
		return true
	}
	return false
}

// suspend removes the socket from the adapter and keeps its session. It returns the rooms it was in, and false if it was
// removed already.
func (r *recovery) suspend(s *Socket) (rooms []string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	x, rooms := r.namespace.adapter.Suspend((*member)(s))
	if x == nil {
		return nil, false
	}
	const room = 64
	a := &absent{Absence: x, last: s.last.Load(), began: s.Handshake().Time()}
	for _, name := range rooms {
		a.rooms += room + len(name)
	}
	s.mu.Lock()
	e := s.more()
	if e.recovered {
		a.began = e.began
	}
	if e.joined {
		a.gone = make(chan struct{})
	}
	a.data, e.gone = append(a.data, e.data...), a.gone
	a.pid = e.pid
	banned := e.banned
	s.mu.Unlock()
	if banned {
		r.shared.dismiss(s)
		r.forget(a)
		return rooms, true
	}
	if r.shared != nil {
		a.exposed, a.has = s.over(), r.shared.received()
	}
	if !r.sessions.Save(s.id, a, a.size(), s.Handshake().ClientAddr()) {
		r.namespace.server.counters.forgotten.Add(1)
	}
	r.shared.left(a)
	return rooms, true
}

// forget has the client that a stands for be a new one when it comes.
func (r *recovery) forget(a *absent) {
	r.namespace.adapter.Withdraw(a.Absence)
	r.shared.release(a.pid)
}

// drop is forget of one that is kept.
func (r *recovery) drop(a *absent) {
	r.sessions.Remove(a.ID(), a)
	r.forget(a)
}

// farewellPatience bounds how long a client that has come back waits for handlers to be told that it was away.
const farewellPatience = time.Second

// reclaim makes s go on as the socket that its client was before, if it says so and can prove it, and returns what is left
// of that. It must be called before anybody knows of s.
func (s *Socket) reclaim() *comeback {
	r := s.namespace.recovery
	x := s.extra.Load()
	if r == nil || x == nil {
		return nil
	}
	var auth struct {
		PID    string  `json:"pid"`
		Offset *string `json:"offset"`
	}
	if json.Unmarshal(x.auth, &auth) != nil || auth.PID == "" {
		return nil
	}
	back, lost := r.comeback(s, auth.PID, auth.Offset)
	if back == nil {
		s.namespace.server.counters.notRecovered.Add(lost)
		return nil
	}
	if back.gone == nil {
		return back
	}
	timer := time.NewTimer(farewellPatience)
	defer timer.Stop()
	select {
	case <-back.gone:
	case <-timer.C:
	}
	return back
}

// comeback is a session that somebody claims. It stays where it is until [Socket.resume] takes it.
type comeback struct {
	*absent
	after message.Offset
	was   string // the id of the socket before
}

// claim makes s the one who comes back to the session that pid stands for, in place of whoever did so before, if everything
// behind offset is there.
func (r *recovery) claim(s *Socket, pid string, offset *string) *comeback {
	id, ok := r.idOf(pid)
	if !ok {
		return nil
	}
	for {
		rival, back := r.look(s, id, offset)
		if rival == nil {
			return back
		}
		// The server has not found out yet that the connection is dead.
		alive := rival.shut(ReasonTransportClose) != stateClosed
		rival.depart() // if another has just shut it, or it was about to come back
		if alive {
			rival.session.CloseWith(engineio.TransportClose, errTakenOver)
		}
		if back != nil {
			return back
		}
	}
}

// look claims the session of that id for s if there is one. Else somebody may have the id, as a rival that is to be ended
// first.
func (r *recovery) look(s *Socket, id string, offset *string) (rival *Socket, back *comeback) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.namespace.adapter
	if rival = SocketOf(a.Member(id)); rival != nil {
		return rival, nil
	}
	kept, ok := r.sessions.Get(id)
	if !ok {
		return nil, nil
	}
	back = &comeback{absent: kept}
	if back.after, ok = r.after(kept, offset); !ok {
		r.drop(kept)
		return nil, nil
	}
	x := s.extra.Load()
	s.mu.Lock()
	was := s.id
	s.id, x.recovered, x.began = id, true, kept.began
	x.data, x.pid = append([]datum(nil), kept.data...), kept.pid
	s.mu.Unlock()
	back.was = was
	claimant, away := a.Claim(kept.Absence, (*member)(s))
	if away {
		return SocketOf(claimant), back
	}
	s.disown(back)
	r.sessions.Remove(id, kept)
	// Somebody has just come back as it, or it was forgotten.
	return SocketOf(a.Member(id)), nil
}

// disown has s be nobody but itself, as long as nobody knows of it.
func (s *Socket) disown(back *comeback) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.extra.Load()
	s.id, x.recovered, x.data, x.pid = back.was, false, nil, ""
}

// after returns from where on a client misses messages that says this offset. It reports false if some of them are not there
// any more.
func (r *recovery) after(a *absent, said *string) (after message.Offset, ok bool) {
	if r.shared != nil {
		return r.shared.after(a, said)
	}
	bounds := r.log.Bounds()
	if said != nil {
		after, ok = message.ParseOffset(*said)
	}
	began := a.Since
	if began.IsZero() { // before all that the log has
		if began = eventlog.At(bounds.Top, a.began); began.Compare(bounds.Floor) > 0 {
			began = bounds.Floor
		}
	}
	// Clients keep the offset of an earlier session, on whatever server: then they have received nothing.
	ok = ok && eventlog.SameLog(after, bounds.Top) && after.Compare(began) >= 0
	switch {
	case a.last == 0, ok && int32(eventlog.Number(after)-a.last) >= 0:
		after = a.At // it has had all that was for it until it left, however long that is ago
	case !ok:
		after = began
	}
	return after, a.Covered(context.Background(), after) == nil
}

var errTakenOver = errors.New("the client has come back on another connection")

// resume registers s, which goes on as the socket that left, with the adapter, and takes its session. It reports false if
// what is missing is not there any more or too much, or if another has come back meanwhile.
func (s *Socket) resume(back *comeback) bool {
	ns := s.namespace
	r := ns.recovery
	_, err := ns.adapter.Resume(context.Background(), (*member)(s), adapter.Resumption{
		Absence: back.Absence, After: back.after, MaxBytes: ns.server.replayLimit,
	})
	var old *eventlog.OffsetError
	var much *adapter.MissedError
	lost := errors.As(err, &old) || errors.As(err, &much)
	if lost || errors.Is(err, adapter.ErrNotAway) {
		why := lostTaken
		if lost {
			r.drop(back.absent)
			why = lostTrimmed
			if much != nil {
				why = lostTooMuch
			}
		}
		ns.server.counters.notRecovered.Add(why)
		// The program may know it by its old name already. It comes again as somebody new.
		s.session.CloseWith(engineio.TransportError, err)
		return false
	}
	r.sessions.Remove(s.id, back.absent)
	ns.server.counters.recovered.Add(1)
	return true
}

// Recovered reports whether the socket goes on where its client left: see [Recovery]. It then has the id, rooms and values
// of then, and OnConnect functions need not build them anew.
func (s *Socket) Recovered() bool {
	x := s.extra.Load()
	if x == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return x.recovered
}

// note notes that m was for s, whether or not it arrives.
func (s *Socket) note(m *message.Message) {
	if !m.Offset.IsZero() && !m.Volatile && s.namespace.recovery.shared == nil {
		s.last.Store(eventlog.Number(m.Offset))
	}
}
