package redisx

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/redis/rueidis"
)

// Handler is told what a [Subscriber] receives. Its functions are called one after another and hold up the connection.
type Handler struct {
	// Message is called for each message: with pattern if it came by a pattern, else with "". The payload is the
	// handler's to keep but not to change. Required.
	Message func(pattern, channel string, payload []byte)
	// State is called when the connection was made and everything is subscribed to (true), and when it was lost or
	// could not be made (false, with the cause). It may be nil.
	State func(up bool, err error)
}

// Subscriber receives what is published. It is safe for concurrent use.
type Subscriber struct {
	client   *Client
	handler  Handler
	requests chan *request
	stop     context.CancelFunc
	done     chan struct{}
	cause    atomic.Pointer[error] // why there is no connection; nil while there is one

	// The following belong to the goroutine.
	wanted  map[name]int // how many additions want it
	waiting []*request   // additions that wait for a connection
}

// name is something to subscribe to.
type name struct {
	text    string
	pattern bool
}

type request struct {
	names  []name
	remove bool
	undo   *request // the addition to take back, if it has come true
	result chan error
	// abandoned is set when nobody waits for the result of an addition any more.
	abandoned atomic.Bool
	// counted says that an addition is in wanted. It belongs to the goroutine.
	counted bool
}

// Backoff between attempts to connect.
const (
	minBackoff = 50 * time.Millisecond
	maxBackoff = time.Second
)

// Subscribe returns a subscriber with a connection of its own, which it makes at once and keeps until it is closed.
func (c *Client) Subscribe(h Handler) *Subscriber {
	if h.State == nil {
		h.State = func(bool, error) {}
	}
	// The connection outlives every call, so it hangs on no caller's context.
	ctx, stop := context.WithCancel(context.Background())
	s := &Subscriber{client: c, handler: h, requests: make(chan *request), stop: stop, done: make(chan struct{}), wanted: make(map[name]int)}
	go s.run(ctx)
	return s
}

// Add subscribes to patterns and channels, and returns when Redis has confirmed it, which may mean waiting for a
// connection. After an error the names are not subscribed to; the error of a context that ended wraps also the reason
// for which there was no connection, if so.
func (s *Subscriber) Add(ctx context.Context, patterns, channels []string) error {
	r := &request{names: names(patterns, channels), result: make(chan error, 1)}
	err := s.ask(ctx, r)
	if err != nil && ctx.Err() != nil {
		// It must not come true later. If it just did, it has to be undone, for which nobody needs to wait.
		r.abandoned.Store(true)
		go func() { _ = s.ask(context.WithoutCancel(ctx), &request{undo: r, result: make(chan error, 1)}) }()
		if cause := s.cause.Load(); cause != nil {
			err = fmt.Errorf("%w (%w)", err, *cause)
		}
	}
	return err
}

// Remove takes an addition of patterns and channels back. What was added more than once stays until it was removed as
// often. Messages that are on their way may still come.
func (s *Subscriber) Remove(ctx context.Context, patterns, channels []string) error {
	return s.ask(ctx, &request{names: names(patterns, channels), remove: true, result: make(chan error, 1)})
}

// Close closes the connection. When it has returned, the handler is not called any more.
func (s *Subscriber) Close() {
	s.stop()
	<-s.done
}

func names(patterns, channels []string) []name {
	var all []name
	for _, p := range patterns {
		all = append(all, name{p, true})
	}
	for _, c := range channels {
		all = append(all, name{c, false})
	}
	return all
}

func (s *Subscriber) ask(ctx context.Context, r *request) error {
	select {
	case s.requests <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.done:
		return ErrClosed
	}
	select {
	case err := <-r.result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-s.done:
		return ErrClosed
	}
}

