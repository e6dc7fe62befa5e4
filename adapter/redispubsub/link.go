package redispubsub

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/recentrooms"
	"github.com/peal-dev/peal/adapter/internal/reception"
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
	joins        recentrooms.Rooms

	receiver adapter.Receiver
	inbox    *reception.Inbox[received]
	joined   atomic.Bool // Subscribe has succeeded

	calls   adapter.Calls
	answers *reception.Answers[[]byte]
	probes  *reception.Probes
	hearing atomic.Bool // the response channel of all nodes

	once sync.Once
	done chan struct{}
}

// received is a message as Redis sent it.
type received struct {
	channel string
	payload []byte
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
		probes:       reception.NewProbes(d.monitor, namespace),
		done:         make(chan struct{}),
	}
	l.answers = reception.NewAnswers(d.monitor, l.response)
	l.inbox = reception.NewInbox(d.monitor, namespace, d.opts.InboxSize, d.opts.InboxBytes, l.work)
	l.names = l.baseNames()
	l.listener = d.subscriber.Listen(l.message)
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
		if len(e.Rooms) == 1 && !l.joins.Has(e.Rooms[0]) {
			channel += e.Rooms[0] + "#"
		}
		payload, err = appendBroadcast(nil, l.uid, l.namespace, e)
	case adapter.KindEvent:
		payload, err = encodeEvent(l.uid, "", e.Message, 0)
	default:
		payload, err = encodeChange(l.uid, e)
	}
	if err != nil {
		return err
	}
	l.note(e)
	return l.driver.publisher.publish(ctx, channel, payload, l.hears(e, channel))
}

// hears reports whether this node subscribes to the channel that e is published on.
func (l *link) hears(e *adapter.Envelope, channel string) bool {
	return channel == l.requests || channel == l.broadcasts || !l.subscribes(e.Rooms[0])
}

// ended reports whether the link was closed.
func (l *link) ended() bool { return l.open(context.Background()) != nil }

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
		l.inbox.Close()
		l.answers.Close()
	})
	return first
}

// message takes what Redis sends. It must not be held up: all namespaces receive by it.
func (l *link) message(channel string, payload []byte) {
	if channel == l.ownResponses && l.pong(payload) {
		return
	}
	l.driver.monitor.Received.Add(1)
	if channel == l.responses || channel == l.ownResponses {
		l.takeResponse(channel, payload)
		return
	}
	l.inbox.Put(received{channel, payload}, len(channel)+len(payload), channel == l.requests)
}

// work handles a message of the inbox.
func (l *link) work(m received) {
	if err := l.receive(m.channel, m.payload); err != nil {
		l.driver.monitor.Ignored(m.channel, err)
	}
}

// receive handles a message of any of the link's channels. An error means that the message is malformed.
func (l *link) receive(channel string, payload []byte) error {
	if channel == l.requests {
		return l.receiveRequest(payload)
	}
	return l.receiveBroadcast(channel, payload)
}

func (l *link) receiveBroadcast(channel string, payload []byte) error {
	// The room may have been closed meanwhile, and an id is of one node only.
	room := strings.TrimSuffix(strings.TrimPrefix(channel, l.broadcasts), "#")
	if room != "" && !l.receiver.HasRoom(room) {
		return nil
	}
	e, err := decodeBroadcast(payload, l.uid, l.namespace, l.driver.opts.MaxAttachments)
	if e == nil {
		return err
	}
	l.receiver.Receive(e)
	return nil
}
