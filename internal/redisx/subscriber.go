package redisx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/redis/rueidis"

	"github.com/peal-dev/peal/internal/service"
)

// Subscriber keeps one connection on which it receives what its listeners subscribed to. It is told what is wanted and
// brings Redis there: what is asked for while a command is under way leaves together in the next one, and a new
// connection gets everything. Channels are subscribed to in the order in which they were added, on every connection. A name that Redis refuses (a rule of its ACL forbids it) holds up no other; it is asked for
// again from time to time. A Subscriber is safe for concurrent use.
type Subscriber struct {
	client  *Client
	hooks   Hooks
	service *service.Service
	wake    chan struct{} // full: something has changed
	nudge   chan struct{} // full: Redis has just answered somebody else
	heard   atomic.Uint64 // messages so far

	mu      sync.Mutex // protects the following and is held for moments only
	names   map[Name]subscription
	added   uint64           // names so far
	refused map[Name]refusal // those with that status
	live    bool             // a connection has taken all names over; without one there is nothing to keep up with
	changed []Name           // what happened to names since; they may repeat
	round   *round           // of these; nil if nobody asked for it
	cause   error            // why there is no connection; nil while there is one
	since   time.Time
	closed  bool

	// The following belong to the goroutine.
	waiting []*round  // under way
	roused  time.Time // when a nudge was last followed
}

// Hooks are told what becomes of a subscriber. Each may be nil. They are called one at a time and must not block.
type Hooks struct {
	// State is called when the connection was made and everything is subscribed to (true), and when it was lost or could
	// not be made (false, with the cause).
	State func(up bool, err error)
	// Refused is called when Redis does not let this user subscribe to a name.
	Refused func(n Name, err error)
	// Accepted is called when it lets him after all, with the time of the refusal.
	Accepted func(n Name, since time.Time)
	// moved is called when the server has ended the subscription to a shard channel by itself, because another server has
	// it now.
	moved func(n Name)
}

// subscription is what is known of one name.
type subscription struct {
	owners []*Listener // never changed in place: single owners share one slice
	order  uint64      // grows from one name that is added to the next
	status status
}

func (s subscription) with(to status) subscription { return subscription{s.owners, s.order, to} }

type status uint8

const (
	wanted  status = iota // Redis has not been asked for it
	asked                 // it has
	dropped               // it has, and the name is not wanted any more
	barred                // it has, and said no
)

// round is what all that ask for something at the same time wait for.
type round struct {
	done chan struct{}
	err  error // set before done is closed
}

// How long to wait between attempts to connect, and between attempts to subscribe to what was refused: Redis' rules change
// seldom.
const (
	minBackoff = 50 * time.Millisecond
	maxBackoff = time.Second
	minRetry   = time.Second
	maxRetry   = 30 * time.Second
)

// lookInterval is how often a subscriber looks whether Sentinel has made another server the primary, and whether anything came
// since the last time: if not, it asks for an answer, with every second look at most. That is sooner than the library's probe, which may come
// after twice keepAlive.
const lookInterval = keepAlive / 2

// Subscribe returns a subscriber with a connection of its own, which it makes at once and keeps until it is closed.
func (c *Client) Subscribe(hooks Hooks) *Subscriber {
	if hooks.State == nil {
		hooks.State = func(bool, error) {}
	}
	if hooks.Refused == nil {
		hooks.Refused = func(Name, error) {}
	}
	if hooks.Accepted == nil {
		hooks.Accepted = func(Name, time.Time) {}
	}
	s := &Subscriber{client: c, hooks: hooks, wake: make(chan struct{}, 1),
		nudge: make(chan struct{}, 1), names: make(map[Name]subscription), refused: make(map[Name]refusal),
		cause: errors.New("redis: not connected yet"), since: time.Now()}
	s.service = service.Start(s.run)
	return s
}

// Away returns since when there is no connection, and why; the zero time while there is one.
func (s *Subscriber) Away() (since time.Time, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.since, s.cause
}

// Refused returns how many names are wanted and refused by Redis now.
func (s *Subscriber) Refused() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.refused)
}

// Close closes the connection. When it has returned, the listeners are not called any more.
func (s *Subscriber) Close() { s.service.Stop() }

// run makes one connection after another until ctx ends.
func (s *Subscriber) run(ctx context.Context) {
	defer s.end()
	backoff := service.Backoff{Min: minBackoff, Max: maxBackoff}
	for {
		began := time.Now()
		up, err := s.session(ctx)
		if ctx.Err() != nil {
			return
		}
		s.lost(err)
		s.hooks.State(false, err)
		if up {
			backoff.Reset()
			select {
			case <-s.nudge: // of before
			default:
			}
			if time.Since(began) > maxBackoff {
				continue // what ends one connection in a while is over by now, more often than not
			}
		}
		if !s.pause(ctx, backoff.Next()) {
			return
		}
	}
}

// pause waits until the next attempt to connect is due. It is due at once when Redis has answered a publish: what is
// published from then on would be missed. But if that does not help, not again before maxBackoff is over. It reports false
// when ctx is over.
func (s *Subscriber) pause(ctx context.Context, d time.Duration) bool {
	nudge := s.nudge
	if time.Since(s.roused) < maxBackoff {
		nudge = nil
	}
	s.client.watch(s)
	defer s.client.unwatch(s)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-nudge:
		s.roused = time.Now()
	case <-timer.C:
	}
	return true
}

