package adaptertest

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/message"
)

// Cluster is a cluster in memory: the drivers it makes reach each other and nothing else. What is published to a single
// room reaches the nodes that have opened it. The cluster can be told to fail or to hang, which shows how the user of a
// driver behaves while it is away. Drivers of NewSequencer have a common log. Safe for concurrent use.
type Cluster struct {
	mu    sync.Mutex
	links map[string][]*link // by namespace
	logs  map[string]*commonLog
	// sessions are those that [adapter.Sequence] keeps, by pid.
	sessions map[string]*adapter.Session
	saved    chan struct{} // closed when more of them are kept

	err  error
	held chan struct{} // closed by the release of Hold; nil while nothing is held
}

// NewCluster returns a cluster without nodes.
func NewCluster() *Cluster {
	return &Cluster{links: make(map[string][]*link), logs: make(map[string]*commonLog), sessions: make(map[string]*adapter.Session), saved: make(chan struct{})}
}

// NewDriver returns the driver of one more node.
func (c *Cluster) NewDriver() adapter.Driver {
	return &driver{cluster: c, links: make(map[string]*link)}
}

// Fail makes every publish, ping and opening fail with err, wrapped beside [adapter.ErrUnavailable]. Nil heals the cluster.
func (c *Cluster) Fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

// Hold makes every publish, ping and opening wait until release is called or its context ends. Holding a held cluster panics.
func (c *Cluster) Hold() (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held != nil {
		panic("adaptertest: the cluster is held already")
	}
	held := make(chan struct{})
	c.held = held
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.held = nil
		close(held)
	})
}

