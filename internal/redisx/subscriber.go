package redisx

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
	"unsafe"

	"github.com/redis/rueidis"
)

// Name is something to subscribe to: a channel or a pattern.
type Name struct {
	text    string
	pattern bool
}

// Channel is the name of one channel.
func Channel(channel string) Name { return Name{channel, false} }

// Pattern is the name of all channels that match a pattern of Redis' PSUBSCRIBE.
func Pattern(pattern string) Name { return Name{pattern, true} }

// Subscriber keeps one connection on which it receives what its listeners subscribed to. It is told what is wanted and
// brings Redis there: what is asked for while a command is under way leaves together in the next one, and a new
// connection gets everything. It is safe for concurrent use.
type Subscriber struct {
	client *Client
	state  func(up bool, err error)
	stop   context.CancelFunc
	done   chan struct{}
	wake   chan struct{} // full: something has changed

	mu      sync.Mutex // protects the following and is held for moments only
	names   map[Name]subscription
	live    bool    // a connection has taken all names over; without one there is nothing to keep up with
	changed []Name  // what happened to names since; they may repeat
	change  *Change // of these; nil if nobody asked for it
	cause   error   // why there is no connection; nil while there is one
	since   time.Time
	closed  bool

	waiting []*Change // under way; belongs to the goroutine
}

// subscription is what is known of one name.
type subscription struct {
	owners []*Listener // never changed in place: single owners share one slice
	status status
}

type status uint8

const (
	wanted  status = iota // Redis has not been asked for it
	asked                 // it has
	dropped               // it has, and the name is not wanted any more
)

// Backoff between attempts to connect.
const (
	minBackoff = 50 * time.Millisecond
	maxBackoff = time.Second
)

// maxNames is how many names one command has at most: Redis confirms each by itself, and what waits to be sent to a
// subscriber has a limit there.
const maxNames = 1000

// Subscribe returns a subscriber with a connection of its own, which it makes at once and keeps until it is closed.
// The function state, which may be nil, is called when the connection was made and everything is subscribed to (true),
// and when it was lost or could not be made (false, with the cause). It must not block.
func (c *Client) Subscribe(state func(up bool, err error)) *Subscriber {
	if state == nil {
		state = func(bool, error) {}
	}
	// The connection outlives every call, so it hangs on no caller's context.
	ctx, stop := context.WithCancel(context.Background())
	s := &Subscriber{client: c, state: state, stop: stop, done: make(chan struct{}), wake: make(chan struct{}, 1),
		names: make(map[Name]subscription), cause: errors.New("redis: not connected yet"), since: time.Now()}
	go s.run(ctx)
	return s
}

// Away returns since when there is no connection, and why; the zero time while there is one.
func (s *Subscriber) Away() (since time.Time, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.since, s.cause
}

// Close closes the connection. When it has returned, the listeners are not called any more.
func (s *Subscriber) Close() {
	s.stop()
	<-s.done
}

// run makes one connection after another until ctx ends.
func (s *Subscriber) run(ctx context.Context) {
	defer close(s.done)
	defer s.end()
	backoff := minBackoff
	for {
		up, err := s.session(ctx)
		if ctx.Err() != nil {
			return
		}
		s.lost(err)
		s.state(false, err)
		if up {
			backoff = minBackoff
		}
		timer := time.NewTimer(backoff/2 + rand.N(backoff/2))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// session makes a connection, subscribes to all that is wanted and keeps up with what changes until the connection is
// lost, of which it returns the cause. It reports whether the connection was ever up.
func (s *Subscriber) session(ctx context.Context) (up bool, err error) {
	client, err := s.client.connected()
	if err != nil {
		return false, err
	}
	conn, release := client.Dedicate()
	defer release()
	defer conn.Close()
	lost := conn.SetPubSubHooks(rueidis.PubSubHooks{OnMessage: s.message})

	if err := s.subscribe(ctx, conn, s.takeAll()); err != nil {
		return false, err
	}
	s.found()
	s.state(true, nil)
	s.finish(nil)
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
			err := s.update(ctx, conn, add, remove)
			if err != nil && !isRedisError(err) {
				return true, err
			}
			s.finish(err)
		}
	}
}

