package redispubsub

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/internal/redisx"
)

// link is one namespace on this node. The uid is the node's name in that namespace.
type link struct {
	driver    *Driver
	namespace string
	uid       string

	broadcasts   string // channel; a single room is appended to it
	requests     string
	responses    string
	ownResponses string
	listener     *redisx.Listener
	names        []redisx.Name // what this node hears whatever rooms it has
	joins        recentJoins

	// receiving is held while a message is handled, so that closing waits for it.
	receiving sync.Mutex
	receiver  adapter.Receiver
	ended     bool

	once sync.Once
	done chan struct{}

	pings struct {
		sync.Mutex
		last    uint64
		waiting map[uint64]chan struct{}
	}
}

func newLink(d *Driver, namespace string, r adapter.Receiver) *link {
	uid := newUID()
	l := &link{
		driver:       d,
		namespace:    namespace,
		uid:          uid,
		receiver:     r,
		broadcasts:   d.opts.Key + "#" + namespace + "#",
		requests:     d.opts.Key + "-request#" + namespace + "#",
		responses:    d.opts.Key + "-response#" + namespace + "#",
		ownResponses: d.opts.Key + "-response#" + namespace + "#" + uid + "#",
		done:         make(chan struct{}),
	}
	l.names = l.baseNames()
	l.listener = d.subscriber.Listen(l.message)
	l.pings.waiting = make(map[uint64]chan struct{})
	return l
}

// baseNames returns what this node hears whatever rooms it has.
func (l *link) baseNames() []redisx.Name {
	names := []redisx.Name{redisx.Channel(l.requests), redisx.Channel(l.ownResponses)}
	rooms := globEscaper.Replace(l.broadcasts)
	if l.driver.opts.SubscribeRooms {
		return append(names, redisx.Channel(l.broadcasts), redisx.Pattern(rooms+idPattern))
	}
	return append(names, redisx.Pattern(rooms+"*"))
}

// globEscaper makes a pattern match the text itself: a namespace may hold any character.
var globEscaper = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)

// newUID returns six random characters of [A-Za-z0-9_-], as the Node.js adapter has them.
func newUID() string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])[:6]
}

// Publish implements [adapter.Link].
func (l *link) Publish(ctx context.Context, e *adapter.Envelope) error {
	if err := l.open(ctx); err != nil {
		return err
	}
	channel, payload := l.requests, []byte(nil)
	var err error
	switch e.Kind {
	case adapter.KindBroadcast:
		channel = l.broadcasts
		if len(e.Rooms) == 1 && !l.joins.has(e.Rooms[0], time.Now) {
			channel += e.Rooms[0] + "#"
		}
		payload, err = appendBroadcast(nil, l.uid, l.namespace, e)
	default:
		payload, err = encodeChange(l.uid, e)
	}
	if err != nil {
		return err
	}
	l.note(e)
	return l.driver.publisher.publish(ctx, channel, payload)
}

// Ping implements [adapter.Link]: it publishes on the response channel that only this node listens to. It fails with
// [adapter.ErrUnavailable] when nothing came back within the driver's timeout, even if ctx has more time, and when Redis
// refuses another channel of the namespace, for then the probe would come back and messages would not.
func (l *link) Ping(ctx context.Context) error {
	if err := l.open(ctx); err != nil {
		return err
	}
	if err := l.listener.Refusal(l.names...); err != nil {
		return fmt.Errorf("%w: %v", adapter.ErrUnavailable, err)
	}
	pong := make(chan struct{})
	l.pings.Lock()
	l.pings.last++
	id := l.pings.last
	l.pings.waiting[id] = pong
	l.pings.Unlock()
	defer func() {
		l.pings.Lock()
		defer l.pings.Unlock()
		delete(l.pings.waiting, id)
	}()

	timer := time.NewTimer(l.driver.opts.Timeout)
	defer timer.Stop()
	if err := l.driver.publisher.publish(ctx, l.ownResponses, fmt.Appendf(nil, `{"peal":"ping","id":%d}`, id)); err != nil {
		return err
	}
	select {
	case <-pong:
		return nil
	case <-l.done:
		return adapter.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return fmt.Errorf("%w: a ping did not come back in %v", adapter.ErrUnavailable, l.driver.opts.Timeout)
	}
}

func (l *link) open(ctx context.Context) error {
	select {
	case <-l.done:
		return adapter.ErrClosed
	default:
		return ctx.Err()
	}
}

// Close implements [adapter.Link]. It must not be called from within the receiver.
func (l *link) Close(context.Context) error {
	if !l.end() {
		return nil
	}
	l.driver.unregister(l)
	return nil
}

// end stops receiving and publishing. It reports false if that was done before.
func (l *link) end() bool {
	first := false
	l.once.Do(func() {
		first = true
		close(l.done)
		l.listener.Close()
		l.receiving.Lock()
		defer l.receiving.Unlock()
		l.ended = true
	})
	return first
}

// message takes what Redis sends.
func (l *link) message(channel string, payload []byte) {
	l.driver.received.Add(1)
	if err := l.receive(channel, payload); err != nil {
		l.driver.malformed.Add(1)
		l.driver.opts.Logger.Debug("redispubsub: message ignored", "channel", channel, "error", err)
	}
}

// receive handles a message of any of the link's channels. An error means that the message is malformed.
func (l *link) receive(channel string, payload []byte) error {
	l.receiving.Lock()
	defer l.receiving.Unlock()
	if l.ended {
		return nil
	}
	switch channel {
	case l.requests:
		return l.receiveRequest(payload)
	case l.ownResponses:
		return l.receivePong(payload)
	}
	return l.receiveBroadcast(channel, payload)
}

func (l *link) receiveBroadcast(channel string, payload []byte) error {
	// The room may have been closed meanwhile, and an id is of one node only.
	room := strings.TrimSuffix(strings.TrimPrefix(channel, l.broadcasts), "#")
	if room != "" && !l.receiver.HasRoom(room) {
		return nil
	}
	e, err := decodeBroadcast(payload, l.uid, l.namespace)
	if e == nil {
		return err
	}
	l.receiver.Receive(e)
	return nil
}

func (l *link) receivePong(payload []byte) error {
	var id uint64
	if _, err := fmt.Sscanf(string(payload), `{"peal":"ping","id":%d}`, &id); err != nil {
		// The answer to a question we did not ask.
		return fmt.Errorf("response: %w", err)
	}
	l.pings.Lock()
	defer l.pings.Unlock()
	if pong := l.pings.waiting[id]; pong != nil {
		close(pong)
		delete(l.pings.waiting, id)
	}
	return nil
}
