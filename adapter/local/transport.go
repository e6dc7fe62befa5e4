package local

import (
	"context"

	"github.com/peal-dev/peal/adapter/internal/nodecluster"
	"github.com/peal-dev/peal/adapter/nodewire"
)

// transport sends the messages of one namespace.
type transport struct {
	driver *Driver
	link   *nodecluster.Link
}

var _ nodecluster.Transport = (*transport)(nil)

// Send implements [nodecluster.Transport].
func (t *transport) Send(ctx context.Context, m *nodewire.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	message, err := appendMessage(m)
	if err != nil {
		return err
	}
	return t.driver.sender.send(ctx, message)
}

// Post implements [nodecluster.Transport].
func (t *transport) Post(to string, m *nodewire.Message) error {
	message, err := appendMessage(m)
	if err != nil {
		return err
	}
	if home := t.driver.home(to); home != "" {
		return t.driver.sender.post(direct, home, message)
	}
	return t.driver.sender.post(note, "", message)
}

// Probe implements [nodecluster.Transport].
func (t *transport) Probe(_ context.Context, m *nodewire.Message) error {
	message, err := appendMessage(m)
	if err != nil {
		return err
	}
	return t.driver.sender.post(probe, "", message)
}

// Close implements [nodecluster.Transport]. The connection is that of all namespaces, and the hub has forgotten the link by
// now: what remains is a reader that has found it before.
func (t *transport) Close(context.Context) error {
	t.driver.receiving.Lock()
	defer t.driver.receiving.Unlock()
	return nil
}
