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
// It works on the node the client left. On another, which did not keep what was sent here, the client is a new one, as it
// is when it comes too late, when more is missing than the send buffer holds, or when the program or the client itself
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
	// MaxSessions is how many clients of each namespace may be away; the one that left first goes first. 0 means 100000.
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
	log       eventlog.Log
	sessions  *eventlog.Sessions[*absent]

	mu sync.Mutex // held while a socket becomes a session, so that it is always one of them
}

// absent is what is kept of a socket.
type absent struct {
	was   adapter.Suspended
	last  uint32 // the number of the last message to it; 0 for none
	data  []datum
	began time.Time     // of its first connection
	gone  chan struct{} // closed when its handlers have been told
}

// size returns about how many bytes a takes in memory, but for the program's values.
func (a *absent) size() int {
	const session, room, value = 400, 40, 32
	n := session
	for _, in := range a.was.Rooms {
		n += room + len(in.Room)
	}
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
	r := &recovery{namespace: ns, secret: make([]byte, 32), skip: o.SkipMiddlewares}
	_, _ = rand.Read(r.secret) // never fails: it would end the program
	// What was sent before a connection was found to be dead is missing too.
	r.log = eventlog.NewMemory(&eventlog.Limits{Age: away + heartbeat, Count: o.MaxMessages, Bytes: o.MaxBytes})
	r.sessions = eventlog.NewSessions[*absent](away, sessions, cmp.Or(o.MaxSessionBytes, DefaultMaxSessionBytes))
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
	if len(pid) != 2*idLength {
		return "", false
	}
	id = pid[:idLength]
	return id, hmac.Equal([]byte(pid), []byte(r.pid(id)))
}

// idLength is the length of a socket's id.
const idLength = 20

// recoverable reports whether somebody who was disconnected for that reason may come back.
func recoverable(reason Reason) bool {
	switch reason {
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
	was, ok := r.namespace.adapter.Suspend((*member)(s))
	if !ok {
		return nil, false
	}
	for _, in := range was.Rooms {
		rooms = append(rooms, in.Room)
	}
	a := &absent{was: was, last: s.last.Load(), began: s.Handshake().Time(), gone: make(chan struct{})}
	s.mu.Lock()
	x := s.more()
	if x.recovered {
		a.began = x.began
	}
	a.data, x.gone = append(a.data, x.data...), a.gone
	s.mu.Unlock()
	if !r.sessions.Save(s.id, a, a.size()) {
		r.namespace.server.counters.forgotten.Add(1)
	}
	return rooms, true
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
	back := r.take(auth.PID, auth.Offset)
	if back == nil {
		s.namespace.server.counters.notRecovered.Add(1)
		return nil
	}
	s.mu.Lock()
	s.id, x.data, x.recovered, x.began = back.id, back.data, true, back.began
	s.mu.Unlock()
	timer := time.NewTimer(farewellPatience)
	defer timer.Stop()
	select {
	case <-back.gone:
	case <-timer.C:
	}
	return back
}

// comeback is a session that was taken.
type comeback struct {
	*absent
	id    string
	after message.Offset
}

// take takes the session that pid stands for, if everything behind offset is there.
func (r *recovery) take(pid string, offset *string) *comeback {
	id, ok := r.idOf(pid)
	if !ok {
		return nil
	}
	back := &comeback{id: id}
	if old := SocketOf(r.namespace.adapter.Member(id)); old != nil {
		// The server has not found out yet that the connection is dead.
		old.shut(ReasonTransportClose)
		old.depart() // if another has just shut it
		old.session.CloseWith(engineio.TransportClose, errTakenOver)
	}
	r.mu.Lock()
	back.absent, ok = r.sessions.Take(id)
	r.mu.Unlock()
	if !ok {
		return nil
	}
	if back.after, ok = r.after(back.absent, offset); !ok {
		return nil
	}
	return back
}

// after returns from where on a client misses messages that says this offset. It reports false if some of them may not be
// there any more.
func (r *recovery) after(a *absent, said *string) (after message.Offset, ok bool) {
	bounds := r.log.Bounds()
	if said != nil {
		after, ok = message.ParseOffset(*said)
	}
	ok = ok && eventlog.SameLog(after, bounds.Top) && after.Compare(a.was.Since) >= 0
	switch {
	case a.last == 0, ok && int32(eventlog.Number(after)-a.last) >= 0:
		// It has had all that was for it until it left, however long that is ago.
		after = a.was.At
	case ok:
	case !a.was.Since.IsZero():
		after = a.was.Since // it has received nothing: clients keep the offset of an earlier session, on whatever server
	case eventlog.Number(bounds.Floor) == 0, int64(bounds.Floor.Ms) < a.began.UnixMilli():
		after = bounds.Floor // nothing and all of it is there
	default:
		return after, false
	}
	return after, bounds.Cover(after) == nil
}

var errTakenOver = errors.New("the client has come back on another connection")

// resume registers s, which goes on as the socket that left, with the adapter. It reports false if what is missing is not
// there any more or too much.
func (s *Socket) resume(back *comeback) bool {
	ns := s.namespace
	_, err := ns.adapter.Resume(context.Background(), (*member)(s), adapter.Resumption{
		Rooms: back.was.Rooms, Since: back.was.Since, After: back.after, MaxBytes: ns.server.holdLimit / 4 * 3,
	})
	var old *eventlog.OffsetError
	var much *adapter.MissedError
	if errors.As(err, &old) || errors.As(err, &much) {
		ns.server.counters.notRecovered.Add(1)
		// The program may know it by its old name already. It comes again as somebody new.
		s.session.CloseWith(engineio.TransportError, err)
		return false
	}
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
	if !m.Offset.IsZero() && !m.Volatile {
		s.last.Store(eventlog.Number(m.Offset))
	}
}
