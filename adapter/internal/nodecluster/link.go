package nodecluster

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/reception"
	"github.com/peal-dev/peal/adapter/nodewire"
)

// Link is one namespace on this node. It is safe for concurrent use.
type Link struct {
	hub       *Hub
	namespace string
	uid       string
	receiver  adapter.Receiver
	follower  adapter.Follower // receiver, if it follows a common log
	transport Transport
	counter   Counter // nil with heartbeats

	inbox    *reception.Inbox[Incoming]
	answers  *reception.Answers[Incoming]
	probes   *reception.Probes
	calls    adapter.Calls
	members  members
	counting counting
	spoke    atomic.Int64 // when something was last sent to all, in Unix nanoseconds

	joined    atomic.Bool
	again     atomic.Bool // it has to tell of itself as if it was new
	beginning sync.Once
	begun     chan struct{} // closed when the follower knows from where on it gets everything
	ending    sync.Once
	done      chan struct{} // closed when nothing is sent any more
	ready     chan struct{} // closed when there is a transport, or there will be none
}

var _ adapter.Caller = (*Link)(nil)

func newLink(h *Hub, namespace string, r adapter.Receiver) *Link {
	l := &Link{hub: h, namespace: namespace, uid: h.opts.UID(), receiver: r, done: make(chan struct{}), ready: make(chan struct{}), begun: make(chan struct{})}
	l.probes = reception.NewProbes(h.Monitor, namespace)
	l.answers = reception.NewAnswers(h.Monitor, l.take)
	l.inbox = reception.NewInbox(h.Monitor, namespace, h.opts.InboxSize, h.opts.InboxBytes, l.take)
	return l
}

// randomHex returns 16 random digits, as Node.js nodes name themselves and their requests.
func randomHex() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// UID returns the name of this node in the namespace.
func (l *Link) UID() string { return l.uid }

// Namespace returns the name of the namespace.
func (l *Link) Namespace() string { return l.namespace }

// HasRoom reports whether a member of this node is in room.
func (l *Link) HasRoom(room string) bool { return l.receiver.HasRoom(room) }

// Joined reports whether the namespace was subscribed to successfully.
func (l *Link) Joined() bool { return l.joined.Load() }

// Done is closed when the link is: nothing is sent any more.
func (l *Link) Done() <-chan struct{} { return l.done }

// start begins to use the transport, and makes this node known.
func (l *Link) start(ctx context.Context, t Transport) {
	l.transport = t
	l.counter, _ = t.(Counter)
	l.counting.beater, _ = t.(Beater)
	close(l.ready)
	if l.counter == nil {
		l.greet(ctx)
	} else {
		l.post(l.initial())
		_ = l.Ping(ctx) // that it fails is for those to find out who ask
	}
	l.greeted() // others count from here
	l.joined.Store(true)
}

// abandon ends a link that never had a transport.
func (l *Link) abandon() {
	l.ending.Do(func() {
		close(l.done)
		close(l.ready)
		l.inbox.Close()
		l.answers.Close()
	})
}