// send calls deliver for each link of the namespace, in one order for all senders, unless a fault is switched on.
func (c *Cluster) send(ctx context.Context, from *link, deliver func(to *link)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for {
		c.mu.Lock()
		held := c.held
		if held == nil {
			break
		}
		c.mu.Unlock()
		select {
		case <-held:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer c.mu.Unlock()
	if c.err != nil {
		return fmt.Errorf("%w: %w", adapter.ErrUnavailable, c.err)
	}
	if !slices.Contains(c.links[from.namespace], from) {
		return adapter.ErrClosed
	}
	for _, to := range c.links[from.namespace] {
		deliver(to)
	}
	return nil
}

type driver struct {
	cluster *Cluster

	mu     sync.Mutex
	closed bool
	links  map[string]*link // by namespace
}

// Subscribe implements [adapter.Driver].
func (d *driver) Subscribe(ctx context.Context, namespace string, r adapter.Receiver) (adapter.Link, error) {
	l, err := d.join(ctx, namespace, r, nil)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// join makes a link, which follows the log if there is a follower.
func (d *driver) join(ctx context.Context, namespace string, r adapter.Receiver, f adapter.Follower) (*link, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, adapter.ErrClosed
	}
	if l := d.links[namespace]; l != nil && !l.closed() {
		return nil, adapter.ErrSubscribed
	}
	l := &link{id: adapter.NodeID(rand.Text()), cluster: d.cluster, namespace: namespace, receiver: r, follows: f != nil, rooms: make(map[string]bool), wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	go l.run()
	d.links[namespace] = l
	d.cluster.mu.Lock()
	defer d.cluster.mu.Unlock()
	d.cluster.links[namespace] = append(d.cluster.links[namespace], l)
	if f != nil {
		top := d.cluster.log(namespace).top
		l.post(func() { f.Begin(top) })
	}
	return l, nil
}

// Close implements [adapter.Driver].
func (d *driver) Close(ctx context.Context) error {
	d.mu.Lock()
	d.closed = true
	links := slices.Collect(maps.Values(d.links))
	d.mu.Unlock()
	for _, l := range links {
		if err := l.Close(ctx); err != nil {
			return err
		}
	}
	return nil
}

// link delivers in a goroutine of its own, as a driver with a network does: a sender never runs a receiver.
type link struct {
	cluster   *Cluster
	namespace string
	receiver  adapter.Receiver
	follows   bool // the log of the cluster

	mu    sync.Mutex
	queue []func()
	rooms map[string]bool

	id    adapter.NodeID
	asked atomic.Uint64
	calls adapter.Calls

	wake       chan struct{}
	closing    sync.Once
	stop, done chan struct{}
}

func (l *link) closed() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

func (l *link) run() {
	defer close(l.done)
	for {
		select {
		case <-l.stop:
			return
		case <-l.wake:
		}
		l.mu.Lock()
		queue := l.queue
		l.queue = nil
		l.mu.Unlock()
		for _, f := range queue {
			select {
			case <-l.stop:
				return
			default:
				f()
			}
		}
	}
}

func (l *link) post(f func()) {
	l.mu.Lock()
	l.queue = append(l.queue, f)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Publish implements [adapter.Link].
func (l *link) Publish(ctx context.Context, e *adapter.Envelope) error {
	if e.Kind == adapter.KindBroadcast {
		_, err := l.broadcast(ctx, e)
		return err
	}
	return l.cluster.send(ctx, l, func(to *link) {
		if to != l {
			e := clone(e)
			to.post(func() { to.receiver.Receive(e) })
		}
	})
}

// broadcast gives e its place in the log, which those who follow that see, the sender among them.
func (l *link) broadcast(ctx context.Context, e *adapter.Envelope) (at message.Offset, err error) {
	err = l.cluster.send(ctx, l, func(to *link) {
		if at.IsZero() && l.cluster.logs[l.namespace] != nil {
			at = l.cluster.place(l.namespace, e)
		}
		if to == l && !to.follows {
			return
		}
		e := clone(e)
		if to.follows {
			e.Message.Offset = at
		}
		to.post(func() {
			if to.follows || len(e.Rooms) != 1 || to.hasOpened(e.Rooms[0]) {
				to.receiver.Receive(e)
			}
		})
	})
	return at, err
}

// Call implements [adapter.Caller].
func (l *link) Call(ctx context.Context, c *adapter.Call, each func(adapter.Answer)) (missing []adapter.NodeID, err error) {
	id := strconv.FormatUint(l.asked.Add(1), 10)
	return l.calls.Do(ctx, c, adapter.CallQuestion{
		ID:     id,
		Closed: l.stop,
		Others: func(ctx context.Context) (int, error) {
			n, err := l.Nodes(ctx)
			return n - 1, err
		},
		Ask: func(ctx context.Context) error {
			return l.cluster.send(ctx, l, func(to *link) {
				if to == l {
					return
				}
				c := cloneCall(c)
				to.post(func() {
					to.receiver.Answer(c, func(a adapter.Answer) {
						a.Node = to.id
						l.post(func() { l.calls.Answer(id, a) })
					})
				})
			})
		},
	}, each)
}

// Nodes implements [adapter.Caller].
func (l *link) Nodes(ctx context.Context) (n int, err error) {
	err = l.cluster.send(ctx, l, func(*link) { n++ })
	return n, err
}

// RoomOpened implements [adapter.RoomFilter]. It panics if the room is open.
func (l *link) RoomOpened(room string) adapter.Opening {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rooms[room] {
		panic("adaptertest: room " + room + " is opened twice")
	}
	l.rooms[room] = true
	return &opening{l}
}

// RoomClosed implements [adapter.RoomFilter]. It panics if the room is not open.
func (l *link) RoomClosed(room string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.rooms[room] {
		panic("adaptertest: room " + room + " is closed but was not open")
	}
	delete(l.rooms, room)
}

func (l *link) hasOpened(room string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rooms[room]
}

// opening ends when the cluster is neither held nor failing.
type opening struct{ link *link }

// Wait implements [adapter.Opening].
func (o *opening) Wait(ctx context.Context) error {
	return o.link.cluster.send(ctx, o.link, func(*link) {})
}

// Ping implements [adapter.Link].
func (l *link) Ping(ctx context.Context) error {
	pong := make(chan struct{})
	if err := l.cluster.send(ctx, l, func(to *link) {
		if to == l {
			l.post(func() { close(pong) })
		}
	}); err != nil {
		return err
	}
	select {
	case <-pong:
		return nil
	case <-l.done:
		return adapter.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close implements [adapter.Link].
func (l *link) Close(ctx context.Context) error {
	l.closing.Do(func() {
		l.cluster.mu.Lock()
		defer l.cluster.mu.Unlock()
		l.cluster.links[l.namespace] = slices.DeleteFunc(l.cluster.links[l.namespace], func(x *link) bool { return x == l })
		close(l.stop)
	})
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// clone copies e as deep as a wire does: nodes share no memory.
func clone(e *adapter.Envelope) *adapter.Envelope {
	c := *e
	c.Rooms, c.Except, c.ChangeRooms = slices.Clone(e.Rooms), slices.Clone(e.Except), slices.Clone(e.ChangeRooms)
	c.Message = cloneMessage(e.Message)
	return &c
}

func cloneCall(q *adapter.Call) *adapter.Call {
	c := *q
	c.Rooms, c.Except, c.Message = slices.Clone(q.Rooms), slices.Clone(q.Except), cloneMessage(q.Message)
	return &c
}

func cloneMessage(m *message.Message) *message.Message {
	if m == nil {
		return nil
	}
	attachments := slices.Clone(m.Attachments)
	for i, a := range attachments {
		attachments[i] = bytes.Clone(a)
	}
	c := message.New(bytes.Clone(m.Data), attachments...)
	c.Volatile = m.Volatile
	return c
}
