package redispubsub

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/numbers"
	"github.com/peal-dev/peal/adapter/internal/pealwire"
	"github.com/peal-dev/peal/adapter/internal/recentrooms"
	"github.com/peal-dev/peal/adapter/internal/reception"
	"github.com/peal-dev/peal/internal/redisx"
)

// link is one namespace on this node. The uid is the node's name in that namespace.
type link struct {
	driver    *Driver
	namespace string
	uid       string
	name      pealwire.UID // the uid

	broadcasts   string // channel; a single room is appended to it
	requests     string
	responses    string
	ownResponses string
	probed       string // where probes are published: ownResponses
	listener     *redisx.Listener
	names        []redisx.Name // what this node hears of nodes of any make, whatever rooms it has
	interest     *interest
	joins        recentrooms.Rooms
	neighbours   neighbours
	losses       losses

	receiver adapter.Receiver
	inbox    *reception.Inbox[received]
	joined   atomic.Bool // Subscribe has succeeded
	heard    heard       // belongs to the inbox

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
		name:         pealwire.UID([]byte(uid)),
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
	l.probed = l.ownResponses
	l.names = []redisx.Name{redisx.Channel(l.requests), redisx.Channel(l.ownResponses),
		redisx.Pattern(globEscaper.Replace(l.broadcasts) + "*")}
	l.listener = d.subscriber.Listen(l.message)
	l.interest = newInterest(d.opts.Key, namespace, l.listener)
	return l
}

// subscribe subscribes to what the link hears whatever rooms it has. The order matters: whoever is counted on the channel of Peal
// nodes is counted on that of requests as well, on each connection and at each moment.
func (l *link) subscribe(ctx context.Context) error {
	if err := l.listener.Add(l.names...).Wait(ctx); err != nil {
		return err
	}
	if err := l.listener.Add(l.interest.everyone).Wait(ctx); !redisx.IsAnswer(err) {
		return err
	}
	return nil // Redis refuses it, which costs exactness and nothing else
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
	if e.Kind == adapter.KindBroadcast {
		return l.broadcast(ctx, e)
	}
	var payload []byte
	var err error
	if e.Kind == adapter.KindEvent {
		payload, err = encodeEvent(l.uid, "", e.Message, 0)
	} else {
		payload, err = encodeChange(l.uid, e)
	}
	if err != nil {
		return err
	}
	l.note(e)
	return l.request(ctx, payload)
}

// request publishes for nodes of any make.
func (l *link) request(ctx context.Context, payload []byte) error {
	return l.driver.publisher.send(ctx, job{message: redisx.Message{Channel: l.requests, Payload: payload}, needed: true, from: l})
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
		if l.joined.Load() {
			l.leave()
		}
		close(l.done)
		l.listener.Remove(l.interest.everyone) // before that of requests; see subscribe
		l.listener.Close()
		l.inbox.Close()
		l.answers.Close()
	})
	return first
}

// message takes what Redis sends. It must not be held up: all namespaces receive by it.
func (l *link) message(channel string, payload []byte) {
	if channel == l.ownResponses && l.pong(payload) || l.takeSignal(channel, payload) {
		return
	}
	l.driver.monitor.Received.Add(1)
	switch {
	case channel == l.responses, channel == l.ownResponses:
		l.takeResponse(channel, payload)
		return
	case !strings.HasPrefix(channel, l.interest.prefix):
		l.came(senderOf(payload), numbers.All, payload)
	case pealwire.IsFrom(payload, l.name):
		return
	default:
		l.came(pealwire.NameOf(payload), audienceOf(l.interest.room(channel)), payload)
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
	switch {
	case channel == l.requests:
		return l.receiveRequest(payload)
	case strings.HasPrefix(channel, l.interest.prefix):
		return l.receiveFrame(channel, payload)
	}
	return l.receiveBroadcast(channel, payload)
}

// receiveFrame handles what another Peal node says to Peal nodes.
func (l *link) receiveFrame(channel string, frame []byte) error {
	h, body, err := pealwire.Parse(frame)
	if err != nil {
		return err
	}
	if h.Kind != pealwire.KindBroadcast || h.UID == l.name {
		return nil
	}
	l.heard.note(h.UID, h.Number)
	if room, one := l.interest.room(channel); one && !l.receiver.HasRoom(room) {
		return nil // the room has been closed meanwhile
	}
	e, err := pealwire.ParseBroadcast(body, l.driver.opts.MaxAttachments, l.receiver.HasRoom)
	if e == nil {
		return err
	}
	l.receiver.Receive(e)
	return nil
}

func (l *link) receiveBroadcast(channel string, payload []byte) error {
	// The room may have been closed meanwhile, and an id is of one node only.
	room := strings.TrimSuffix(strings.TrimPrefix(channel, l.broadcasts), "#")
	if room != "" && !l.receiver.HasRoom(room) {
		return nil
	}
	e, err := decodeBroadcast(payload, l.known, l.namespace, l.driver.opts.MaxAttachments)
	if e == nil {
		return err
	}
	l.receiver.Receive(e)
	return nil
}

// known reports whether a broadcast of that sender is this node's own, or has come before.
func (l *link) known(from []byte) bool {
	if string(from) == l.uid {
		return true
	}
	uid, number, repeated := cutRepeated(from)
	return repeated && (uid == l.name || l.heard.has(uid, number))
}