// Close implements [adapter.Link]. Other nodes are told, if that is possible.
func (l *Link) Close(ctx context.Context) error {
	select {
	case <-l.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	var err error
	l.ending.Do(func() {
		l.leave(ctx)
		err = l.transport.Close(ctx)
		l.inbox.Close()
		l.answers.Close()
	})
	return err
}

// leave tells other nodes that this one leaves. If it cannot, they will notice.
func (l *Link) leave(ctx context.Context) {
	m := &nodewire.Message{Type: nodewire.AdapterClose, Peal: true}
	if l.counting.sender.Pending() {
		l.beatOnce()
	}
	if l.counter != nil {
		l.post(m) // who counts needs no word, though it comes sooner
	}
	close(l.done)
	l.hub.unregister(l)
	if l.counter == nil {
		bounded, cancel := context.WithTimeout(ctx, l.hub.opts.Timeout)
		defer cancel()
		_ = l.transport.Send(bounded, l.own(m))
	}
}

// ended reports whether the link was closed.
func (l *Link) ended() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

func (l *Link) open(ctx context.Context) error {
	if l.ended() {
		return adapter.ErrClosed
	}
	return ctx.Err()
}

// own says that a message is of this link.
func (l *Link) own(m *nodewire.Message) *nodewire.Message {
	m.UID, m.Namespace = l.uid, l.namespace
	return m
}

// send sends a message to all nodes.
func (l *Link) send(ctx context.Context, m *nodewire.Message) error {
	if err := l.transport.Send(ctx, l.own(m)); err != nil {
		return unavailable(ctx, err)
	}
	l.spoke.Store(time.Now().UnixNano())
	return nil
}

// Publish implements [adapter.Link].
func (l *Link) Publish(ctx context.Context, e *adapter.Envelope) error {
	if err := l.open(ctx); err != nil {
		return err
	}
	m, err := nodewire.Publishing(e)
	if err != nil {
		return err
	}
	return l.send(ctx, m)
}

// Ping implements [adapter.Link]: a heartbeat that comes back to this node. It fails also when messages that did come
// wait for longer than the Timeout to be handled. A ping does not wait behind them itself: a node that is busy is ready.
func (l *Link) Ping(ctx context.Context) error {
	if err := l.open(ctx); err != nil {
		return err
	}
	timeout := l.hub.opts.Timeout
	err := l.probes.Do(ctx, timeout, l.done, func(ctx context.Context, number uint64) error {
		err := l.transport.Probe(ctx, l.own(&nodewire.Message{Type: nodewire.Heartbeat, Peal: true, Probe: number}))
		if err != nil {
			return unavailable(ctx, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if behind := l.inbox.Behind(); behind > timeout {
		return fmt.Errorf("%w: messages wait for %v to be handled, %d of them", adapter.ErrUnavailable, behind.Round(time.Millisecond), l.inbox.Len())
	}
	return nil
}

// Nodes implements [adapter.Caller].
func (l *Link) Nodes(ctx context.Context) (int, error) {
	if err := l.open(ctx); err != nil {
		return 0, err
	}
	if l.counter == nil {
		return 1 + len(l.members.names()), nil
	}
	n, err := l.counter.Nodes(ctx)
	if err != nil {
		return 0, unavailable(ctx, err)
	}
	return n, nil
}

var errDeaf = fmt.Errorf("%w: the connection that receives is away", adapter.ErrUnavailable)

// others counts the nodes that are there beside this one, which has to hear itself: no answer would reach it, and it would
// count itself out.
func (l *Link) others(ctx context.Context) (int, error) {
	before := l.hub.Monitor.Reconnects()
	n, err := l.Nodes(ctx)
	switch {
	case err != nil:
		return 0, err
	case !l.hub.Monitor.Connected() || l.hub.Monitor.Reconnects() != before:
		return 0, errDeaf
	}
	return max(n-1, 0), nil
}

// silent returns the nodes that are counted although their process is not heard of. One that is not counted any more is over.
func (l *Link) silent(ctx context.Context) (list []adapter.NodeID) {
	for _, node := range l.members.suspended() {
		if there, err := l.counter.Counts(ctx, string(node)); err == nil && !there {
			l.forget(string(node))
			continue
		}
		list = append(list, node)
	}
	return list
}

// Call implements [adapter.Caller].
func (l *Link) Call(ctx context.Context, c *adapter.Call, each func(adapter.Answer)) (missing []adapter.NodeID, err error) {
	if err := l.open(ctx); err != nil {
		return nil, err
	}
	id := l.uid + randomHex() // by the first half, answers to others are known not to be for us
	m, err := nodewire.Asking(c, id)
	if err != nil {
		return nil, err
	}
	q := adapter.CallQuestion{ID: id, Closed: l.done, Names: l.members.names, Ask: func(ctx context.Context) error { return l.send(ctx, m) }}
	if l.counter == nil {
		if !l.hub.Monitor.Connected() {
			return nil, errDeaf
		}
	} else {
		q.Others, q.Silent = l.others, l.silent
	}
	return l.calls.Do(ctx, c, q, each)
}
