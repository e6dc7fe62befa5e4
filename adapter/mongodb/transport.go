package mongodb

import (
	"context"
	"sync"

	"github.com/peal-dev/peal/adapter/internal/nodecluster"
	"github.com/peal-dev/peal/adapter/nodewire"
)

// transport carries the messages of one namespace.
type transport struct {
	driver *Driver
	link   *nodecluster.Link

	mu     sync.Mutex // held while the link takes a message
	closed bool
}

var _ nodecluster.Transport = (*transport)(nil)

// Send implements [nodecluster.Transport].
func (t *transport) Send(ctx context.Context, m *nodewire.Message) error {
	return t.send(ctx, m, extra{from: t.driver.id})
}

// Probe implements [nodecluster.Transport].
func (t *transport) Probe(ctx context.Context, m *nodewire.Message) error {
	d := t.driver
	if err := d.stream.away(); err != nil {
		return err
	}
	if err := t.send(ctx, m, extra{to: d.id}); err != nil {
		return err
	}
	d.stream.probed()
	return nil
}

func (t *transport) send(ctx context.Context, m *nodewire.Message, x extra) error {
	doc, err := t.driver.document(m, x)
	if err == nil {
		_, err = t.driver.outbox.Send(ctx, doc, len(doc))
	}
	return err
}

// Post implements [nodecluster.Transport].
func (t *transport) Post(to string, m *nodewire.Message) error {
	doc, err := t.driver.document(m, extra{from: t.driver.id, to: driverOf(to)})
	if err == nil {
		err = t.driver.outbox.Post(doc, len(doc))
	}
	return err
}

// Close implements [nodecluster.Transport].
func (t *transport) Close(context.Context) error {
	d := t.driver
	d.mu.Lock()
	if namespace := t.link.Namespace(); d.transports[namespace] == t {
		delete(d.transports, namespace)
	}
	d.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	return nil
}

// receive takes a document of the namespace, which belongs to the link from now on, once there is room for it.
func (t *transport) receive(ctx context.Context, h *header, size int) {
	for room := t.link.Room(size); room != nil; room = t.link.Room(size) {
		select {
		case <-room:
			continue
		case <-t.link.Done():
		case <-ctx.Done():
		}
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	kind := h.kind
	switch kind {
	case typeSession:
		return
	case typeLeft:
		kind = nodewire.AdapterClose
	}
	t.link.Receive(nodecluster.Incoming{Channel: t.driver.opts.Collection, Type: kind, Size: size,
		Decode: func() (*nodewire.Message, error) { return h.message(t.link.HasRoom) }})
}