// run makes one connection after another until ctx ends.
func (s *Subscriber) run(ctx context.Context) {
	defer close(s.done)
	backoff := minBackoff
	for {
		up, err := s.session(ctx)
		if ctx.Err() != nil {
			return
		}
		s.cause.Store(&err)
		s.refuse(err)
		s.handler.State(false, err)
		if up {
			backoff = minBackoff
		}
		timer := time.NewTimer(backoff/2 + rand.N(backoff/2))
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-timer.C:
				waiting = false
			case r := <-s.requests:
				s.later(r)
			}
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// later takes a request while there is no connection.
func (s *Subscriber) later(r *request) {
	if !r.remove && r.undo == nil {
		s.waiting = append(s.waiting, r)
		return
	}
	s.uncount(r)
	r.result <- nil
}

// count makes an addition part of what is wanted.
func (s *Subscriber) count(r *request) {
	r.counted = true
	for _, n := range r.names {
		s.wanted[n]++
	}
}

// uncount takes back what r takes back and returns the names that nobody wants any more.
func (s *Subscriber) uncount(r *request) (unwanted []name) {
	if r.undo != nil {
		if r = r.undo; !r.counted {
			return nil
		}
		r.counted = false
	}
	for _, n := range r.names {
		if s.wanted[n]--; s.wanted[n] <= 0 {
			delete(s.wanted, n)
			unwanted = append(unwanted, n)
		}
	}
	return unwanted
}

// want counts the waiting requests, except those given up.
func (s *Subscriber) want() {
	s.waiting = slices.DeleteFunc(s.waiting, func(r *request) bool { return r.abandoned.Load() })
	for _, r := range s.waiting {
		if !r.counted {
			s.count(r)
		}
	}
}

// refuse ends the waiting requests if err is Redis' answer to them: waiting longer would not change it.
func (s *Subscriber) refuse(err error) {
	if !isRedisError(err) {
		return
	}
	for _, r := range s.waiting {
		s.uncount(&request{undo: r})
		r.result <- err
	}
	s.waiting = nil
}

// session makes a connection, subscribes to all that is wanted and serves requests until the connection is lost, of
// which it returns the cause. It reports whether the connection was ever up.
func (s *Subscriber) session(ctx context.Context) (up bool, err error) {
	client, err := s.client.connected()
	if err != nil {
		return false, err
	}
	conn, release := client.Dedicate()
	defer release()
	defer conn.Close()
	lost := conn.SetPubSubHooks(rueidis.PubSubHooks{OnMessage: s.message})

	s.want()
	all := make([]name, 0, len(s.wanted))
	for n := range s.wanted {
		all = append(all, n)
	}
	if err := s.change(ctx, conn, all, false); err != nil {
		return false, err
	}
	s.cause.Store(nil)
	s.handler.State(true, nil)
	for _, r := range s.waiting {
		r.result <- nil
	}
	s.waiting = nil
	for {
		select {
		case <-ctx.Done():
			return true, ctx.Err()
		case err := <-lost:
			if err == nil {
				err = errors.New("redis: connection closed")
			}
			return true, err
		case r := <-s.requests:
			err := s.serve(ctx, conn, r)
			r.result <- err
			if err != nil && !isRedisError(err) {
				return true, err
			}
		}
	}
}

// serve does what r asks for.
func (s *Subscriber) serve(ctx context.Context, conn rueidis.DedicatedClient, r *request) error {
	if r.remove || r.undo != nil {
		return s.change(ctx, conn, s.uncount(r), true)
	}
	if r.abandoned.Load() {
		return nil
	}
	err := s.change(ctx, conn, r.names, false)
	if err == nil {
		s.count(r)
	}
	return err
}

// change subscribes to names or ends their subscription, and waits for the confirmation.
func (s *Subscriber) change(ctx context.Context, conn rueidis.DedicatedClient, names []name, remove bool) error {
	ctx, cancel := context.WithTimeout(ctx, s.client.timeout)
	defer cancel()
	var patterns, channels []string
	for _, n := range names {
		if n.pattern {
			patterns = append(patterns, n.text)
		} else {
			channels = append(channels, n.text)
		}
	}
	var commands rueidis.Commands
	switch {
	case len(names) == 0:
		// Still make sure that somebody answers.
		commands = append(commands, conn.B().Ping().Build())
	case remove:
		if len(patterns) > 0 {
			commands = append(commands, conn.B().Punsubscribe().Pattern(patterns...).Build())
		}
		if len(channels) > 0 {
			commands = append(commands, conn.B().Unsubscribe().Channel(channels...).Build())
		}
	default:
		if len(patterns) > 0 {
			commands = append(commands, conn.B().Psubscribe().Pattern(patterns...).Build())
		}
		if len(channels) > 0 {
			commands = append(commands, conn.B().Subscribe().Channel(channels...).Build())
		}
	}
	for _, command := range commands {
		if err := conn.Do(ctx, command).Error(); err != nil {
			return s.client.explain("subscribe", err)
		}
	}
	return nil
}

// isRedisError reports whether err is an answer, after which the connection is as good as before.
func isRedisError(err error) bool {
	var answer *rueidis.RedisError
	return errors.As(err, &answer)
}

func (s *Subscriber) message(m rueidis.PubSubMessage) {
	// The library made the string for this message alone and does not keep it.
	s.handler.Message(m.Pattern, m.Channel, unsafe.Slice(unsafe.StringData(m.Message), len(m.Message)))
}
