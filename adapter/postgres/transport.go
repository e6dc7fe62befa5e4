package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/nodecluster"
	"github.com/peal-dev/peal/adapter/nodewire"
)

// transport is how the messages of one namespace travel.
type transport struct {
	driver  *Driver
	link    *nodecluster.Link
	channel string   // of all nodes
	private string   // of this one
	names   []string // of those, what is listened to
}

// Send implements [nodecluster.Transport].
func (t *transport) Send(ctx context.Context, m *nodewire.Message) error {
	p, err := t.driver.publisher.encode(t.channel, m)
	if err != nil {
		return err
	}
	p.link, p.kind = t.link, m.Type
	return t.driver.publisher.publish(ctx, p)
}

// Beat implements [nodecluster.Beater].
func (t *transport) Beat(make func() *nodewire.Message, told func(error)) error {
	return t.driver.publisher.post(publication{channel: t.channel, make: make, told: told})
}

// Post implements [nodecluster.Transport]. Node.js nodes are answered where all hear it.
func (t *transport) Post(to string, m *nodewire.Message) error {
	channel := t.channel
	if to != "" && m.Peal {
		channel = privateChannel(t.driver.opts.Key, to)
	}
	p, err := t.driver.publisher.encode(channel, m)
	if err != nil {
		return err
	}
	return t.driver.publisher.post(p)
}

// Probe implements [nodecluster.Transport].
func (t *transport) Probe(ctx context.Context, m *nodewire.Message) error {
	if err := t.driver.listener.refusal(t.channel); err != nil {
		return fmt.Errorf("%w: %v", adapter.ErrUnavailable, err)
	}
	p, err := t.driver.publisher.encode(t.private, m)
	if err != nil {
		return err
	}
	return t.driver.probe(silence, func() error { return t.driver.publisher.publish(ctx, p) })
}

// listen has what comes on a channel be handed to the link.
func (t *transport) listen(ctx context.Context, name string) error {
	t.driver.add(name, t.link)
	t.names = append(t.names, name)
	err := t.driver.listener.listen(ctx, name)
	if errors.Is(err, errClosed) {
		return adapter.ErrClosed
	}
	return err
}

// Close implements [nodecluster.Transport].
func (t *transport) Close(context.Context) error {
	for _, name := range t.names {
		t.driver.remove(name, t.link)
		t.driver.listener.unlisten(name)
	}
	return nil
}

// encode returns what is published of a message, in the form that Node.js nodes know.
func (p *publisher) encode(channel string, m *nodewire.Message) (publication, error) {
	if len(m.Attachments) == 0 {
		text := m.AppendJSON(nil)
		if len(text) <= maxNotify && (!p.ascii.Load() || isASCII(text)) {
			return publication{channel: channel, payload: text}, nil
		}
	}
	packed, err := m.AppendMsgpack(nil)
	if err != nil {
		return publication{}, err
	}
	return publication{channel: channel, payload: packed, header: headerOf(m)}, nil
}

// headerOf returns the beginning of what is notified of a message in the table: the id of the row is to follow, and what
// closes both.
func headerOf(m *nodewire.Message) []byte {
	uid, _ := json.Marshal(m.UID) // never fails
	namespace, _ := json.Marshal(m.Namespace)
	b := append([]byte(`{"uid":`), uid...)
	b = strconv.AppendUint(append(b, `,"type":`...), uint64(m.Type), 10)
	if len(namespace) < maxNotify/2 && isASCII(namespace) {
		b = append(append(b, `,"nsp":`...), namespace...)
	}
	return append(b, `,"attachmentId":"`...)
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}
