package nodecluster_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/adapter/internal/nodecluster"
	"github.com/peal-dev/peal/adapter/internal/numbers"
	"github.com/peal-dev/peal/adapter/nodewire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// broker passes bytes on to all transports of a namespace, in one order.
type broker struct {
	mu         sync.Mutex
	transports map[string][]*transport // by namespace

	// swallow reports whether a message does not reach to. It may be nil.
	swallow func(to *transport, b []byte) bool
}

// driver is as simple as a driver on a hub can be.
type driver struct {
	*nodecluster.Hub
	broker  *broker
	counted bool
	numbers bool
}

func newDriver(b *broker, counted bool, opts nodecluster.Options) *driver {
	opts.Driver, opts.Broker, opts.Logger = "memory", "memory", slog.New(slog.DiscardHandler)
	d := &driver{Hub: nodecluster.New(opts), broker: b, counted: counted}
	d.Monitor.State(true, nil)
	return d
}

func (d *driver) Subscribe(ctx context.Context, namespace string, r adapter.Receiver) (adapter.Link, error) {
	return d.Hub.Subscribe(ctx, namespace, r, func(_ context.Context, l *nodecluster.Link) (nodecluster.Transport, error) {
		t := &transport{broker: d.broker, link: l, wake: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{})}
		go t.run()
		d.broker.mu.Lock()
		defer d.broker.mu.Unlock()
		d.broker.transports[namespace] = append(d.broker.transports[namespace], t)
		t.counts = d.numbers
		switch {
		case d.counted:
			return counter{t}, nil
		case d.numbers:
			return beater{t}, nil
		}
		return t, nil
	})
}

// transport hands over in a goroutine of its own, as one with a network does.
type transport struct {
	broker *broker
	link   *nodecluster.Link
	counts bool         // what is lost is found
	lost   atomic.Bool  // whatever it sends, and is sent, is
	tap    func([]byte) // takes what comes instead of the link, if set

	mu            sync.Mutex
	queue         [][]byte
	wake          chan struct{}
	once          sync.Once
	stop, stopped chan struct{}
}

var errAway = errors.New("not there")

func (t *transport) Send(ctx context.Context, m *nodewire.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return t.Post("", m)
}

func (t *transport) Probe(ctx context.Context, m *nodewire.Message) error { return t.Send(ctx, m) }

func (t *transport) Post(to string, m *nodewire.Message) error {
	b, err := m.Append(nil)
	if err != nil {
		return err
	}
	t.broker.mu.Lock()
	defer t.broker.mu.Unlock()
	return t.pass(to, m, b)
}

// pass hands over a message. The caller holds the broker's mu.
func (t *transport) pass(to string, m *nodewire.Message, b []byte) error {
	all := t.broker.transports[t.link.Namespace()]
	if !slices.Contains(all, t) {
		return errAway
	}
	if t.lost.Load() {
		return nil
	}
	if t.counts {
		t.link.Sent(m.Type, numbers.All, b, nil)
	}
	for _, other := range all {
		if t.broker.swallow != nil && t.broker.swallow(other, b) {
			continue
		}
		if to == "" || other.link.UID() == to || other.tap != nil {
			other.put(slices.Clone(b))
		}
	}
	return nil
}

func (t *transport) put(b []byte) {
	if t.lost.Load() {
		return
	}
	t.mu.Lock()
	t.queue = append(t.queue, b)
	t.mu.Unlock()
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

func (t *transport) run() {
	defer close(t.stopped)
	for {
		select {
		case <-t.stop:
			return
		case <-t.wake:
		}
		t.mu.Lock()
		queue := t.queue
		t.queue = nil
		t.mu.Unlock()
		for _, b := range queue {
			if t.tap != nil {
				t.tap(b)
				continue
			}
			t.link.Receive(nodecluster.Incoming{Channel: "memory", Type: nodewire.TypeOf(b), Size: len(b), Body: b,
				Decode: func() (*nodewire.Message, error) { return nodewire.Decode(b) }})
		}
	}
}

// cut takes the transport from the broker, as a node's crash does.
func (t *transport) cut() {
	t.broker.mu.Lock()
	defer t.broker.mu.Unlock()
	namespace := t.link.Namespace()
	t.broker.transports[namespace] = slices.DeleteFunc(t.broker.transports[namespace], func(o *transport) bool { return o == t })
}

func (t *transport) Close(context.Context) error {
	t.cut()
	t.once.Do(func() { close(t.stop) })
	<-t.stopped
	return nil
}

// counter is a transport that counts.
type counter struct{ *transport }

func (c counter) Nodes(ctx context.Context) (int, error) {
	c.broker.mu.Lock()
	defer c.broker.mu.Unlock()
	return len(c.broker.transports[c.link.Namespace()]), ctx.Err()
}

func (c counter) Counts(ctx context.Context, uid string) (bool, error) {
	c.broker.mu.Lock()
	defer c.broker.mu.Unlock()
	return slices.ContainsFunc(c.broker.transports[c.link.Namespace()], func(t *transport) bool { return t.link.UID() == uid }), ctx.Err()
}

// beater is a transport that may lose messages.
type beater struct{ *transport }

func (b beater) Beat(make func() *nodewire.Message, told func(error)) error {
	// Nothing may leave between the making and the sending: it would be behind the beat for who counts, and before it for others.
	b.broker.mu.Lock()
	defer b.broker.mu.Unlock()
	m := make()
	if m == nil {
		return nil
	}
	wire, err := m.Append(nil)
	if err == nil {
		err = b.pass("", m, wire)
	}
	told(err)
	return nil
}

func TestConformance(t *testing.T) {
	for name, counted := range map[string]bool{"heartbeats": false, "counted": true} {
		t.Run(name, func(t *testing.T) {
			adaptertest.Run(t, func(t *testing.T, nodes int) []adapter.Driver {
				b := &broker{transports: make(map[string][]*transport)}
				drivers := make([]adapter.Driver, nodes)
				for i := range drivers {
					d := newDriver(b, counted, nodecluster.Options{Settle: time.Second / 10})
					t.Cleanup(func() {
						if err := d.Close(context.Background()); err != nil {
							t.Error(err)
						}
					})
					drivers[i] = d
				}
				return drivers
			})
		})
	}
}