// takeAll returns all that is wanted, for a connection that knows nothing yet.
func (s *Subscriber) takeAll() []Name {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Name, 0, len(s.names))
	for n, sub := range s.names {
		s.names[n] = subscription{sub.owners, asked}
		all = append(all, n)
	}
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
			s.names[n] = subscription{sub.owners, asked}
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
	if s.change != nil {
		s.waiting = append(s.waiting, s.change)
		s.change = nil
	}
}

// finish ends the changes under way.
func (s *Subscriber) finish(err error) {
	for i, c := range s.waiting {
		c.err = err
		close(c.done)
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
		if sub.status == dropped {
			delete(s.names, n)
		} else {
			s.names[n] = subscription{sub.owners, wanted}
		}
	}
	if isRedisError(cause) {
		// Redis' answer to what was asked for: waiting longer would not change it.
		s.taken()
		s.finish(cause)
	}
}

// message calls the listeners of the name that m came by.
func (s *Subscriber) message(m rueidis.PubSubMessage) {
	n := Channel(m.Channel)
	if m.Pattern != "" {
		n = Pattern(m.Pattern)
	}
	s.mu.Lock()
	owners := s.names[n].owners
	s.mu.Unlock()
	// The library made the string for this message alone and does not keep it.
	payload := unsafe.Slice(unsafe.StringData(m.Message), len(m.Message))
	for _, l := range owners {
		l.message(m.Channel, payload)
	}
}

// update tells Redis what to add and what to remove, and waits for the confirmation.
func (s *Subscriber) update(ctx context.Context, conn rueidis.DedicatedClient, add, remove []Name) error {
	if len(remove) > 0 {
		if err := s.unsubscribe(ctx, conn, remove); err != nil {
			return err
		}
	}
	if len(add) > 0 {
		return s.subscribe(ctx, conn, add)
	}
	return nil
}

func (s *Subscriber) subscribe(ctx context.Context, conn rueidis.DedicatedClient, names []Name) error {
	if len(names) == 0 {
		// Still make sure that somebody answers.
		return s.command(ctx, conn, "connect", conn.B().Ping().Build())
	}
	return split(names, func(patterns, channels []string) error {
		if len(patterns) > 0 {
			return s.command(ctx, conn, "subscribe", conn.B().Psubscribe().Pattern(patterns...).Build())
		}
		return s.command(ctx, conn, "subscribe", conn.B().Subscribe().Channel(channels...).Build())
	})
}

func (s *Subscriber) unsubscribe(ctx context.Context, conn rueidis.DedicatedClient, names []Name) error {
	return split(names, func(patterns, channels []string) error {
		if len(patterns) > 0 {
			return s.command(ctx, conn, "unsubscribe", conn.B().Punsubscribe().Pattern(patterns...).Build())
		}
		return s.command(ctx, conn, "unsubscribe", conn.B().Unsubscribe().Channel(channels...).Build())
	})
}

func (s *Subscriber) command(ctx context.Context, conn rueidis.DedicatedClient, what string, command rueidis.Completed) error {
	ctx, cancel := context.WithTimeout(ctx, s.client.timeout)
	defer cancel()
	return s.client.explain(what, conn.Do(ctx, command).Error())
}

// split calls do with patterns or with channels, as many as one command may have.
func split(names []Name, do func(patterns, channels []string) error) error {
	var patterns, channels []string
	for i, n := range names {
		if n.pattern {
			patterns = append(patterns, n.text)
		} else {
			channels = append(channels, n.text)
		}
		last := i == len(names)-1
		if len(patterns) == maxNames || last && len(patterns) > 0 {
			if err := do(patterns, nil); err != nil {
				return err
			}
			patterns = patterns[:0]
		}
		if len(channels) == maxNames || last && len(channels) > 0 {
			if err := do(nil, channels); err != nil {
				return err
			}
			channels = channels[:0]
		}
	}
	return nil
}

// isRedisError reports whether err is an answer, after which the connection is as good as before.
func isRedisError(err error) bool {
	var answer *rueidis.RedisError
	return errors.As(err, &answer)
}