// session makes a connection, subscribes to all that is wanted and keeps up with what changes until the connection is
// lost, of which it returns the cause. It reports whether the connection was ever up.
func (s *Subscriber) session(ctx context.Context) (up bool, err error) {
	client, err := s.client.connected()
	if err != nil {
		return false, err
	}
	home := s.client.primary(client)
	dedicated, release := client.Dedicate()
	defer release()
	defer dedicated.Close()
	lost := dedicated.SetPubSubHooks(rueidis.PubSubHooks{OnMessage: s.message, OnSubscription: s.subscription})
	conn := &connection{dedicated, s.client}

	all := s.takeAll()
	if len(all) == 0 {
		// Still make sure that somebody answers.
		if err := conn.ping(ctx); err != nil {
			return false, err
		}
	}
	if err := s.add(ctx, conn, all); err != nil {
		return false, err
	}
	if err := s.retry(ctx, conn); err != nil {
		return false, err
	}
	s.found()
	s.hooks.State(true, nil)
	s.finish(nil)
	patience := service.Backoff{Min: minRetry, Max: maxRetry}
	again := time.NewTimer(patience.Next())
	defer again.Stop()
	looks := time.NewTicker(lookInterval)
	defer looks.Stop()
	probe := newProbe(conn, &s.heard)
	defer probe.end()
	for {
		select {
		case <-ctx.Done():
			return true, ctx.Err()
		case err := <-lost:
			if err == nil {
				err = errors.New("redis: connection closed")
			}
			return true, err
		case <-s.wake:
			add, remove := s.take()
			if err := conn.unsubscribe(ctx, remove); err != nil {
				return true, err
			}
			if err := s.add(ctx, conn, add); err != nil {
				return true, err
			}
			s.finish(nil)
		case err := <-probe.failed:
			return true, err
		case <-looks.C:
			probe.look(ctx)
			// A replica takes subscribers, and a server that hangs keeps them.
			if now := s.client.primary(client); now != home {
				return true, fmt.Errorf("redis: %s is the primary now, and not %s", now, home)
			}
		case <-again.C:
			if s.Refused() == 0 {
				patience.Reset()
			} else if err := s.retry(ctx, conn); err != nil {
				return true, err
			}
			again.Reset(patience.Next())
		}
	}
}

// takeAll returns all that is wanted, for a connection that knows nothing yet, but for what was refused.
func (s *Subscriber) takeAll() []Name {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Name, 0, len(s.names))
	for n, sub := range s.names {
		if sub.status == barred {
			continue
		}
		s.names[n] = sub.with(asked)
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b Name) int { return cmp.Compare(s.names[a].order, s.names[b].order) })
	s.live = true
	s.taken()
	return all
}

// take returns what has changed since the last time.
func (s *Subscriber) take() (add, remove []Name) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.changed {
		switch sub, ok := s.names[n]; {
		case !ok:
		case sub.status == wanted:
			s.names[n] = sub.with(asked)
			add = append(add, n)
		case sub.status == dropped:
			delete(s.names, n)
			remove = append(remove, n)
		}
	}
	s.taken()
	return add, remove
}

func (s *Subscriber) taken() {
	s.changed = nil
	if s.round != nil {
		s.waiting = append(s.waiting, s.round)
		s.round = nil
	}
}

// finish ends the rounds under way.
func (s *Subscriber) finish(err error) {
	for i, r := range s.waiting {
		r.err = err
		close(r.done)
		s.waiting[i] = nil
	}
	s.waiting = s.waiting[:0]
}

// end fails what is asked for from now on, and what is under way.
func (s *Subscriber) end() {
	s.mu.Lock()
	s.closed = true
	s.taken()
	s.mu.Unlock()
	s.finish(ErrClosed)
}

func (s *Subscriber) found() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since, s.cause = time.Time{}, nil
}

func (s *Subscriber) lost(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since.IsZero() {
		s.since = time.Now()
	}
	s.cause = cause
	s.live, s.changed = false, nil
	for n, sub := range s.names {
		switch sub.status {
		case dropped:
			delete(s.names, n)
		case asked:
			s.names[n] = sub.with(wanted)
		case wanted, barred:
		}
	}
	if isAnswer(cause) {
		// Redis' answer to the connection: waiting longer would not change it.
		s.taken()
		s.finish(cause)
	}
}

// subscription hears of what Redis confirms. What it takes back although nobody asked for that is the slot of a shard channel
// that another server has now: by the time that an unsubscription of ours is confirmed, its name is not known any more.
func (s *Subscriber) subscription(p rueidis.PubSubSubscription) {
	if p.Kind != "sunsubscribe" || s.hooks.moved == nil {
		return
	}
	n := Shard(p.Channel)
	s.mu.Lock()
	sub, known := s.names[n]
	moved := known && sub.status == asked
	if moved {
		s.names[n] = sub.with(wanted)
	}
	s.mu.Unlock()
	if moved {
		s.hooks.moved(n)
	}
}

// message calls the listeners of the name that m came by.
func (s *Subscriber) message(m rueidis.PubSubMessage) {
	s.heard.Add(1)
	n := Channel(m.Channel)
	if m.Pattern != "" {
		n = Pattern(m.Pattern)
	}
	s.mu.Lock()
	owners := s.names[n].owners
	if owners == nil && m.Pattern == "" { // Redis does not say which of the two it is
		owners = s.names[Shard(m.Channel)].owners
	}
	s.mu.Unlock()
	// The library made the string for this message alone and does not keep it.
	payload := unsafe.Slice(unsafe.StringData(m.Message), len(m.Message))
	for _, l := range owners {
		l.message(m.Channel, payload)
	}
}
